"""Runs a verb at one site, or at several sites at the same time.

At one site, the verb runs in this process, and differs from a local one only by its connection. For
several sites, this process forks a process for each. There the verb runs as at one site, but
without a terminal: standard output and standard error are pipes to this process, which puts the
name of the site before each line. So no site can delay or stop another one, and every verb works
like this. The kernel ends the processes with the one that has forked them.
"""

from __future__ import annotations

import argparse
import heapq
import io
import os
import random
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from operator import itemgetter
from tempfile import TemporaryFile
from typing import IO, NoReturn, cast

from cucmctl.cli import exits, password, printer
from cucmctl.cli.options import UsageError, Verb
from cucmctl.client.client import Client
from cucmctl.client.errors import InvalidParameter, MethodNotFound, ProtocolError
from cucmctl.commands.lookup import resolve_last
from cucmctl.export.target import clean_up_at_signals
from cucmctl.sites.connection import AT_A_TIME, Connection
from cucmctl.sites.places import ALL, Site, chosen, load
from cucmd import __version__
from cucmd.worker.parent_end import end_with_parent

# Verbs that may be used at several sites at once, because they change nothing (`prune` only with
# --dry-run).
LOOKING = frozenset({"list", "status", "clusters", "prune", "sites", "health", "check", "run"})
# Verbs whose lines are printed at once. What others print is held back until the verb has ended.
AS_IT_COMES = frozenset({"watch", "events", "start", "retry", "capture", "follow", "find"})
# Bytes that are held back for a site, so that no site can fill the memory.
_MOST_HELD = 4 * 1024 * 1024
# Seconds. Each process waits for a random time up to this, before it logs in to its site.
_JITTER = 0.2
# The label of jobs that were started together; its value is their id.
_LABEL = "sites"
# The time of a match of `find`: in the zone of the reader behind the name of the site, or with
# --json in UTC.
_TIME = re.compile(rb'(?:^\S+ +|,"time":")(\d{4}-\d\d-\d\d[ T][\d:.]+)')

Guard = Callable[[Callable[[], int]], int]


def run_at_sites(
    verb: str, command: Verb, arguments: argparse.Namespace, guard: Guard, *, last: bool
) -> int:
    """Runs a verb at the sites that the arguments name. Returns the exit code.

    guard  runs a function that returns an exit code, and handles its errors
    last   whether @last was given as a job

    Raises `UsageError`, `Failed`, and at one site what the verb raises.
    """

    def run(log_in: Callable[[], Connection], own: argparse.Namespace) -> int:
        with log_in() as connection:
            return _run_at(connection, verb, command, own, last=last)

    clean_up_at_signals()  # so that the connections are closed
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
                return run(partial(Connection, site, asks=asks), arguments)
            if verb not in LOOKING or (verb == "prune" and not arguments.dry_run):
                text = "give each node as SITE/NODE, or the id of jobs that were started so"
                raise UsageError(f"--site: {verb} takes one site; {text}")
    several = _Several(verb, run, guard, arguments, each)
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


@dataclass
class _Several:
    """Runs a verb at several sites.

    run_at  runs the verb at the site to which a function connects, with the arguments for it
    codes   name of a site -> exit code
    """

    verb: str
    run_at: Callable[[Callable[[], Connection], argparse.Namespace], int]
    guard: Guard
    arguments: argparse.Namespace
    each: Mapping[Site, argparse.Namespace]
    codes: dict[str, int] = field(default_factory=dict)

    def run(self) -> int:
        """Runs the verb at the sites. Returns the exit code. Raises `UsageError` and `Failed`."""
        self._input, sites_id = self._standard_input(), self.arguments.sites_id
        self._starts = self.verb == "start" and not self.arguments.dry_run
        if self._starts:
            sites_id = secrets.token_hex(4)
            for arguments in self.each.values():
                arguments.label = [*arguments.label, (_LABEL, sites_id)]
        named = f"{sites_id}@{','.join(site.name for site in self.each)}"
        if self._starts and not self.arguments.json:
            printer.line(named)  # now, so that it is known even after a Ctrl-C
        # What `find` prints, until it is put into the order of time.
        self._found: dict[str, IO[bytes]] = {}
        if self.verb == "find":
            for site in self.each:
                self._found[site.name] = cast(IO[bytes], TemporaryFile())  # noqa: SIM115
        try:
            self._run_all()
        except KeyboardInterrupt:
            if self.verb in ("start", "retry", "watch", "wait"):
                printer.note(f"interrupted; jobs that were started go on: cucmctl watch {named}")
            elif self.verb == "export":
                printer.note("interrupted; nothing was exported")
            raise
        around = bool(getattr(self.arguments, "context", None))
        matches = (_matches(file, around=around) for file in self._found.values())
        for _, lines in heapq.merge(*matches, key=itemgetter(0)):
            printer.standard_output().buffer.writelines(lines)
        codes = set(self.codes.values())
        if self.verb == "find" and codes == {exits.DONE, exits.FAILED}:
            return exits.DONE
        return codes.pop() if len(codes) == 1 else exits.PARTIAL

    def _run_all(self) -> None:
        """Forks a process for each site, and prints what they write until all have ended."""
        self._parent = os.getpid()
        self._printing = threading.Lock()
        self._width = max(len(site.name) for site in self.each)
        # Otherwise a pipe could take the place of a stream that the shell has closed.
        while os.open(os.devnull, os.O_RDWR) <= 2:  # standard error
            pass
        self._turns, self._give_back = os.pipe()
        os.write(self._give_back, bytes(AT_A_TIME))
        pipes: dict[str, list[int]] = {}  # name of a site -> its output and its messages
        running: dict[int, str] = {}  # process -> name of its site
        with ThreadPoolExecutor(2 * len(self.each)) as threads:
            try:
                for site, arguments in self.each.items():
                    pid, *pipes[site.name] = self._fork(site, arguments)
                    running[pid] = site.name
                # The threads start only now: a process that is forked beside threads can hang.
                last = {
                    name: (
                        threads.submit(self._print_output, name, out),
                        threads.submit(self._print, name, err, _standard_error()),
                    )
                    for name, (out, err) in pipes.items()
                }
                while running:
                    pid, status = os.wait()
                    name = running.pop(pid)
                    output, message = (line.result() for line in last[name])
                    self._note_end(name, os.waitstatus_to_exitcode(status), output, message)
            finally:
                for pid in running:
                    os.kill(pid, signal.SIGTERM)
                    os.waitpid(pid, 0)

    def _fork(self, site: Site, arguments: argparse.Namespace) -> tuple[int, int, int]:
        """Returns the id of the process of a site, and pipes with its output and its messages."""
        try:
            (output, to_output), (messages, to_messages) = os.pipe(), os.pipe()
            if not (pid := os.fork()):
                self._be_site(site, arguments, to_output, to_messages)
        except OSError as error:
            text = f"the processes for the sites failed: {error.strerror}"
            raise exits.Failed(text, exits.UNAVAILABLE) from None
        os.close(to_output)
        os.close(to_messages)
        return pid, output, messages

    def _be_site(self, site: Site, arguments: argparse.Namespace, *pipes: int) -> NoReturn:
        """Runs the verb at a site, in the process that was forked for this, and ends it."""
        code = exits.DEFECT
        try:
            end_with_parent(self._parent, signal.SIGTERM)
            os.setsid()  # without a terminal nothing is asked, and Ctrl-C is for the parent only
            for stream, pipe in enumerate(pipes, 1):
                os.dup2(pipe, stream)
            sys.stdin = io.TextIOWrapper(io.BytesIO(self._input))
            printer.about_site(site.name)
            code = self.guard(lambda: self.run_at(partial(self._log_in, site), arguments))
        finally:
            os._exit(code)

    def _log_in(self, site: Site) -> Connection:
        time.sleep(random.uniform(0, _JITTER))  # noqa: S311  # this is no secret
        os.read(self._turns, 1)
        try:
            return Connection(site)
        finally:
            os.write(self._give_back, b"\0")

    def _print_output(self, name: str, pipe: int) -> bytes:
        """Prints what a site writes to standard output. Returns the last line."""
        to, form = self._found.get(name) or printer.standard_output().buffer, ""
        if self.arguments.json:
            form = f'{{"site":"{name}","reply":%s}}'
        elif self._starts:  # standard output has the common id
            to, form = _standard_error(), f"cucmctl: {name}: job %s"
        if self.verb == "export":  # a line has the path of a folder within the bundle
            to = io.BytesIO()
        at_once = self.verb in AS_IT_COMES and not getattr(self.arguments, "dry_run", False)
        return self._print(name, pipe, to, form, 1 if at_once else _MOST_HELD)

    def _print(self, name: str, pipe: int, to: IO[bytes], form: str = "", size: int = 1) -> bytes:
        """Prints each line in this form, or else behind the name of the site. Returns the last one.

        size  bytes that stay together; 1 for no more than a line
        """
        last, note = b"", f"cucmctl: {name}: ".encode()
        shape = (form or f"{name:{self._width}}  %s").encode()
        with os.fdopen(pipe, "rb") as written:
            while lines := written.readlines(size):
                last = lines[-1].rstrip()
                with self._printing:
                    for line in lines:
                        whole = line if line.startswith(note) else shape % line.rstrip()
                        to.write(whole.rstrip() + b"\n")
                    to.flush()
        return last

    def _note_end(self, name: str, code: int, output: bytes, message: bytes) -> None:
        """Notes the exit code of a site. With --json, an error is printed as an object, too.

        code     negative if a signal has killed the process
        output   the last line of its output
        message  the last message
        """
        text = message.decode(errors="replace").removeprefix(f"cucmctl: {name}: ")
        if code < 0:  # as when memory runs out
            text, code = f"its process was killed by signal {-code}", exits.UNAVAILABLE
            printer.note(f"{name}: {text}")
            os.write(self._give_back, b"\0")  # it may have been logging in
        if self.arguments.json and (code > exits.CANCELLED or (code and not output)):
            printer.json_line({"site": name, "error": text, "code": code})
        self.codes[name] = code

    def _standard_input(self) -> bytes:
        """Returns the standard input for the processes of all sites, which have no terminal.

        The password of the nodes is asked for here, once.
        """
        given = self.arguments
        user, file = (getattr(given, name, None) for name in ("user", "password_file"))
        if user and file in (None, "-") and getattr(given, "credential", None) is None:
            secret = password.from_file(file, user) if file else password.from_terminal(user)
            for arguments in self.each.values():
                arguments.password_file = "-"  # noqa: S105  # standard input
            return f"{secret}\n".encode()
        if getattr(given, "file", None) == "-" and sys.stdin is not None:
            return sys.stdin.buffer.read()
        return b""


def _standard_error() -> IO[bytes]:
    return io.BytesIO() if sys.stderr is None else sys.stderr.buffer


def _matches(file: IO[bytes], *, around: bool) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yields each match of a site with its time. Lines around a match stay with it."""
    at, lines = b"", list[bytes]()
    file.seek(0)
    for line in chain(file, (b"",)):
        if lines and not (around and line and not line.endswith(b"  --\n")):
            if times := list(filter(None, map(_TIME.search, lines))):
                at = times[0][1]
            yield at, lines
            lines = []
        lines.append(line)
