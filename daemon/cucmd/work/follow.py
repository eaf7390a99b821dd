"""Follows a file on one node while it grows: logs in, runs `file tail`, keeps its lines as they
come, and ends the command with Ctrl-C.

How it ends, and what follows

    its duration is over        Ctrl-C; the node succeeds, with a note
    MOST_BYTES have come        the same
    `stop` of the job           Ctrl-C; the node succeeds. If the command has not begun when `stop`
                                comes, the node succeeds at once, with a note
    the prompt comes            after a few lines or none, the node has refused the command with
                                these lines, and fails; after many lines it fails if the last one is
                                a refusal; otherwise the node has ended the command by itself, which
                                a note says
    no prompt after Ctrl-C,     a note: the command ends with its session, and all wanted lines have
    or the connection is lost   come
    a cancel, a deadline        the lines that came are kept, and count as incomplete; the end of
                                the session sends Ctrl-C
    the connection is lost      the same without Ctrl-C, and the node fails

Each attempt in the same job has a file of its own, so a retry overwrites nothing. A silent node is
no stall, because its file may not grow.

The lines are written in a thread (`node/file_writer.py`). The next lines are read only after the
earlier lines are on disk, so that few lines are in memory if the disk hangs. The session can end
before its last lines are written.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.follow import Follow
from cucmd.job.node import Notes, Phase
from cucmd.node.deadlines import LineClock, answer_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import JointRun, NodeTask, Ports, Report
from cucmd.node.transcript_file import write_all
from cucmd.received_file import ReceivedFile
from cucmd.vos.texts import NO_SUCH_FILE
from cucmd.work.commands import OUTPUT_MODE, take_quota
from cucmd.work.session import logged_in, run_plain_command

# The most bytes that are kept of a node. A session reads 128 KiB a second from a node that prints
# without end.
MOST_BYTES = 64 * 1024 * 1024
# Bytes that are written between two checks of the free space.
_CHECK_EVERY = 64 * 1024
# Seconds until the prompt after Ctrl-C. If the node takes longer, nothing is lost.
ENDED_WITHIN = 10.0
# Seconds by which Ctrl-C comes before the node ends the session because it is idle.
_BEFORE_IDLE_ENDS = 10.0
# After this many seconds, either the prompt is confirmed, or more output has come.
_CONFIRMED_WITHIN = 5.0
# The most lines that a node prints to refuse the command; more lines are a log. The words with
# which a node refuses an account that lacks the right are not known (vos/NODES.md, section 6.18).
_LINES_OF_REFUSAL = 5

_NOT_BEGUN_NOTE = "the command was ended before it began on this node"
_REFUSED_HINT = (
    "file tail needs an account of privilege level 1; if this is one, try the command in the "
    "node's own shell"
)


async def follow(task: NodeTask, request: Follow, ports: Ports, report: Report) -> Notes:
    """Follows the file, and keeps what is printed. Returns notes. Raises `NodeFailed`."""
    joint_run = task.joint_run
    assert joint_run is not None, "jobs/joint_run.py gives it to every task of a job to follow"
    with joint_run.preparing(task.node):
        # The session is closed first. The file is closed once all lines are written.
        async with (
            _Output(task, request, ports, report) as output,
            logged_in(task, ports, report) as session,
        ):
            await run_plain_command(session, task, vos.PAGER_OFF)
            if joint_run.stopped:  # the call came with the last bytes of the answer
                return (_NOT_BEGUN_NOTE,)
            report.phase(Phase.COMMAND)
            with joint_run.working(task.node):
                # The number of the attempt must be in the store before the file that is named after
                # it exists, so that no later attempt uses the name again.
                await report.wait_saved()
                await output.open()
                notes = await _follow_file(session, task, request, output, joint_run)
                output.is_whole = True
            report.phase(Phase.CLOSE)
            return notes
    return (_NOT_BEGUN_NOTE,)


async def _follow_file(
    session: NodeSession, task: NodeTask, request: Follow, output: _Output, joint_run: JointRun
) -> tuple[str, ...]:
    await session.tail(vos.parse_tail(request.line))
    ended = False
    with joint_run.until_stopped() as scope:
        ended = await _until_it_ends(session, task, request, output, scope)
    if not ended and session.seems_done:
        # If the node has just refused the command, it was not ended by the stop.
        with trio.move_on_after(_CONFIRMED_WITHIN):
            ended = await _until_it_ends(session, task, request, output)
    if ended:
        _check_not_refused(output)
        return ("the node ended the command by itself",)
    notes: tuple[str, ...] = ()
    if output.is_full:
        notes = (f"the command was ended, since no more than {MOST_BYTES // 1024**2} MiB are kept",)
    elif not joint_run.stopped:
        notes = (f"the command was ended after {request.duration:g} s, as requested",)
    lines: Sequence[str] = ()
    try:
        with trio.move_on_after(ENDED_WITHIN) as ending:
            lines = await session.interrupt()
        if ending.cancelled_caught:
            late = f"no prompt came within {ENDED_WITHIN:g} s of Ctrl-C; its session was closed"
            notes += (late,)
    except NodeFailed as error:  # the connection is gone, and the command with it
        notes += (error.failure.message,)
    output.add(lines or session.take_lines())
    return notes


async def _until_it_ends(
    session: NodeSession,
    task: NodeTask,
    request: Follow,
    output: _Output,
    scope: trio.CancelScope | None = None,
) -> bool:
    """Keeps lines until the command is to be ended. Returns whether the node has ended it.

    scope: its deadline is set when the node echoes the command. None after a stop. Raises
    `NodeFailed`.
    """
    clock: LineClock | None = answer_clock(task.timeouts, request.line)
    idle_ends = trio.current_time() + vos.LONGEST_TAIL
    while not output.is_full:
        match await session.next_event(clock):
            case vos.Started():
                clock = None
                if scope is not None:
                    ends = trio.current_time() + request.duration
                    scope.deadline = min(ends, idle_ends - _BEFORE_IDLE_ENDS)
            case vos.Printed(lines=lines):
                output.add(lines)
                await output.written()
            case vos.CommandDone():
                return True
            case vos.Broken(failure=broken):
                raise NodeFailed(broken)
    return False


def _check_not_refused(output: _Output) -> None:
    lines = output.first_lines
    if output.line_count > _LINES_OF_REFUSAL:
        lines = [output.last_line]
        if not vos.is_refusal(lines):
            return
    message = f"the node did not follow the file; it said: {vos.quote(lines) or 'nothing'}"
    if any(NO_SUCH_FILE in line.lower() for line in lines):
        raise fail(Code.INVALID_PATH, message)
    raise fail(Code.COMMAND_REFUSED, message, hint=_REFUSED_HINT)


class _Output:
    """Keeps the lines that a node has printed, and reports their file at the end.

    is_full: no more lines are kept. line_count: the number of lines that are not empty, counted up
    to a few. first_lines, last_line: masked. is_whole: all wanted lines have come.
    """

    def __init__(self, task: NodeTask, request: Follow, ports: Ports, report: Report) -> None:
        self.is_full = False
        self.is_whole = False
        self.line_count = 0
        self.first_lines: list[str] = []
        self.last_line = ""
        self._task = task
        self._writer = ports.writer
        self._report = report
        self._name = request.output_of(1, task.first_attempt)
        self._mask = task.mask
        self._file = _FollowedFile(task.folder / self._name, ports.shortage)
        self._started = False
        self._size = 0  # bytes, including those that are not written yet

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Writes and closes the file, and reports it, even if cancelled. Raises as `written`."""
        if not self._started:
            return
        with trio.CancelScope(shield=True):
            try:
                await self.written()
            finally:
                try:
                    # This does not use the writer's thread, because the transcripts of other nodes
                    # would wait.
                    await trio.to_thread.run_sync(self._file.close)
                finally:
                    if self._file.is_open:
                        self._report.add_own_file(self.record())

    def record(self) -> ReceivedFile:
        return ReceivedFile(
            node=self._task.node,
            path=f"{self._task.folder.name}/{self._name}",
            size=self._file.size,
            sha256=self._file.digest.hexdigest(),
            closed=True,
            complete=self.is_whole and self._file.error is None,
            modified=int(time.time()),
        )

    async def open(self) -> None:
        """Creates the file. Raises `OSError`, `NodeFailed`."""
        self._started = True
        await self.written()

    def add(self, lines: Iterable[str]) -> None:
        """Passes the lines to the writer. Raises `NodeFailed`.

        This is no async function, because a cancel while it waits would lose the lines.
        """
        if self.is_full:
            return
        masked = [self._mask(line) for line in lines]
        self.last_line = next(filter(str.strip, reversed(masked)), self.last_line)
        if self.line_count <= _LINES_OF_REFUSAL:
            shown = [line for line in masked if line.strip()]
            self.line_count += len(shown)
            self.first_lines += shown[:_LINES_OF_REFUSAL]
        data = "".join(f"{line}\n" for line in masked).encode()
        if self._size + len(data) > MOST_BYTES:
            self.is_full = True
            data = data[: data.rfind(b"\n", 0, MOST_BYTES - self._size) + 1]
        take_quota(self._task, len(data))
        self._writer.append(self._file, data)
        self._size += len(data)
        self._report.report_size(self._size)

    async def written(self) -> None:
        """Returns once all lines are on disk. Raises `OSError`, `NodeFailed`."""
        await self._writer.written(self._file)


class _FollowedFile:
    """Writes an output that clients may read while it grows. Runs in one thread at a time.

    size, digest: of the bytes on disk. error: why no more is written.
    """

    def __init__(self, path: Path, shortage: Callable[[int], str | None]) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self.is_open = False
        self._path = path
        self._shortage = shortage
        self._descriptor = -1
        self.error: OSError | NodeFailed | None = None

    def append(self, data: bytes) -> None:
        """Writes data. Raises `OSError`, `NodeFailed`, and the same error at each later call."""
        if self.error is not None:
            raise self.error
        try:
            if not self.is_open:
                self._path.parent.mkdir(mode=0o750, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
                self._descriptor = os.open(self._path, flags, OUTPUT_MODE)
                self.is_open = True
            if data:
                self._write(data)
        except (OSError, NodeFailed) as error:
            self.error = error
            raise

    def _write(self, data: bytes) -> None:
        before, after = self.size // _CHECK_EVERY, (self.size + len(data)) // _CHECK_EVERY
        if (not self.size or before < after) and (shortage := self._shortage(self._descriptor)):
            raise fail(Code.DISK_FULL, shortage)
        try:
            write_all(self._descriptor, data)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)
        self.digest.update(data)

    def close(self) -> None:
        """Closes the file, which is then durable. Raises `OSError`."""
        if not self.is_open:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.error = error
            raise
        finally:
            os.close(self._descriptor)
