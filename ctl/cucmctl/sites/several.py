"""Runs a verb at one site, or at several sites at the same time.

At one site, the verb runs in this process, and differs from a local one only by its connection. For
several sites, this process forks a process for each. There the verb runs as at one site, but
without a terminal, and each line begins with the name of the site. So no site can delay or stop
another one, and every verb works like this. The kernel ends the processes with the one that has
forked them.
"""

from __future__ import annotations

import argparse
import heapq
import io
import os
import random
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, NoReturn

from cucmctl.cli import exits, password, printer
from cucmctl.cli.options import UsageError, Verb
from cucmctl.client.client import Client
from cucmctl.client.errors import InvalidParameter, MethodNotFound, ProtocolError
from cucmctl.commands.lookup import resolve_last
from cucmctl.sites.connection import AT_A_TIME, JITTER, Connection
from cucmctl.sites.places import ALL, Site, chosen, load
from cucmd import __version__
from cucmd.worker.parent_end import end_with_parent

# Verbs that may be used at several sites at once, because they change nothing (`prune` only with
# --dry-run).
LOOKING = frozenset({"list", "status", "clusters", "prune", "sites", "health", "check", "run"})
# Verbs whose lines are printed at once. The lines of other verbs stay together in a file.
AS_IT_COMES = frozenset({"watch", "events", "start", "retry", "capture", "follow"})
# The label of jobs that were started together; its value is their id.
_LABEL = "sites"
# The time of a match of `find`: in the zone of the reader behind the name of the site, or with
# --json in UTC.
_TIME = re.compile(rb'(?:^\S+ +|,"time":")(\d{4}-\d\d-\d\d[ T][\d:.]+)')

Guard = Callable[[Callable[[], int]], int]
LogIn = Callable[[], Connection]


def run_at_sites(verb: str, command: Verb, arguments: argparse.Namespace, guard: Guard) -> int:
    """Runs a verb at the sites that the arguments name. Returns the exit code.

    guard  runs a function that returns an exit code, and handles its errors

    Raises `UsageError`, `Failed`, and at one site what the verb raises.
    """
    run = partial(_run_at, verb, command)
    sites = load()
    each = _nodes_of_sites(arguments, sites)
    if not each:
        each = {site: [] for site in chosen(arguments.site or (ALL,), sites)}
        if not arguments.sites_id and verb != "sites":
            if len(each) == 1:
                (site,) = each
                printer.about.site = site.name
                asks = sys.stdin is not None and sys.stdin.isatty()
                return run(arguments, partial(Connection, site, asks=asks))
            if verb not in LOOKING or (verb == "prune" and not arguments.dry_run):
                text = "give each node as SITE/NODE, or the id of jobs that were started so"
                raise UsageError(f"--site: {verb} takes one site; {text}")
    several = _Several(verb, run, guard, each)
    if verb != "export":
        return several.run(arguments)[0]
    from cucmctl.commands.export import export_sites  # noqa: PLC0415  # few verbs need it

    return export_sites(arguments, several.run)


def _run_at(verb: str, command: Verb, arguments: argparse.Namespace, log_in: LogIn) -> int:
    """Runs a verb at a site. Returns the exit code, and raises what the verb raises."""
    with closing(log_in()) as connection:
        arguments.socket = connection
        try:
            if arguments.newest:
                resolve_last(arguments, verb, command.is_for, connection.user_id())
            if arguments.sites_id:
                with Client(connection, timeout=connection.site.timeout) as client:
                    jobs = client.list(labels={_LABEL: arguments.sites_id}, limit=1)
                if jobs:  # else it is the id of one job at this site
                    arguments.job, arguments.jobs = jobs[0].job_id, [jobs[0].job_id]
            return command.run(arguments)
        except (MethodNotFound, InvalidParameter, ProtocolError):
            if connection.version != __version__:
                printer.note(which_is_old(__version__, connection.version))
            raise


def which_is_old(here: str, there: str) -> str:
    """Returns a message that names the older of two different versions, of cucmctl and of cucmd."""
    this, other = f"this cucmctl {here}", f"cucmd {there} at the site"
    numbers = [list(map(int, re.findall("[0-9]+", version))) for version in (here, there)]
    old, new = (this, other) if numbers[0] < numbers[1] else (other, this)
    return f"{old} may be too old for {new}"


def _nodes_of_sites(
    arguments: argparse.Namespace, sites: Mapping[str, Site]
) -> dict[Site, list[str]]:
    """Returns the nodes of each site if they were given as SITE/NODE. Raises `UsageError`."""
    nodes: dict[Site, list[str]] = {}
    if arguments.targets and any("/" in node for node in arguments.nodes):
        if arguments.site:
            raise UsageError("--site: cannot be combined with SITE/NODE; give one of them")
        for target in arguments.nodes:
            name, _, node = target.partition("/")
            if not node:
                raise UsageError(f"{target!r}: expected SITE/NODE, as the other nodes have it")
            (site,) = chosen([name], sites)
            nodes.setdefault(site, []).append(node)
    return nodes


def log_in(site: Site, turns: int, sleep: Callable[[float], None] = time.sleep) -> Connection:
    """Logs in to a site when it is its turn, after a short random time. Raises as `Connection`.

    turns  an eventfd that counts how many sites more may be logged in to now
    """
    sleep(random.uniform(0, JITTER))  # noqa: S311  # this is no secret
    os.eventfd_read(turns)
    try:
        return Connection(site)
    finally:
        os.eventfd_write(turns, 1)


@dataclass
class _Several:
    """Runs a verb at several sites.

    run_at  runs the verb at the site to which a function connects
    each    the sites, with their nodes if the nodes were given as SITE/NODE
    """

    verb: str
    run_at: Callable[[argparse.Namespace, LogIn], int]
    guard: Guard
    each: Mapping[Site, Sequence[str]]
    _held: dict[Site, IO[bytes]] = field(default_factory=dict)

    def run(self, given: argparse.Namespace) -> tuple[int, dict[str, int]]:
        """Returns the exit code, and that of each site. Raises `UsageError` and `Failed`."""
        output = printer.standard_output().buffer
        self._input, sites_id = _standard_input(given), given.sites_id
        self._starts = self.verb == "start" and not given.dry_run
        if self._starts:
            sites_id = secrets.token_hex(4)
            given.label = [*given.label, (_LABEL, sites_id)]
        named = f"{sites_id}@{','.join(site.name for site in self.each)}"
        if self._starts and not given.json:
            printer.line(named)  # now, so that it is known even after a Ctrl-C
        self._turns = os.eventfd(AT_A_TIME, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._lock = TemporaryFile()  # noqa: SIM115  # it is open until this process ends
        if self.verb not in AS_IT_COMES or getattr(given, "dry_run", False):
            self._held = {site: TemporaryFile() for site in self.each}  # noqa: SIM115
        try:
            codes = self._run_all(given, output)
        except KeyboardInterrupt:
            if sites_id:
                printer.note(f"interrupted; the jobs go on: cucmctl watch {named}")
            raise
        if self.verb == "find":
            found = self._held.values()
            output.writelines(chain(*found) if given.context else heapq.merge(*found, key=_time))
        different = {*codes.values()}
        if self.verb == "find" and different == {exits.DONE, exits.FAILED}:
            return exits.DONE, codes
        return different.pop() if len(different) == 1 else exits.PARTIAL, codes

    def _run_all(self, given: argparse.Namespace, output: IO[bytes]) -> dict[str, int]:
        """Forks a process for each site, and returns the exit codes when all have ended."""
        parent, codes = os.getpid(), {site.name: exits.UNAVAILABLE for site in self.each}
        running: dict[int, Site] = {}
        try:
            for site in self.each:
                if not (pid := os.fork()):
                    self._be_site(site, given, parent)
                running[pid] = site
            while running:
                pid, status = os.wait()
                site, code = running.pop(pid), os.waitstatus_to_exitcode(status)
                if site in self._held:
                    self._held[site].seek(0)
                    if self.verb not in ("find", "export"):  # these are put together at the end
                        shutil.copyfileobj(self._held[site], output)
                        output.flush()
                if code >= 0:
                    codes[site.name] = code
                else:  # as when memory runs out
                    printer.note(f"{site.name}: its process was killed by signal {-code}")
                    os.eventfd_write(self._turns, 1)  # it may have been logging in
        except BlockingIOError as error:  # too many processes
            text = f"the processes for the sites failed: {error.strerror}"
            raise exits.Failed(text, exits.UNAVAILABLE) from None
        finally:
            for pid in running:
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
        return codes

    def _be_site(self, site: Site, given: argparse.Namespace, parent: int) -> NoReturn:
        """Runs the verb at a site, in the process that was forked for this, and ends it."""
        code = exits.DEFECT
        try:
            end_with_parent(parent, signal.SIGTERM)
            os.setsid()  # without a terminal nothing is asked, and Ctrl-C is for the parent only
            sys.stdin = io.TextIOWrapper(io.BytesIO(self._input))
            width = max(len(other.name) for other in self.each)
            printer.about = printer.About(site.name, width, self._lock.fileno())
            if self.each[site]:
                given.nodes = self.each[site]
            if self.verb == "export":  # into the folder of all sites
                given.output = f"{given.output}/{site.name}"
            elif self._starts and not given.json:  # standard output has the common id
                sys.stdout = sys.stderr
            if site in self._held:
                os.dup2(self._held[site].fileno(), 1)
            code = self.guard(lambda: self.run_at(given, partial(log_in, site, self._turns)))
            if given.json and (code > exits.CANCELLED or (code and not printer.about.replied)):
                printer.json_error(code)
        finally:
            os._exit(code)


def _standard_input(given: argparse.Namespace) -> bytes:
    """Returns the standard input for the processes of all sites, which have no terminal.

    The password of the nodes is asked for here, once.
    """
    user, file = (getattr(given, name, None) for name in ("user", "password_file"))
    if user and file in (None, "-") and getattr(given, "credential", None) is None:
        secret = password.from_file(file, user) if file else password.from_terminal(user)
        given.password_file = "-"  # noqa: S105  # standard input
        return f"{secret}\n".encode()
    if getattr(given, "file", None) == "-" and sys.stdin is not None:
        return sys.stdin.buffer.read()
    return b""


def _time(line: bytes) -> bytes:
    """Returns the time of a line of `find`, by which lines can be put into order."""
    found = _TIME.search(line)
    return found[1] if found else b""
