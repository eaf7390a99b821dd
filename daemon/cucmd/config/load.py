"""Makes a `Config` of file and environment, or reports every problem at once, with key and line.

The order of precedence is command line, environment, file, default. A cluster's own keys are part
of the file, so the environment's timeouts override them too.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cucmd.config import rules
from cucmd.config.clusters import read_clusters, read_credential_uses, read_profiles
from cucmd.config.errors import ENVIRONMENT, ConfigError, wrong_value
from cucmd.config.model import SECTIONS, Config, Daemon, RetrySettings
from cucmd.config.reading import Reader, read_file
from cucmd.config.timeouts import TimeoutMerger
from cucmd.paths import default_socket, default_state_dir

# What follows if a group does not exist.
_WITHOUT_GROUP = {
    "operate_group": "only root and the daemon's own user may start and cancel jobs",
    "view_group": "only those who may start jobs may see them",
}


def load(
    path: Path | None,
    environ: Mapping[str, str],
    socket: Path | None = None,
    state_directory: Path | None = None,
) -> Config:
    """Reads the configuration as it is used. `path` None: the default file, which may be missing.

    `socket` and `state_directory` are those of the command line.
    Raises `ConfigError` with everything that is wrong.
    """
    reader = read_file(path, environ)
    given = reader.sections()
    timeouts = TimeoutMerger(reader, environ)
    sections: dict[str, Any] = {
        name: struct(**given[name])
        for name, (struct, _) in SECTIONS.items()
        if name not in ("daemon", "timeouts")
    }
    sections["daemon"] = _daemon(reader, given["daemon"], environ, socket, state_directory)
    sections["timeouts"] = timeouts.general(given["timeouts"])
    _check_retry(reader, sections["retry"])
    _check_users(reader, given["access"])
    clusters = read_clusters(reader, sections, timeouts)
    config = Config(
        **sections,
        credential_uses=read_credential_uses(reader, clusters),
        clusters=clusters,
        profiles=read_profiles(reader),
        origin=reader.origin,
        notices=tuple(reader.notices),
    )
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return config


def _daemon(
    reader: Reader,
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    socket: Path | None,
    state_directory: Path | None,
) -> Daemon:
    """Says where the daemon listens and keeps its state: each by the order of precedence."""
    uid = os.getuid()
    # The default is the value of the variable, if that is set.
    choices = {
        "socket": (socket, "CUCMD_SOCKET", default_socket(environ, uid)),
        "state_directory": (state_directory, "STATE_DIRECTORY", default_state_dir(environ, uid)),
    }
    chosen: dict[str, Path] = {}
    for key, (option, variable, default) in choices.items():
        in_file: Path | None = given.get(key)
        if in_file is not None and not option and not environ.get(variable):
            chosen[key] = in_file
            continue
        chosen[key] = Path(option or default).absolute()
        if in_file not in (None, chosen[key]):
            winner = "the command line" if option else f"${variable}"
            reader.notice(("daemon", key), f"is overridden by {winner}")
    try:
        # That of the file was checked when it was read.
        rules.socket_path(str(chosen["socket"]))
    except ValueError as error:
        place = ("default", "daemon.socket")  # below a home directory with a long name
        if socket:
            place = ("command line", "--socket")
        elif environ.get("CUCMD_SOCKET"):
            place = (ENVIRONMENT, "CUCMD_SOCKET")
        reader.note_elsewhere(*place, str(chosen["socket"]), str(error))
    return Daemon(**chosen)


def _check_retry(reader: Reader, retry: RetrySettings) -> None:
    if retry.cap < retry.base and reader.intact(("retry",)):
        reader.note(("retry",), f"cap ({retry.cap:g} s) is less than base ({retry.base:g} s)")


def _check_users(reader: Reader, given: Mapping[str, Any]) -> None:
    """Notices for groups and users of the file that do not exist: a mistyped name would exclude
    them.

    It is no error, since they may be created later. The default groups are not checked: they
    do not exist where an ordinary user runs the daemon.
    """
    for key, then in _WITHOUT_GROUP.items():
        name: str = given.get(key, "")
        if name and not _exists(grp.getgrnam, name):
            reason = f"there is no such group, so {then}"
            reader.notice(("access", key), wrong_value(name, reason))
    for position, name in enumerate(given.get("may_speak_for", ())):
        if not name.isdigit() and not _exists(pwd.getpwnam, name):
            place = ("access", "may_speak_for", position)
            reader.notice(place, wrong_value(name, "there is no such user"))


def _exists(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True
