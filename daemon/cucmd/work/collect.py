"""Collects files from a node, step by step: logs in, prepares, gets each path, compares, closes. A
snapshot, where one was asked for, is taken before the close.

It reads from top to bottom. Each step either succeeds or raises `NodeFailed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec
import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.job.run import Run
from cucmd.node.deadlines import Arrivals, CommandClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Receiver, Report, UploadTarget
from cucmd.node.resolver import find_zone
from cucmd.node_name import address
from cucmd.received_file import FileRead, ReceivedFile
from cucmd.work.run import take_snapshot
from cucmd.work.session import answer, ask, decline, logged_in, too_much
from cucmd.work.verdict import (
    Announced,
    at_most,
    counted,
    judge,
    judge_read,
    reading_notes,
    to_read,
    uncompared,
)

# A clock that is off by less is no note: so much is the time of the answer, or does not matter.
WORTH_A_NOTE = timedelta(minutes=2)
# Seconds for the node to say its time after everything was collected, and those that are left of
# the node's own deadline then: what is complete does not fail for it.
_ZONE_SECONDS = 20.0
_LEFT_OF_NODE = 1.0

# The failures of one path after which the others are still got, the gravest first.
OF_ONE_PATH = (Code.COMMAND_REFUSED, Code.INVALID_PATH, Code.NO_FILES_MATCHED)
# Those for which the node fails once the others were got; the second: of files that are cut.
_FAILS_NODE = (Code.COMMAND_REFUSED, Code.TRANSFER_INCOMPLETE)
_GRAVEST = (*_FAILS_NODE, Code.INVALID_PATH, Code.NO_FILES_MATCHED)

# Of one node. With a thousand nodes, a hundred paths and twenty notes for each, the state of a job
# would be too large for a reply.
MOST_NOTES = 50
MOST_PATHS_SAID = 5


class NodeClock(msgspec.Struct, frozen=True):
    """Holds what is known of the node's clock, `ahead` of ours or behind."""

    zone: tzinfo | None = None
    ahead: timedelta = timedelta()

    def notes(self) -> tuple[str, ...]:
        if abs(self.ahead) > WORTH_A_NOTE:
            off = how_far(self.ahead)
            return (f"the node's clock is {off}; the window was widened by as much",)
        return ()


def how_far(ahead: timedelta) -> str:
    """Returns `7 minutes ahead of ours`, `3 days behind ours`."""
    minutes = round(abs(ahead) / timedelta(minutes=1))
    off = f"{minutes} minutes" if minutes < 2880 else f"{minutes // 1440} days"
    return f"{off} {'ahead of' if ahead > timedelta() else 'behind'} ours"


_NOT_ASKED = NodeClock()


class PathResult(msgspec.Struct, frozen=True):
    """Says how one `file get` ended.

    nothing   why there is no file of it
    cut       which of its files are cut off, where the others are complete
    """

    nothing: Failure | None = None
    cut: Failure | None = None
    notes: tuple[str, ...] = ()


async def collect(task: NodeTask, what: Collect, ports: Ports, report: Report) -> tuple[str, ...]:
    """Collects `what` from one node. Returns notes for the user. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        clock = await prepare(session, task, what, report)
        async with upload_target(ports, task, session, report) as target:
            gets = FileGets(task, what, session, target, report, ports=ports)
            results = {path: await gets.get(path, clock) for path in what.paths}
        report.phase(Phase.CLOSE)
        if clock is _NOT_ASKED and what.since is not None:
            # The window did not need the node's time zone, but the time stamps in the files are
            # read by it later. All files are here: the question ends before the node's deadline,
            # and its failure fails nothing.
            left = trio.current_effective_deadline() - trio.current_time() - _LEFT_OF_NODE
            if left > 0:
                with trio.move_on_after(min(_ZONE_SECONDS, left)), suppress(NodeFailed):
                    await _ask_for_time(session, task, report)
        notes: tuple[str, ...] = ()
        if what.commands_kept:
            report.phase(Phase.COMMAND)
            taken = what.health or Run(what.snapshot)
            notes = await take_snapshot(session, task, taken, ports, report)
            report.phase(Phase.CLOSE)
        return (*clock.notes(), *notes_of(results, what.unverified), *notes)


@asynccontextmanager
async def upload_target(
    receiver: Receiver, task: NodeTask, session: NodeSession, report: Report
) -> AsyncIterator[UploadTarget]:
    """Opens an upload target that is revoked before the session is closed.

    If it has refused an upload, that is the failure of the node, whatever the node does then: it
    may hang, or close the connection.
    """
    target = receiver.open_upload_target(task, session.shell.peer_address)
    try:
        report.upload_target(target)
        yield target
    except NodeFailed as error:
        if target.refusal is None:
            raise
        raise NodeFailed(target.refusal) from error
    finally:
        target.revoke()
        with trio.move_on_after(task.timeouts.grace, shield=True):
            await target.aclose()


async def prepare(session: NodeSession, task: NodeTask, what: Collect, report: Report) -> NodeClock:
    """Turns the pager off. Asks for the node's time if the window is in absolute times."""
    await answer(session, task, vos.PAGER_OFF)
    waited = datetime.now(UTC) - (task.asked_at or datetime.now(UTC))
    if not vos.needs_time_zone(what, waited):
        return _NOT_ASKED
    return await _ask_for_time(session, task, report)


async def _ask_for_time(session: NodeSession, task: NodeTask, report: Report) -> NodeClock:
    said = await ask(session, task, vos.SHOW_STATUS, vos.parse_machine)
    status = vos.find_node_time(said, find_zone)
    clock = NodeClock(status.zone, status.ahead(datetime.now(UTC)))
    name = None if clock.zone is None else str(clock.zone)
    # By less than is worth a note it is taken for right: two minutes decide nothing in a trace.
    report.clock(name, clock.ahead.total_seconds() if clock.notes() else 0.0)
    return clock


def notes_of(results: Mapping[str, PathResult], unverified: Sequence[str]) -> tuple[str, ...]:
    """Returns the notes on a node's paths.

    An unverified path may match no files; that is not worth a note. If the node refuses it in
    unknown words, there is a note, but no failure.

    Raises `NodeFailed` if a path was refused, a file is cut off, or no path matched anything.
    """
    missing = {path: one.nothing for path, one in results.items() if one.nothing is not None}
    nothing = len(missing) == len(results)
    wrong = [gone for path, gone in missing.items() if nothing or path not in unverified]
    wrong += [one.cut for one in results.values() if one.cut is not None]
    worst = min(wrong, key=lambda one: _GRAVEST.index(one.code), default=None)
    if worst and (worst.code in _FAILS_NODE or nothing):
        others = [one.message for one in wrong if one is not worst]
        said = "; ".join(at_most(MOST_PATHS_SAID, [worst.message, *others], "paths"))
        raise NodeFailed(msgspec.structs.replace(worst, message=said))
    notes = [
        gone.message
        for path, gone in missing.items()
        if path not in unverified or gone.code == Code.COMMAND_REFUSED
    ]
    notes += [note for one in results.values() for note in one.notes]
    return at_most_notes(notes)


def at_most_notes(notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(at_most(MOST_NOTES, notes, "notes; the transcript has all that the node said"))


def request_for(task: NodeTask, what: Collect, path: str, clock: NodeClock) -> vos.FileGet:
    now = datetime.now(UTC)
    return vos.FileGet(
        location=what.location,
        path=path,
        window=vos.make_window(
            what,
            now,
            clock.zone,
            clock.ahead,
            task.asked_at,
            written_for=what.written_for_of(path),
        ),
        match=what.match,
        recurs=what.recurs,
        compress=what.compress,
    )


class FileGets:
    """Gets the paths of one node, one `file get` after the other, into one upload target."""

    def __init__(
        self,
        task: NodeTask,
        what: Collect,
        session: NodeSession,
        target: UploadTarget,
        report: Report,
        *,
        ports: Ports,
    ) -> None:
        self._task = task
        self._what = what
        self._session = session
        self._target = target
        self._report = report
        self._ports = ports
        self._address = vos.ReceiverAddress(
            host=task.advertise or session.shell.local_address,
            port=ports.port,
            username=target.username,
            password=target.password,
            directory=target.directory,
        )
        self._paths_left = len(what.paths)
        self._files_announced = 0
        self._bytes_announced = 0

    async def get(self, path: str, node_clock: NodeClock) -> PathResult:
        self._paths_left -= 1
        self._report.phase(Phase.COMMAND)
        request = request_for(self._task, self._what, path, node_clock)
        arrivals = Arrivals(self._target)
        what, packs = f"in '{request.command_line()}'", self._what.compress
        clock = CommandClock(self._task.timeouts, what, arrivals, packs=packs)
        sizes: vos.SizesAnnounced | None = None  # that were announced before for this command
        await self._session.file_get(request, self._address)
        while True:
            match await self._session.next_event(clock):
                case vos.SizesAnnounced() as announced:
                    self._files_announced += announced.files - (sizes.files if sizes else 0)
                    self._bytes_announced += announced.bytes - (sizes.bytes if sizes else 0)
                    self._report.report_announced(
                        self._files_announced,
                        self._bytes_announced,
                        all_of_them=not self._paths_left,
                    )
                    sizes = announced
                    # Before the first byte: has all that was announced room?
                    if clock.can_log_in or self._what.compress:
                        continue
                    if wrong := too_much(self._task, self._ports, announced.bytes):
                        await decline(self._session, self._task.timeouts.answer)
                        files = counted(announced.files, "file")
                        said = f"{path}: {files}, {counted(announced.bytes, 'byte')} were announced"
                        message = f"{said}, {wrong.message}"
                        raise NodeFailed(msgspec.structs.replace(wrong, message=message))
                case vos.CanLogIn():
                    if not clock.can_log_in:
                        self._report.phase(Phase.TRANSFER)
                    clock.note_answer()
                case vos.TransferMoved():
                    clock.note_progress()
                case vos.NothingMatched():
                    return self._nothing_came(nothing_matched(path), arrivals, clock)
                case vos.Broken(failure=broken):
                    return self._nothing_came(of_path(path, broken), arrivals, clock)
                case vos.FileGetDone() as done:
                    return await self._compare(path, done, arrivals, clock)

    def _nothing_came(self, why: Failure, arrivals: Arrivals, clock: CommandClock) -> PathResult:
        """Returns the failure of a path that does not stop the others; raises any other.

        What has come nevertheless is not complete, whatever the node said; and a node that has
        tried to log in to the receiver, or was turned away there, has not refused the command.
        """
        if why.code not in OF_ONE_PATH:
            raise NodeFailed(why)
        if arrivals.has_come:
            came = f"{counted(len(arrivals.files()), 'file')} came"
            raise NodeFailed(failure(Code.TRANSFER_INCOMPLETE, f"{why.message}; {came}"))
        if arrivals.refused_login or (clock.can_log_in and arrivals.refused_connections):
            raise NodeFailed(self._no_login(why, arrivals))
        return PathResult(why)

    async def _compare(
        self, path: str, done: vos.FileGetDone, arrivals: Arrivals, clock: CommandClock
    ) -> PathResult:
        # The node may say that it is done before its SFTP client has closed a file.
        closed = False
        while not closed:
            with trio.move_on_at(clock.deadline):
                await self._target.wait_files_closed()
                closed = True
            if not closed and trio.current_time() >= clock.deadline:
                raise NodeFailed(clock.failure)
        announced = Announced(done.files_announced, done.bytes_announced)
        received = arrivals.files()
        wrong = judge(
            path,
            announced,
            received,
            completed=done.completed,
            compressed=self._what.compress,
        )
        if wrong is not None:
            if words := (*done.sizes_unread, *done.notes):
                message = f"{wrong.message}; the node said: {vos.quote(words)}"
                wrong = msgspec.structs.replace(wrong, message=message)
            no_login = clock.can_log_in and not arrivals.has_come
            raise NodeFailed(self._no_login(wrong, arrivals) if no_login else wrong)
        if announced.files == 0 and not received:
            return PathResult(nothing_matched(path))
        unknown = uncompared(path, announced, done.sizes_unread)
        if unknown and self._target.refusal is not None:
            raise NodeFailed(self._target.refusal)
        # What can be cut off unseen is read to its end. No clock of the command runs meanwhile,
        # since the node has done its part.
        compressed = self._what.compress
        read: dict[ReceivedFile, FileRead] = {}
        if files := to_read(received, compressed=compressed):
            self._report.phase(Phase.COMMAND)  # nothing is transferred: speeds are kept
            contents = await self._ports.readers.read_to_end(
                self._task.folder, files, archives=compressed, announced=announced.size or 0
            )
            read = dict(zip(files, contents, strict=True))
        cut, incomplete = judge_read(path, announced, received, read, compressed=compressed)
        self._report.complete_files([file for file in received if file.path not in incomplete])
        notes = reading_notes(path, announced, read) if cut is None else []
        if unknown:
            notes.insert(0, unknown)
        return PathResult(cut=cut, notes=(*done.notes, *notes))

    def _no_login(self, wrong: Failure, arrivals: Arrivals) -> Failure:
        why = arrivals.explain_absence()
        where = address(self._address.host, self._address.port)
        return failure(why.code, f"{wrong.message}; {why.message} at {where}", hint=why.hint)


def nothing_matched(path: str) -> Failure:
    return failure(Code.NO_FILES_MATCHED, f"{path}: no files matched")


def of_path(path: str, broken: Failure) -> Failure:
    """Puts the path before the message of the failure, if the others can still be got."""
    if broken.code not in OF_ONE_PATH:
        return broken
    return msgspec.structs.replace(broken, message=f"{path}: {broken.message}")
