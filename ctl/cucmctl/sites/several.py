"""Runs a verb at one site, or at several sites at the same time.

At one site, the verb runs in this process, and differs from a local one only by its socket. For
several sites, this process forks a process for each. There the verb runs as at one site, without
a terminal, and each line that it prints begins with the name of the site. So no site can delay or
stop another one, and every verb works like this. All of these processes share

    standard output    what a verb prints at a site stays together
    a file with locks  one for printing, and one for each login that may be made at a time. The
                       kernel releases the locks of a process that ends
    a lifeline         a pipe that only the first process could write to. When that process ends,
                       even by SIGKILL, the others notice it and end
"""

from __future__ import annotations

import argparse
import fcntl
import heapq
import io
import os
import random
import re
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from copy import copy
from datetime import datetime
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import IO, NoReturn, TextIO, cast

from cucmctl.cli import exits, password, printer
from cucmctl.cli.options import UsageError, Verb
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError, InvalidParameter, MethodNotFound, ProtocolError
from cucmctl.commands.lookup import resolve_last
from cucmctl.sites.connection import AT_A_TIME, Connection
from cucmctl.sites.places import ALL, Site, chosen, load
from cucmd import __version__

# Verbs that may be used at several sites at once, because they change nothing (`prune` only with
# --dry-run). The quick ones start no job on nodes: the whole answer has to come within the timeout.
QUICK = frozenset({"list", "status", "clusters", "prune", "sites"})
LOOKING = QUICK | {"health", "check", "run"}
# Verbs whose lines are printed at once. What others print is held back until the verb has ended.
AS_IT_COMES = frozenset({"watch", "events", "start", "retry", "capture", "follow", "find"})
# Characters that are held back at most, so that no site can fill the memory.
_MOST_HELD = 4 * 1024 * 1024
# Seconds. Each process waits for a random time up to this, before each try to log in to its site.
_JITTER = 0.2
# Seconds after the timeout of a site. `Connection` has the same timeout, and a better message.
_SPARE = 2.0
# The label of jobs that were started together; its value is their id.
_LABEL = "sites"
# The time of a match of `find`, behind the name of the site, or with --json.
_TIME = re.compile(r'(?:^\S+ +|,"time":")(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[^" ]*)')

Guard = Callable[[Callable[[], int]], int]


def run_at_sites(
    verb: str, command: Verb, arguments: argparse.Namespace, guard: Guard, *, last: bool
) -> int:
    """Runs a verb at the sites that the arguments name. Returns the exit code.

    guard  runs a function that returns an exit code, and handles its errors
    last   whether @last was given as a job

    Raises `UsageError`, `Failed`, and at one site what the verb raises.
    """
    sites = load()
    each = _by_node(arguments, sites)
    if each and arguments.site:
        raise UsageError("--site: cannot be combined with SITE/NODE; give one of them")
    if not each:
        each = {site: copy(arguments) for site in chosen(arguments.site or (ALL,), sites)}
        if not arguments.sites_id and verb != "sites":
            if len(each) == 1:
                (site,) = each
                printer.about_site(site.name)
                asks = sys.stdin is not None and sys.stdin.isatty()
                with Connection(site, asks=asks) as connection:
                    return _run_at(connection, verb, command, arguments, last=last)
            if verb not in LOOKING or (verb == "prune" and not arguments.dry_run):
                text = "give each node as SITE/NODE, or the id of jobs that were started so"
                raise UsageError(f"--site: {verb} takes one site; {text}")

    def at_site(connection: Connection, own: argparse.Namespace) -> int:
        return _run_at(connection, verb, command, own, last=last)

    several = _Several(verb, at_site, guard, arguments, each)
    if verb != "export":
        return several.run()
    from cucmctl.commands.export import export_sites  # noqa: PLC0415  # few verbs need it

    own = {site.name: own for site, own in each.items()}
    return export_sites(arguments, own, lambda: (several.run(), several.codes))


def _run_at(
    connection: Connection, verb: str, command: Verb, arguments: argparse.Namespace, *, last: bool
) -> int:
    """Runs a verb at a site. Returns the exit code, and raises what the verb raises."""
    arguments.socket = connection
    try:
        if last:
            uid = connection.ask_shell("id -u").strip()
            if not uid.isdecimal():
                text = "@last: the site does not say which user this is there; give the id of a job"
                raise exits.Failed(text, exits.NOT_FOUND)
            resolve_last(arguments, verb, command.is_for, int(uid))
        if arguments.sites_id:
            with Client(connection, timeout=connection.site.timeout) as client:
                jobs = client.list(labels={_LABEL: arguments.sites_id}, limit=1)
            if jobs:  # else it is the id of one job at this site
                arguments.job, arguments.jobs = jobs[0].job_id, [jobs[0].job_id]
        return command.run(arguments)
    except (MethodNotFound, InvalidParameter, ProtocolError):
        if connection.version != __version__:
            printer.note(
                f"this is cucmctl {__version__}, and the site has cucmd {connection.version}: one "
                "of them may be too old for this"
            )
        raise


def _by_node(
    arguments: argparse.Namespace, sites: Mapping[str, Site]
) -> dict[Site, argparse.Namespace]:
    """Returns the arguments for each site if the nodes were given as SITE/NODE."""
    each: dict[Site, argparse.Namespace] = {}
    if arguments.targets and any("/" in node for node in arguments.nodes):
        for target in arguments.nodes:
            name, slash, node = target.partition("/")
            if not slash or not node:
                raise UsageError(f"{target!r}: expected SITE/NODE, as the other nodes have it")
            (site,) = chosen([name], sites)
            each.setdefault(site, copy(arguments)).nodes = []
            each[site].nodes = [*each[site].nodes, node]
    return each


class _Lines:
    """Stands for standard output or standard error in the process of a site.

    decorate  returns how a line is printed, such as behind the name of the site
    at_once   whether each line is printed at once. Otherwise `finish` prints all of them
    """

    def __init__(
        self, lock: IO[bytes], to: int, decorate: Callable[[str], str], *, at_once: bool
    ) -> None:
        self.decorate = decorate
        self.encoding = sys.stdout.encoding if sys.stdout is not None else "utf-8"
        self._lock, self._to, self._at_once = lock, to, at_once
        self._held: list[str] = []
        self._size = 0

    def write(self, text: str) -> int:
        self._held.append(text)
        self._size += len(text)
        if text.endswith("\n") and (self._at_once or self._size > _MOST_HELD):
            self.finish()
        return len(text)

    def flush(self) -> None:
        """Prints nothing, because `print` also flushes lines that are held back."""

    def finish(self) -> None:
        lines, self._held, self._size = "".join(self._held).split("\n")[:-1], [], 0
        text = "".join(f"{self.decorate(line).rstrip()}\n" for line in lines)
        rest = text.encode(self.encoding, "backslashreplace")
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1)
        try:
            while rest:
                rest = rest[os.write(self._to, rest) :]
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1)


class _Several:
    """Runs a verb at several sites.

    at_site  runs the verb at one site, with the arguments of this site
    codes    name of a site -> exit code
    """

    def __init__(
        self,
        verb: str,
        at_site: Callable[[Connection, argparse.Namespace], int],
        guard: Guard,
        arguments: argparse.Namespace,
        each: Mapping[Site, argparse.Namespace],
    ) -> None:
        self._verb, self._at_site, self._guard, self._each = verb, at_site, guard, each
        self._arguments = arguments
        self._starts = verb == "start" and not arguments.dry_run
        self._width = max(len(site.name) for site in each)
        self.codes: dict[str, int] = {}

    def run(self) -> int:
        """Runs the verb at the sites. Returns the exit code. Raises `UsageError` and `Failed`."""
        self._input, sites_id = self._standard_input(), self._arguments.sites_id
        if self._starts:
            sites_id = secrets.token_hex(4)
            for arguments in self._each.values():
                arguments.label = [*arguments.label, (_LABEL, sites_id)]
        named = f"{sites_id}@{','.join(site.name for site in self._each)}"
        if self._starts and not self._arguments.json:
            printer.line(named)  # now, so that it is known even after a Ctrl-C
        if sys.stdout is not None:
            sys.stdout.flush()
        with ExitStack() as files:
            self._locks = files.enter_context(tempfile.TemporaryFile())
            # What `find` prints, until it is put into the order of time.
            self._found = {
                site.name: files.enter_context(tempfile.TemporaryFile("w+"))
                for site in self._each
                if self._verb == "find"
            }
            try:
                self._run_all()
            except KeyboardInterrupt:
                if self._verb in ("start", "retry", "watch", "wait"):
                    what = f"jobs that were started go on: cucmctl watch {named}"
                    printer.note(f"interrupted; {what}")
                elif self._verb == "export":
                    printer.note("interrupted; nothing was exported")
                raise
            around = bool(getattr(self._arguments, "context", None))
            matches = (_matches(file, around=around) for file in self._found.values())
            for _, lines in heapq.merge(*matches, key=itemgetter(0)):
                printer.standard_output().writelines(lines)
        codes = set(self.codes.values())
        if self._verb == "find" and codes == {exits.DONE, exits.FAILED}:
            return exits.DONE
        return codes.pop() if len(codes) == 1 else exits.PARTIAL

    def _run_all(self) -> None:
        """Forks a process for each site, and waits until all have ended."""
        self._lifeline, self._held = os.pipe()
        running: dict[int, str] = {}  # process -> name of its site
        try:
            for site, arguments in self._each.items():
                if not (pid := os.fork()):
                    self._be_site(site, arguments)
                running[pid] = site.name
            while running:
                pid, status = os.wait()
                self._note_end(running.pop(pid), os.waitstatus_to_exitcode(status))
        except OSError as error:
            text = f"the processes for the sites failed: {error.strerror}"
            raise exits.Failed(text, exits.UNAVAILABLE) from None
        finally:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _note_end(self, name: str, code: int) -> None:
        """Notes the exit code of a site, or, as a negative number, the signal that killed it."""
        if code < 0:  # as when memory runs out
            text, code = f"its process was killed by signal {-code}", exits.UNAVAILABLE
            printer.note(f"{name}: {text}")
            if self._arguments.json:
                printer.json_line({"site": name, "error": text, "code": code})
        self.codes[name] = code

    def _be_site(self, site: Site, arguments: argparse.Namespace) -> NoReturn:
        """Runs the verb at a site, in the process that was forked for this, and ends it."""
        code = exits.DEFECT
        try:
            os.setsid()  # without a terminal nothing is asked, and Ctrl-C is for the parent only
            os.close(self._held)
            threading.Thread(target=self._end_with_parent, daemon=True).start()
            printer.about_site(site.name)
            sys.stdin = io.TextIOWrapper(io.BytesIO(self._input))
            named = partial("{:{}}  {}".format, site.name, self._width)
            lines = partial(_Lines, self._locks)
            # Each is None if the shell has closed it. Nothing may be printed then.
            if sys.stderr is not None:
                note = f"cucmctl: {site.name}: "
                name_it = lambda line: line if line.startswith(note) else named(line)  # noqa: E731
                sys.stderr = cast(TextIO, lines(2, name_it, at_once=True))
            if sys.stdout is not None:
                file, to = self._found.get(site.name), 1
                if self._arguments.json:
                    named = partial('{{"site":"{}","reply":{}}}'.format, site.name)
                elif self._starts:  # standard output has the common id
                    to, named = 2, partial("cucmctl: {}: job {}".format, site.name)
                elif self._verb == "export":  # a line has the path of a folder within the bundle
                    to = os.open(os.devnull, os.O_WRONLY)
                at_once = self._verb in AS_IT_COMES and not getattr(arguments, "dry_run", False)
                to = to if file is None else file.fileno()
                sys.stdout = cast(TextIO, lines(to, named, at_once=at_once))
            code = self._guard(lambda: self._run(site, arguments))
        finally:
            os._exit(code)

    def _run(self, site: Site, arguments: argparse.Namespace) -> int:
        out = cast("_Lines | None", sys.stdout)
        try:
            turn = self._take_turn()
            _give_up_after(site.timeout + _SPARE)
            with Connection(site) as connection:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, turn)
                _give_up_after(site.timeout if self._verb in QUICK else 0)
                return self._at_site(connection, arguments)
        except (ClientError, exits.Failed) as error:
            _give_up_after(0)
            if out is not None and arguments.json:
                out.finish()
                out.decorate = str
                text, code = exits.message_of(error), exits.code_of_error(error)
                printer.json_line({"site": site.name, "error": text, "code": code})
            raise
        finally:
            _give_up_after(0)
            if out is not None:
                out.finish()

    def _take_turn(self) -> int:
        """Waits until this process may log in to its site. Returns the byte that is locked."""
        while True:
            time.sleep(random.uniform(0, _JITTER))  # noqa: S311  # this is no secret
            for turn in range(1, AT_A_TIME + 1):
                with suppress(BlockingIOError):
                    fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, turn)
                    return turn

    def _end_with_parent(self) -> None:
        os.read(self._lifeline, 1)
        os._exit(exits.INTERRUPTED)

    def _standard_input(self) -> bytes:
        """Returns the standard input for the processes of all sites, which have no terminal.

        The password of the nodes is asked for here, once.
        """
        given = self._arguments
        if self._verb == "delete" and not given.yes:
            raise UsageError("--yes: needed at several sites, where nobody can be asked")
        user, file = (getattr(given, name, None) for name in ("user", "password_file"))
        if user and file in (None, "-") and getattr(given, "credential", None) is None:
            secret = password.from_file(file, user) if file else password.from_terminal(user)
            for arguments in self._each.values():
                arguments.password_file = "-"  # noqa: S105  # standard input
            return f"{secret}\n".encode()
        if getattr(given, "file", None) == "-" and sys.stdin is not None:
            return sys.stdin.buffer.read()
        return b""


def _give_up_after(seconds: float) -> None:
    """Raises `Failed` after so many seconds, wherever the process is then. 0 means never."""

    def give_up(number: int, frame: object) -> NoReturn:
        raise exits.Failed(f"no whole answer within {seconds:g} s", exits.UNAVAILABLE)

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _matches(file: IO[str], *, around: bool) -> Iterator[tuple[float, list[str]]]:
    """Yields each match of a site with its time. Lines around a match stay with it."""
    at, lines = 0.0, list[str]()
    file.seek(0)
    for line in chain(file, ("",)):
        if lines and not (around and line and not line.endswith("  --\n")):
            if times := list(filter(None, map(_TIME.search, lines))):
                at = datetime.fromisoformat(times[0][1]).timestamp()
            yield at, lines
            lines = []
        lines.append(line)
