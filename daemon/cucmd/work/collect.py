"""Collects files from a node, step by step: logs in, prepares, gets each path, compares, takes a
snapshot if one was requested, closes.

The file reads from top to bottom. Each step either succeeds or raises `NodeFailed`.
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
from cucmd.job.node import Notes, Phase
from cucmd.job.run import Run
from cucmd.node.deadlines import Arrivals, CommandClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Receiver, Report, UploadTarget
from cucmd.node.resolver import find_zone
from cucmd.node_name import address
from cucmd.received_file import FileRead, ReceivedFile
from cucmd.work.run import take_snapshot
from cucmd.work.session import (
    ask,
    decline_transfer,
    failure_if_too_large,
    logged_in,
    run_plain_command,
)
from cucmd.work.verdict import (
    Announced,
    compare,
    compare_contents,
    counted,
    files_to_read,
    note_if_not_compared,
    reading_notes,
    shorten,
)

# A smaller error of the clock gets no note: it may be the time that the answer took.
WORTH_A_NOTE = timedelta(minutes=2)
# Seconds that the node has to tell its time after everything was collected. The question ends
# _LEFT_OF_NODE seconds before the node's deadline, so that no complete collection fails because of
# it.
_ZONE_SECONDS = 20.0
_LEFT_OF_NODE = 1.0

# Failures of one path after which the other paths are still collected, the gravest first.
PATH_FAILURES = (Code.COMMAND_REFUSED, Code.INVALID_PATH, Code.NO_FILES_MATCHED)
# Failures for which the node fails once the other paths were collected. The second: files are
# missing or cut off.
_FAILS_NODE = (Code.COMMAND_REFUSED, Code.TRANSFER_INCOMPLETE)
_GRAVEST = (*_FAILS_NODE, Code.INVALID_PATH, Code.NO_FILES_MATCHED)

# Limits for one node. With a thousand nodes, a hundred paths and twenty notes for each path, the
# state of a job would be too large for a reply.
MOST_NOTES = 50
MOST_PATHS_SAID = 5


class NodeClock(msgspec.Struct, frozen=True):
    """Describes the node's clock. ahead: how far it is ahead of ours, negative if it is behind."""

    zone: tzinfo | None = None
    ahead: timedelta = timedelta()

    def notes(self) -> tuple[str, ...]:
        if abs(self.ahead) > WORTH_A_NOTE:
            return (f"the node's clock is {clock_difference(self.ahead)}",)
        return ()


def clock_difference(ahead: timedelta) -> str:
    """Returns a text such as `7 minutes ahead of ours` or `3 days behind ours`."""
    minutes = round(abs(ahead) / timedelta(minutes=1))
    difference = f"{minutes} minutes" if minutes < 2880 else f"{minutes // 1440} days"
    return f"{difference} {'ahead of' if ahead > timedelta() else 'behind'} ours"


_NOT_ASKED = NodeClock()
_WIDENED = "the window was widened by as much"


class PathResult(msgspec.Struct, frozen=True):
    """Says how one `file get` ended.

    nothing  the failure, if no file came
    cut      the failure, if files are missing or cut off, and other paths can go on
    """

    nothing: Failure | None = None
    cut: Failure | None = None
    notes: tuple[str, ...] = ()


async def collect(task: NodeTask, request: Collect, ports: Ports, report: Report) -> Notes:
    """Collects the requested files from a node. Returns notes for the user. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        clock = await prepare(session, task, request, report)
        async with upload_target(ports, task, session, report) as target:
            gets = FileGets(task, request, session, target, report, ports=ports)
            results = {path: await gets.get(path, clock) for path in request.paths}
        report.phase(Phase.CLOSE)
        if clock is _NOT_ASKED and request.since is not None:
            # The window did not need the node's time zone, but the coverage of the window does. A
            # failure of this question is ignored, because all files are here.
            left = trio.current_effective_deadline() - trio.current_time() - _LEFT_OF_NODE
            if left > 0:
                with trio.move_on_after(min(_ZONE_SECONDS, left)), suppress(NodeFailed):
                    clock = await _ask_for_time(session, task, report)
            clock_notes = clock.notes()
        else:
            clock_notes = tuple(f"{said}; {_WIDENED}" for said in clock.notes())
        notes: tuple[str, ...] = ()
        if request.commands_kept:
            report.phase(Phase.COMMAND)
            snapshot_request = request.health or Run(request.snapshot)
            notes = await take_snapshot(session, task, snapshot_request, ports, report)
            report.phase(Phase.CLOSE)
        return (*clock_notes, *notes_on_paths(results, request.unverified), *notes)


@asynccontextmanager
async def upload_target(
    receiver: Receiver, task: NodeTask, session: NodeSession, report: Report
) -> AsyncIterator[UploadTarget]:
    """Opens an upload target that is revoked before the session is closed.

    If the target has refused an upload, this refusal becomes the failure of the node, even if the
    node then hangs or closes the connection.
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


async def prepare(
    session: NodeSession, task: NodeTask, request: Collect, report: Report
) -> NodeClock:
    """Turns the pager off. Asks for the node's time if the window needs it. Raises `NodeFailed`."""
    await run_plain_command(session, task, vos.PAGER_OFF)
    waited = datetime.now(UTC) - (task.asked_at or datetime.now(UTC))
    if not vos.needs_time_zone(request, waited):
        return _NOT_ASKED
    return await _ask_for_time(session, task, report)


async def _ask_for_time(session: NodeSession, task: NodeTask, report: Report) -> NodeClock:
    machine = await ask(session, task, vos.SHOW_STATUS, vos.parse_machine)
    time = vos.find_node_time(machine, find_zone)
    clock = NodeClock(time.zone, time.ahead(datetime.now(UTC)))
    name = None if clock.zone is None else str(clock.zone)
    # A small error of the clock is ignored, since two minutes do not matter in a trace.
    report.clock(name, clock.ahead.total_seconds() if clock.notes() else 0.0)
    return clock


def notes_on_paths(results: Mapping[str, PathResult], unverified: Sequence[str]) -> tuple[str, ...]:
    """Returns the notes on a node's paths.

    An unverified path may match no files; that is not worth a note. If the node refuses it in
    unknown words, there is a note, but no failure.

    Raises `NodeFailed` if a path was refused, a file is cut off, or no path matched anything.
    """
    missing = {path: result.nothing for path, result in results.items() if result.nothing}
    nothing = len(missing) == len(results)
    failures = [why for path, why in missing.items() if nothing or path not in unverified]
    failures += [result.cut for result in results.values() if result.cut is not None]
    gravest = min(failures, key=lambda why: _GRAVEST.index(why.code), default=None)
    if gravest and (gravest.code in _FAILS_NODE or nothing):
        others = [why.message for why in failures if why is not gravest]
        text = "; ".join(shorten(MOST_PATHS_SAID, [gravest.message, *others], "paths"))
        raise NodeFailed(msgspec.structs.replace(gravest, message=text))
    notes = [
        why.message
        for path, why in missing.items()
        if path not in unverified or why.code == Code.COMMAND_REFUSED
    ]
    notes += [note for result in results.values() for note in result.notes]
    return limit_notes(notes)


def limit_notes(notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(shorten(MOST_NOTES, notes, "notes; the transcript has all that the node said"))


def file_get_for(task: NodeTask, request: Collect, path: str, clock: NodeClock) -> vos.FileGet:
    now = datetime.now(UTC)
    return vos.FileGet(
        location=request.location,
        path=path,
        window=vos.make_window(
            request,
            now,
            clock.zone,
            clock.ahead,
            task.asked_at,
            written_for=request.written_for_of(path),
        ),
        match=request.match,
        recurs=request.recurs,
        compress=request.compress,
    )


class FileGets:
    """Gets the paths of one node, one `file get` after the other, into one upload target."""

    def __init__(
        self,
        task: NodeTask,
        request: Collect,
        session: NodeSession,
        target: UploadTarget,
        report: Report,
        *,
        ports: Ports,
    ) -> None:
        self._task = task
        self._request = request
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
        self._paths_left = len(request.paths)
        self._files_announced = 0
        self._bytes_announced = 0

    async def get(self, path: str, node_clock: NodeClock) -> PathResult:
        self._paths_left -= 1
        self._report.phase(Phase.COMMAND)
        command = file_get_for(self._task, self._request, path, node_clock)
        arrivals = Arrivals(self._target, address(self._address.host, self._address.port))
        command_text, packs = f"in '{command.command_line()}'", self._request.compress
        clock = CommandClock(self._task.timeouts, command_text, arrivals, packs=packs)
        sizes: vos.SizesAnnounced | None = None  # announced earlier for this command
        await self._session.file_get(command, self._address)
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
                    # Check before the first byte whether all announced files fit.
                    if clock.can_log_in or self._request.compress:
                        continue
                    if problem := failure_if_too_large(self._task, self._ports, announced.bytes):
                        await decline_transfer(self._session, self._task.timeouts.answer)
                        files = counted(announced.files, "file")
                        text = f"{path}: {files}, {counted(announced.bytes, 'byte')} were announced"
                        message = f"{text}, {problem.message}"
                        raise NodeFailed(msgspec.structs.replace(problem, message=message))
                case vos.CanLogIn():
                    if not clock.can_log_in:
                        self._report.phase(Phase.TRANSFER)
                    clock.note_answer()
                case vos.TransferMoved():
                    clock.note_progress()
                case vos.NothingMatched():
                    return self._nothing_came(nothing_matched(path), arrivals, clock)
                case vos.Broken(failure=broken):
                    return self._nothing_came(name_path(path, broken), arrivals, clock)
                case vos.FileGetDone() as done:
                    return await self._compare(path, done, arrivals, clock)

    def _nothing_came(self, why: Failure, arrivals: Arrivals, clock: CommandClock) -> PathResult:
        """Returns the failure as the result of this path if other paths can go on, else raises it.

        Files that came nevertheless are incomplete. If the receiver has refused a login or a
        connection of the node, the failure is raised too, with that reason.
        """
        if why.code not in PATH_FAILURES:
            raise NodeFailed(why)
        if arrivals.has_come:
            files_came = f"{counted(len(arrivals.files()), 'file')} came"
            raise NodeFailed(failure(Code.TRANSFER_INCOMPLETE, f"{why.message}; {files_came}"))
        if arrivals.refused_login or (clock.can_log_in and arrivals.refused_connections):
            raise NodeFailed(_no_login(why, arrivals))
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
        compressed = self._request.compress
        problem = compare(
            path, announced, received, completed=done.completed, compressed=compressed
        )
        if problem is not None:
            if words := (*done.sizes_unread, *done.notes):
                message = f"{problem.message}; the node said: {vos.quote(words)}"
                problem = msgspec.structs.replace(problem, message=message)
            if clock.can_log_in and not arrivals.has_come:
                raise NodeFailed(_no_login(problem, arrivals))
            # A refusal, or what ended this command early, would stop the other paths too.
            has_others = len(self._request.paths) > 1
            if has_others and done.completed and self._target.refusal is None:
                return PathResult(cut=problem)
            raise NodeFailed(problem)
        if announced.files == 0 and not received:
            return PathResult(nothing_matched(path))
        unknown = note_if_not_compared(path, announced, done.sizes_unread)
        if unknown and self._target.refusal is not None:
            raise NodeFailed(self._target.refusal)
        # Files that may be cut off, although the sums agree, are read to their end. The deadline of
        # the command does not apply meanwhile, since the node has done its part.
        read: dict[ReceivedFile, FileRead] = {}
        if files := files_to_read(received, compressed=compressed):
            # In phase TRANSFER, the time for reading would lower the measured speed.
            self._report.phase(Phase.COMMAND)
            contents = await self._ports.readers.read_to_end(
                self._task.folder, files, archives=compressed, announced=announced.size or 0
            )
            read = dict(zip(files, contents, strict=True))
        cut, incomplete = compare_contents(path, announced, received, read, compressed=compressed)
        self._report.complete_files([file for file in received if file.path not in incomplete])
        notes = reading_notes(path, announced, read) if cut is None else []
        if unknown:
            notes.insert(0, unknown)
        return PathResult(cut=cut, notes=(*done.notes, *notes))


def _no_login(problem: Failure, arrivals: Arrivals) -> Failure:
    reason = arrivals.explain_absence()
    return failure(reason.code, f"{problem.message}; {reason.message}", hint=reason.hint)


def nothing_matched(path: str) -> Failure:
    return failure(Code.NO_FILES_MATCHED, f"{path}: no files matched")


def name_path(path: str, broken: Failure) -> Failure:
    """Adds the path to the message of a failure after which other paths can go on."""
    if broken.code not in PATH_FAILURES:
        return broken
    return msgspec.structs.replace(broken, message=f"{path}: {broken.message}")
