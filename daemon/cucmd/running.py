"""`cucmd check --running`: shows what the daemon runs with, and what a reload or restart changes.

The daemon compares itself with its file, since its options, environment and credentials are those
of its own process. What it cannot see is compared here: the version that is installed, and the
credentials that systemd would give the service now, which root alone can read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import msgspec

from cucmctl.cli import exits
from cucmctl.cli.printer import visible
from cucmctl.client.client import Client
from cucmctl.client.errors import (
    VARLINK,
    ClientError,
    MethodNotFound,
    NotPermitted,
    ProtocolError,
    Refused,
)
from cucmd import __version__
from cucmd.config.check import BAD_CONFIGURATION, IMPORTED, OK, credentials_of_service
from cucmd.protocol.knowledge import ConfigurationReply, Difference

DIFFERS = 1  # as diff(1)
_RELOAD = "; a reload brings it in"
_RESTART = "; a restart brings it in"


class _Info(msgspec.Struct):
    product: str = ""
    version: str = ""


def check_running(socket: Path | None, out: TextIO, err: TextIO) -> int:
    """Asks the daemon at `socket`, or where `cucmctl` looks for it, and prints what it says, so
    that standard output is a valid file. Returns the exit status: 0, 1, 78, or as of `cucmctl`.
    """
    try:
        with Client(socket) as client:
            info = _info(client)
            print(f"# cucmd {visible(info.version)} at {client.socket!a}", file=out)
            try:
                runs = client.configuration()
            except MethodNotFound:
                print(f"# {_of_version(info.version)}", file=out)
                print("# it cannot say what it runs with: its version is too old", file=out)
                return DIFFERS
    except ClientError as error:
        print(f"cucmd: {visible(exits.complaint(error))}", file=err)
        return exits.of_error(error)
    return _print(runs, info.version, out)


def _info(client: Client) -> _Info:
    """Raises `ClientError`, which `ProtocolError` is for another program."""
    try:
        info = client.call(f"{VARLINK}.GetInfo", {}, _Info)
    except NotPermitted:
        raise
    except Refused as error:
        if not error.name.startswith(f"{VARLINK}."):
            raise
        info = _Info()  # no server of Varlink is without it
    if info.product != "cucmd":
        raise ProtocolError(f"{client.socket} is not the socket of a cucmd")
    return info


def _print(runs: ConfigurationReply, version: str, out: TextIO) -> int:
    """Prints what the daemon runs with, and last, where a person sees it, what differs."""
    print(f"# since {runs.started_at.astimezone():%Y-%m-%d %H:%M:%S %Z}", file=out)
    print(f"# {visible(runs.origin)}", file=out)
    print(f"# credentials: {', '.join(map(ascii, runs.credentials)) or 'none'}\n", file=out)
    for line in runs.configuration.splitlines():
        print(visible(line), file=out)
    print(file=out)
    differing = [_of_version(version)] if version != __version__ else []
    differing += map(_of_setting, runs.differences)
    if runs.credentials_by_systemd and os.geteuid() == 0:
        differing += _of_credentials(runs, credentials_of_service())
    elif runs.credentials_by_systemd:
        print("# not compared: the credentials of systemd, which root alone can read", file=out)
    for line in differing:
        print(f"# {visible(line)}", file=out)
    if any(line.endswith(_RESTART) for line in differing):
        print(f"# a restart interrupts {_jobs(runs)}", file=out)
    if runs.refused is not None:
        print(f"# a reload would be refused: {visible(runs.refused)}", file=out)
        return BAD_CONFIGURATION
    if not differing:
        print("# nothing differs", file=out)
    return DIFFERS if differing else OK


def _of_version(version: str) -> str:
    return f"cucmd: runs with {version}, and {__version__} is installed{_RESTART}"


def _of_setting(one: Difference) -> str:
    ours = "is not in force" if one.running is None else f"runs with {one.running}"
    theirs = "the file has none" if one.file is None else f"the file has {one.file}"
    return f"{one.name}: {ours}, {theirs}{_RESTART if one.needs == 'restart' else _RELOAD}"


def _of_credentials(runs: ConfigurationReply, stored: Mapping[str, Path]) -> Iterator[str]:
    """Yields what systemd would do otherwise at a start now. A credential of another name, which
    the unit loads by itself, is not looked for.
    """
    has = {name for name in runs.credentials if name.startswith(IMPORTED)}
    for name in sorted(has | stored.keys()):
        if name not in has:
            yield f"credential {name!a}: came after the start, in {stored[name].parent}{_RESTART}"
        elif name not in stored:
            yield f"credential {name!a}: is gone, unless the unit loads it{_RESTART}"
        elif _touched(stored[name]) > runs.started_at.timestamp():
            yield f"credential {name!a}: changed after the start{_RESTART}"


def _touched(password: Path) -> float:
    """Returns when a credential was last written or put there. The time of the inode: a file that
    was moved or copied can have an older time of its content.
    """
    times = [0.0]
    for file in (password, password.with_suffix(".username")):
        with suppress(OSError):  # there need be no user name, and somebody may change them just now
            times.append(file.stat().st_ctime)
    return max(times)


def _jobs(runs: ConfigurationReply) -> str:
    if not runs.live:
        return "no job"
    jobs = "1 job" if runs.live == 1 else f"{runs.live} jobs"
    return f"{jobs}, and {runs.not_resumable} cannot go on"
