"""Runs a verb at one site, or at several sites at the same time.

At one site, the verb runs in this process, and differs from a local one only by its socket. For
several sites, this process forks a process for each of them. In each, the verb runs as at one
site, but without a terminal. This process prints their output, each line behind the name of its
site. So nothing that one site does can delay or stop another one, and every verb works like this.

    process of a site says      this process
    (has begun)                 waits; at most eight processes may be in this state
    connected                   starts the process of another site
    found                       counts; when all jobs of an id are found, ends the other processes
    error TEXT                  keeps the text, for --json and the summary of an export
    (ends)                      prints its output, and uses its exit code

A process that takes too long is killed. If this process ends, even by SIGKILL, all others end,
because each reads from a pipe that only this process can write to.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import secrets
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import NoReturn

import msgspec

from cucmctl.cli import exits, password, printer
from cucmctl.cli.options import SITES_ID, UsageError, Verb
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError, InvalidParameter, MethodNotFound, ProtocolError
from cucmctl.commands.lookup import resolve_last
from cucmctl.sites.bundle import make_bundle
from cucmctl.sites.connection import AT_A_TIME, Connection
from cucmctl.sites.places import ALL, Site, chosen, load
from cucmd import __version__

# Verbs that may be used at several sites at once, because they change nothing (`prune` only with
# --dry-run). The quick ones start no job on nodes: a site that needs longer for them than for a
# login is given up.
QUICK = frozenset({"list", "status", "clusters", "prune", "sites"})
LOOKING = QUICK | {"health", "check", "run"}
# Verbs whose output is printed as it comes. That of others is printed when the site has ended.
AS_IT_COMES = frozenset({"watch", "wait", "events", "start", "retry", "capture", "follow"})
# Seconds. Each process first waits for a random time up to this, so that not all log in at once.
_JITTER = 0.2
# A process that is too late has these seconds to say so itself, before it is killed.
_SPARE = 2.0
# Bytes of output that are held back until a site has ended. If there are more, they are printed.
_MOST_HELD = 4 * 1024 * 1024
# The exit code of a process that has found no job of the id. `cucmctl` itself never has it.
_NOT_HERE = 200
# The label of jobs that were started together; its value is their id.
_LABEL = "sites"

Guard = Callable[[Callable[[], int]], int]


def run_at_sites(
    verb: str, command: Verb, arguments: argparse.Namespace, guard: Guard, *, last: bool
) -> int:
    """Runs a verb at the sites that the arguments name. Returns the exit code.

    guard  runs a function that returns an exit code, and handles its errors
    last   whether @last was given as a job

    Raises `UsageError`, and at one site what the verb raises.
    """
    sites = load()
    at = chosen(arguments.site or (), sites) if arguments.site else []
    sites_id = re.fullmatch(SITES_ID, getattr(arguments, "job", None) or "")
    if verb == "sites" or sites_id:
        at = at or chosen([ALL], sites)
    elif not arguments.targets or not any("/" in node for node in arguments.nodes):
        if len(at) == 1:
            printer.about_site(at[0].name)
            with Connection(at[0], asks=sys.stdin is not None and sys.stdin.isatty()) as connection:
                return _run_at(connection, verb, command, arguments, last=last)
        if verb not in LOOKING or (verb == "prune" and not arguments.dry_run):
            raise UsageError(
                f"--site: {verb} takes one site; give each node as SITE/NODE, or the id of jobs "
                "that were started so"
            )
    each = _arguments_of_sites(arguments, at, sites)
    several = _Several(verb, command, guard, arguments, last=last)
    if sites_id:
        several.wanted = int(sites_id[1])
    elif verb == "start":
        several.sites_id = f"s{len(each)}-{secrets.token_hex(4)}"
    if verb == "export":
        return make_bundle(arguments, each, lambda: (several.run(each), several.endings()))
    return several.run(each)


def _run_at(
    connection: Connection, verb: str, command: Verb, arguments: argparse.Namespace, *, last: bool
) -> int:
    """Runs a verb at a site. Returns the exit code, and raises what the verb raises."""
    arguments.socket = connection.path
    arguments.connection = connection
    try:
        if last:
            uid = connection.ask_shell("id -u").strip()
            if not uid.isdecimal():
                text = "@last: the site does not say which user this is there; give the id of a job"
                raise exits.Failed(text, exits.NOT_FOUND)
            resolve_last(arguments, verb, command.is_for, int(uid))
        return command.run(arguments)
    except (MethodNotFound, InvalidParameter, ProtocolError):
        if connection.version != __version__:
            printer.note(
                f"this is cucmctl {__version__}, and the site has cucmd {connection.version}: one "
                "of them may be too old for this"
            )
        raise


def _arguments_of_sites(
    arguments: argparse.Namespace, at: Sequence[Site], sites: Mapping[str, Site]
) -> dict[Site, argparse.Namespace]:
    """Returns the arguments for each site: its own nodes if they were given as SITE/NODE."""
    each: dict[Site, argparse.Namespace] = {}
    if arguments.targets and any("/" in node for node in arguments.nodes):
        if at:
            raise UsageError("--site: cannot be combined with SITE/NODE; give one of them")
        for target in arguments.nodes:
            name, slash, node = target.partition("/")
            if not slash or not node:
                raise UsageError(f"{target!r}: expected SITE/NODE, as the other nodes have it")
            (site,) = chosen([name], sites)
            each.setdefault(site, copy(arguments)).nodes = []
            each[site].nodes = [*each[site].nodes, node]
    return each or {site: copy(arguments) for site in at}


class _AtSite:
    """Holds the process of one site, and what has come from it."""

    def __init__(self, site: Site, pid: int, streams: Mapping[str, int]) -> None:
        self.site = site
        self.pid = pid
        self.streams = dict(streams)  # name -> descriptor to read from
        self.read = dict.fromkeys(streams, b"")  # name -> what is not printed yet
        self.begun = time.monotonic()
        self.connected = self.found = self.is_late = False
        self.error = ""
        self.code: int | None = None


class _Several:
    """Runs a verb at several sites.

    wanted    how many jobs have the id that was given; 0 if no such id was given
    sites_id  the id of the jobs that are started now; "" if the verb starts none
    """

    def __init__(
        self,
        verb: str,
        command: Verb,
        guard: Guard,
        arguments: argparse.Namespace,
        *,
        last: bool,
    ) -> None:
        self.wanted = 0
        self.sites_id = ""
        self._verb, self._command, self._guard, self._last = verb, command, guard, last
        self._json = arguments.json
        self._has_printed_id = False
        self._width, self._input = 0, b""
        self._selector = selectors.DefaultSelector()
        self._lifeline, self._held = os.pipe()
        self._ended: list[_AtSite] = []
        self._running: list[_AtSite] = []

    def run(self, each: Mapping[Site, argparse.Namespace]) -> int:
        """Runs the verb at the sites. Returns the exit code."""
        self._width = max(len(site.name) for site in each)
        self._input = _standard_input(each.values())
        waiting = list(each.items())
        sys.stdout.flush()
        try:
            while waiting or self._running:
                while waiting and sum(not one.connected for one in self._running) < AT_A_TIME:
                    self._running.append(self._fork(*waiting.pop(0)))
                for key, _ in self._selector.select(0.5):
                    one, name = key.data
                    self._read(one, name)
                self._end_some()
                if self._has_all:
                    waiting = []
        except KeyboardInterrupt:
            if self.wanted or self.sites_id:
                printer.note("interrupted; jobs that have been started go on")
            raise
        finally:
            self._kill(self._running)
        return self._code()

    def endings(self) -> list[str]:
        """Returns a line about each site, without those that have no job of the id."""
        ended = [one for one in self._ended if one.code != _NOT_HERE]
        words = {exits.DONE: "exported", exits.PARTIAL: "exported, with damaged files left out"}
        return [
            f"{one.site.name}: {one.error or words.get(one.code or 0, 'not exported')}"
            for one in sorted(ended, key=lambda one: one.site.name)
        ]

    def _all(self) -> Iterable[_AtSite]:
        return (*self._running, *self._ended)

    def _fork(self, site: Site, arguments: argparse.Namespace) -> _AtSite:
        pipes = {name: os.pipe() for name in ("out", "err", "status")}
        pid = os.fork()
        if not pid:
            self._be_site(site, arguments, {name: pipe[1] for name, pipe in pipes.items()})
        for _, end in pipes.values():
            os.close(end)
        one = _AtSite(site, pid, {name: pipe[0] for name, pipe in pipes.items()})
        for name, descriptor in one.streams.items():
            self._selector.register(descriptor, selectors.EVENT_READ, (one, name))
        return one

    def _be_site(
        self, site: Site, arguments: argparse.Namespace, ends: Mapping[str, int]
    ) -> NoReturn:
        """Runs the verb at a site, in the process that was forked for this, and ends it."""
        code = exits.DEFECT
        try:
            os.setsid()  # without a terminal nothing is asked, and Ctrl-C is for the parent only
            os.close(self._held)
            threading.Thread(target=_end_with, args=(self._lifeline,), daemon=True).start()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(ends["out"], 1)
            os.dup2(ends["err"], 2)
            sys.stdin = io.TextIOWrapper(io.BytesIO(self._input))
            printer.about_site(site.name)
            code = self._guard(lambda: self._run_at(site, arguments, ends["status"]))
            sys.stdout.flush()
        finally:
            os._exit(code)

    def _run_at(self, site: Site, arguments: argparse.Namespace, status: int) -> int:
        try:
            time.sleep(random.uniform(0, _JITTER))  # noqa: S311  # this is no secret
            with Connection(site) as connection:
                os.write(status, b"connected\n")
                if self.sites_id:
                    arguments.label = [*arguments.label, (_LABEL, self.sites_id)]
                if self.wanted:
                    with Client(connection.path, timeout=site.timeout) as client:
                        jobs = client.list(labels={_LABEL: arguments.job}, limit=1)
                    if not jobs:
                        return _NOT_HERE
                    os.write(status, b"found\n")
                    arguments.job = jobs[0].job_id
                return _run_at(connection, self._verb, self._command, arguments, last=self._last)
        except ClientError as error:
            os.write(status, b"error " + exits.message_of(error).encode()[:4000] + b"\n")
            raise

    def _read(self, one: _AtSite, name: str) -> None:
        data = os.read(one.streams[name], 65536)
        one.read[name] += data
        if not data:
            self._selector.unregister(one.streams[name])
            os.close(one.streams.pop(name))
        if name == "status":
            *lines, one.read[name] = one.read[name].split(b"\n")
            one.connected |= b"connected" in lines
            one.found |= b"found" in lines
            errors = [line[6:] for line in lines if line.startswith(b"error ")]
            one.error = errors[-1].decode(errors="replace") if errors else one.error
        elif self.wanted and not one.found:
            pass  # printed by `_code`, and only if a job of the id is missing
        elif name == "err" or self._verb in AS_IT_COMES or len(one.read["out"]) > _MOST_HELD:
            self._print(one, name)

    def _print(self, one: _AtSite, name: str, *, rest: bool = False) -> None:
        """Prints the whole lines that have come, or with `rest` everything."""
        *lines, one.read[name] = one.read[name].split(b"\n")
        if rest and one.read[name]:
            lines.append(one.read[name])
            one.read[name] = b""
        for line in lines:
            text = line.decode(errors="replace")
            if name == "err":
                named = text if text.startswith("cucmctl: ") else self._named(one, text)
                print(named, file=sys.stderr, flush=True)
            elif self._verb == "export":
                pass  # the path of a folder within the bundle
            elif self._json:
                reply = msgspec.Raw(line)
                printer.json_line({"site": one.site.name, "reply": reply})
            elif self.sites_id:
                if not self._has_printed_id:
                    printer.line(self.sites_id)
                self._has_printed_id = True
                printer.note(f"{one.site.name}: job {text}")
            else:
                printer.line(self._named(one, text))

    def _named(self, one: _AtSite, text: str) -> str:
        return f"{one.site.name:{self._width}}  {text}".rstrip()

    @property
    def _has_all(self) -> bool:
        """Returns whether all jobs of the id that was given are found."""
        return bool(self.wanted) and sum(one.found for one in self._all()) == self.wanted

    def _end_some(self) -> None:
        """Ends processes that take too long or are not needed, and collects those that ended."""
        for one in list(self._running):
            age, timeout = time.monotonic() - one.begun, one.site.timeout + _JITTER
            quick = self._verb in QUICK
            if self._has_all and not one.found:
                os.kill(one.pid, signal.SIGKILL)
                one.code = _NOT_HERE
            elif age > timeout + _SPARE and not (
                one.connected and (not quick or age < 2 * timeout)
            ):
                os.kill(one.pid, signal.SIGKILL)
                one.code = exits.UNAVAILABLE
                one.error = f"no whole answer within {age:.0f} s"
            elif one.streams:
                continue
            _, status = os.waitpid(one.pid, 0)
            self._running.remove(one)
            self._ended.append(one)
            for name in list(one.streams):
                self._selector.unregister(one.streams[name])
                os.close(one.streams.pop(name))
            ended = os.waitstatus_to_exitcode(status)
            if one.code is None and ended < 0:  # killed by others, as when memory runs out
                one.code = exits.UNAVAILABLE
                one.error = f"its process on this host was killed by signal {-ended}"
            if one.code is None:
                one.code = ended
            elif one.error:
                one.read["err"] += f"cucmctl: {one.site.name}: {one.error}\n".encode()
            if not self.wanted or one.found:
                self._conclude(one)

    def _conclude(self, one: _AtSite) -> None:
        """Prints what is left of the output of a site that has ended."""
        self._print(one, "err", rest=True)
        self._print(one, "out", rest=not self._json)  # JSON without an end of line was cut off
        if self._json and one.error:
            printer.json_line({"site": one.site.name, "error": one.error, "code": one.code})

    def _kill(self, processes: Iterable[_AtSite]) -> None:
        for one in processes:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)

    def _code(self) -> int:
        """Returns the exit code of all sites together. Prints why jobs of the id are missing."""
        counted = [one for one in self._ended if one.code != _NOT_HERE]
        if self.wanted:
            found = [one for one in counted if one.found]
            if self._has_all:
                counted = found
            else:
                for one in counted:
                    if not one.found:
                        self._conclude(one)
                missing = f"{self.wanted - len(found)} of {self.wanted} jobs of this id"
                printer.note(f"not found at the sites that could be asked: {missing}")
                if found or not counted:
                    return exits.PARTIAL if found else exits.NOT_FOUND
        codes = {one.code or exits.DONE for one in counted}
        if self._verb == "find" and codes == {exits.DONE, exits.FAILED}:
            return exits.DONE
        return codes.pop() if len(codes) == 1 else exits.PARTIAL


def _standard_input(each: Iterable[argparse.Namespace]) -> bytes:
    """Returns the standard input for the processes of all sites.

    The password of the nodes is asked for here, once, since those processes have no terminal.
    """
    first = next(iter(each))
    user, file = (getattr(first, name, None) for name in ("user", "password_file"))
    if user and file in (None, "-") and getattr(first, "credential", None) is None:
        secret = password.from_terminal(user) if file is None else password.from_file(file, user)
        for arguments in each:
            arguments.password_file = "-"  # noqa: S105  # standard input
        return f"{secret}\n".encode()
    if getattr(first, "file", None) == "-" and sys.stdin is not None:
        return sys.stdin.buffer.read()
    return b""


def _end_with(lifeline: int) -> None:
    """Ends this process when the process that started it has ended."""
    os.read(lifeline, 1)
    os._exit(exits.INTERRUPTED)
