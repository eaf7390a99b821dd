"""Follows a file on one node while it grows: logs in, begins `file tail`, keeps its lines as they
come, and ends it with Ctrl-C.

How it ends, and what follows

    its duration is over        Ctrl-C; the node succeeds, and a note says so
    as much came as is kept     the same
    `stop` of the job           Ctrl-C; the node succeeds. One that has not come so far succeeds at
                                once, with a note
    the prompt comes            after a few lines, or none, they say why the node refuses it, and it
                                fails; so it does after many if the last one is a refusal; else the
                                node has ended it by itself, which a note says
    no prompt after Ctrl-C      a note: it ends with its session, and all that was wanted is here.
                                So it is where the connection is lost then
    a cancel, a deadline        what came is kept, and is not whole; the end of the session sends
    the connection is lost      Ctrl-C

Each try in the same job has a file of its own. It begins with a copy of what the try before has
kept, since a node does not print again the lines that came during a failure.

A file that does not grow says nothing for as long as that lasts, so there is no stall.

The lines are written in a thread (`node/file_writer.py`). The session is read on once they are on
disk, so what waits for a disk that hangs is little; the end of the session does not wait for it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.follow import Follow
from cucmd.job.node import Phase
from cucmd.node.deadlines import LineClock, answer_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import JointRun, NodeTask, Ports, Report
from cucmd.node.transcript_file import write_all
from cucmd.received_file import ReceivedFile
from cucmd.vos.texts import NO_SUCH_FILE
from cucmd.work.commands import OUTPUT_MODE, take_quota
from cucmd.work.session import answer, logged_in

# Bytes that are kept of a node. A session reads 128 KiB a second of one that prints without end.
MOST = 64 * 1024 * 1024
# Bytes between two looks at the free space.
_CHECK_EVERY = 64 * 1024
# Seconds until the prompt after Ctrl-C. Nobody loses anything by a node that takes longer.
ENDED_WITHIN = 10.0
# Seconds by which Ctrl-C comes before the node ends the session as an idle one.
_BEFORE_IDLE_ENDS = 10.0
# Seconds within which a prompt is confirmed, or more has come.
_CONFIRMED_WITHIN = 5.0
# Lines, at most, that are no log but the words of a node that refuses. How it says so of an account
# without the right is not known (vos/NODES.md, section 6.18).
_FEW = 5

_EARLIER = "what an earlier try has kept stands before what this one has"
_NOT_BEGUN = "it was ended before it began on this node"
_HINT = (
    "file tail needs an account of privilege level 1; if this is one, try the command in the "
    "node's own shell"
)


async def follow(task: NodeTask, what: Follow, ports: Ports, report: Report) -> tuple[str, ...]:
    """Follows the file, and keeps what is printed. Returns notes. Raises `NodeFailed`."""
    joint_run = task.joint_run
    assert joint_run is not None, "jobs/joint_run.py gives it to every task of a job to follow"
    with joint_run.preparing(task.node):
        # The session is closed before what has come is waited for.
        async with (
            _kept(task, what, ports, report) as output,
            logged_in(task, ports, report) as session,
        ):
            await answer(session, task, vos.PAGER_OFF)
            if joint_run.stopped:  # by a call that came with the last bytes of the answer
                return (_NOT_BEGUN,)
            report.phase(Phase.COMMAND)
            with joint_run.working(task.node):
                # The number of the attempt is in the store before the file that is named after it
                # exists: so no later attempt uses the name again.
                await report.wait_saved()
                await output.open()
                notes = await _followed(session, task, what, output, joint_run)
                output.whole = True
            notes += (_EARLIER,) if output.earlier else ()
            report.phase(Phase.CLOSE)
            return notes
    return (_NOT_BEGUN,)


async def _followed(
    session: NodeSession, task: NodeTask, what: Follow, output: _Output, joint_run: JointRun
) -> tuple[str, ...]:
    await session.tail(vos.parse_tail(what.line))
    ended = False
    with joint_run.until_stopped() as scope:
        ended = await _until_it_ends(session, task, what, output, scope)
    if not ended and session.seems_done:
        # It may have refused it just now, and that is no end that somebody has wanted.
        with trio.move_on_after(_CONFIRMED_WITHIN):
            ended = await _until_it_ends(session, task, what, output)
    if ended:
        _check_not_refused(output)
        return ("the node ended it by itself",)
    notes: tuple[str, ...] = ()
    if output.full:
        notes = (f"it was ended, since {MOST // 1024**2} MiB had come: no more is kept",)
    elif not joint_run.stopped:
        notes = (f"it was ended after {what.duration:g} s, as was asked for",)
    said: Sequence[str] = ()
    try:
        with trio.move_on_after(ENDED_WITHIN) as ending:
            said = await session.interrupt()
        if ending.cancelled_caught:
            late = f"no prompt came within {ENDED_WITHIN:g} s of Ctrl-C; its session was closed"
            notes += (late,)
    except NodeFailed as error:  # the connection is gone, and what ran with it
        notes += (error.failure.message,)
    output.add(said or session.take_lines())
    return notes


async def _until_it_ends(
    session: NodeSession,
    task: NodeTask,
    what: Follow,
    output: _Output,
    scope: trio.CancelScope | None = None,
) -> bool:
    """Returns once it is to be ended; True: once the node has. Raises `NodeFailed`.

    scope: what a stop cancels; its deadline is set once the node has taken the command. None: a
    stop has come, or the end of it.
    """
    clock: LineClock | None = answer_clock(task.timeouts, what.line)
    idle_ends = trio.current_time() + vos.LONGEST_TAIL
    while not output.full:
        match await session.next_event(clock):
            case vos.Started():
                clock = None
                if scope is not None:
                    ends = trio.current_time() + what.duration
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
    said = output.first
    if output.lines > _FEW:
        said = [output.last]
        if not vos.is_refusal(said):
            return
    message = f"the node did not follow the file; it said: {vos.quote(said) or 'nothing'}"
    if any(NO_SUCH_FILE in line.lower() for line in said):
        raise fail(Code.INVALID_PATH, message)
    raise fail(Code.COMMAND_REFUSED, message, hint=_HINT)


@asynccontextmanager
async def _kept(
    task: NodeTask, what: Follow, ports: Ports, report: Report
) -> AsyncIterator[_Output]:
    """Keeps what is printed. Its file, if opened, is put on record at the end, however that comes.

    Nothing cancels that: what is on its way to the disk is not lost.
    """
    output = _Output(task, what, ports, report)
    try:
        yield output
    finally:
        with trio.CancelScope(shield=True):
            try:
                await output.close()
            finally:
                if (file := output.record()) is not None:
                    report.add_own_file(file)


class _Output:
    """Keeps what a node has printed.

    full: no more is kept. earlier: it begins with what an earlier try has kept. lines: how many
    came that are not empty; first: the first of them, and last, as they may be shown. whole: all
    came that was wanted.
    """

    def __init__(self, task: NodeTask, what: Follow, ports: Ports, report: Report) -> None:
        self.full = False
        self.whole = False
        self.lines = 0
        self.first: list[str] = []
        self.last = ""
        self._task = task
        self._writer = ports.writer
        self._report = report
        self._name = what.output_of(1, task.first_attempt)
        self._mask = task.mask
        earlier = [task.folder / what.output_of(1, one) for one in range(1, task.first_attempt)]
        self._file = _OutputFile(task.folder / self._name, earlier[::-1], ports.shortage)
        self._begun = False
        self._size = 0  # with what is on its way to the disk

    @property
    def earlier(self) -> bool:
        return self._file.earlier

    async def open(self) -> None:
        """Raises `OSError`, `NodeFailed`."""
        self._begun = True
        await self.written()
        self._size = self._file.size

    def add(self, lines: Iterable[str]) -> None:
        """Writes the lines soon. Raises `NodeFailed`.

        It does not wait: nothing may between an event of the session and its bytes being given to
        the writer, or a stop would lose it.
        """
        if self.full:
            return
        masked = [self._mask(line) for line in lines]
        self._count(masked)
        data = "".join(f"{line}\n" for line in masked).encode()
        if self._size + len(data) > MOST:
            self.full = True
            data = data[: data.rfind(b"\n", 0, MOST - self._size) + 1]
        take_quota(self._task, len(data))
        self._writer.append(self._file, data)
        self._size += len(data)
        self._report.report_size(self._size)

    async def written(self) -> None:
        """Returns once all lines are on disk. Raises `OSError`, `NodeFailed`."""
        await self._writer.written(self._file)

    def _count(self, masked: Sequence[str]) -> None:
        self.last = next(filter(str.strip, reversed(masked)), self.last)
        if self.lines <= _FEW:
            said = [line for line in masked if line.strip()]
            self.lines += len(said)
            self.first += said[:_FEW]

    async def close(self) -> None:
        """Closes the file, which is durable on return. Raises `OSError`, `NodeFailed`."""
        if not self._begun:
            return
        try:
            await self.written()
        finally:
            # Not in the writer's thread: the transcripts of others would wait for it.
            await trio.to_thread.run_sync(self._file.close)

    def record(self) -> ReceivedFile | None:
        """Returns the record of what is on disk, once it is closed; None: there is no file."""
        file = self._file
        if not file.opened:
            return None
        return ReceivedFile(
            node=self._task.node,
            path=f"{self._task.folder.name}/{self._name}",
            size=file.size,
            sha256=file.digest.hexdigest(),
            closed=True,
            complete=self.whole and file.error is None,
            modified=int(time.time()),
        )


class _OutputFile:
    """Writes an output, whose file others read as it grows; in worker threads, one at a time.

    earlier_paths: where earlier tries may have kept something, the last one first.
    size, digest: of what is on disk. earlier: the file begins with what the last of them has kept.
    error: why no more is written.
    """

    def __init__(
        self, path: Path, earlier_paths: Sequence[Path], shortage: Callable[[int], str | None]
    ) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self.earlier = False
        self.opened = False
        self._path = path
        self._earlier_paths = earlier_paths
        self._shortage = shortage
        self._descriptor = -1
        self.error: OSError | NodeFailed | None = None

    def append(self, data: bytes) -> None:
        """Raises `OSError`, `NodeFailed`; nothing is written after that."""
        if self.error is not None:
            raise self.error
        try:
            if not self.opened:
                self._open()
            if data:
                self._write(data)
        except (OSError, NodeFailed) as error:
            self.error = error
            raise

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o750, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, OUTPUT_MODE)
        self.opened = True
        for path in self._earlier_paths:
            try:
                earlier = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:  # that try has not come so far
                continue
            with os.fdopen(earlier, "rb") as file:
                piece = b""
                while more := file.read(_CHECK_EVERY):
                    piece = more
                    self._write(piece)
            if piece and not piece.endswith(b"\n"):  # the daemon was killed within a line
                self._write(b"\n")
            break
        self.earlier = bool(self.size)

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
        """Closes the file, which is durable on return. Raises `OSError`."""
        if not self.opened:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.error = error
            raise
        finally:
            os.close(self._descriptor)
