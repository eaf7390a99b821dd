"""Following a file on one node while it grows: log in, begin `file tail`, keep its lines as they
come, and end it with Ctrl-C.

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

Another try in the same job goes on behind what is kept: lines that came during a failure are not
to be had again.

A file that does not grow says nothing for as long as that lasts, so there is no stall.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.follow import Follow
from cucmd.job.node import Phase
from cucmd.node.deadlines import AnswerClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Receiver, Report, Together
from cucmd.node.transcript_file import write_all
from cucmd.received_file import ReceivedFile
from cucmd.vos.secrets import Secrets
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
    together = task.together
    assert together is not None, "jobs/together.py gives it to every task of a job to follow"
    with together.until_begun(task.node):
        async with logged_in(task, ports, report) as session:
            await answer(session, task, vos.PAGER_OFF)
            if together.stopped:  # by a call that came with the last bytes of the answer
                return (_NOT_BEGUN,)
            report.phase(Phase.COMMAND)
            with together.at_it(task.node):
                async with _kept(task, what, ports, report) as output:
                    notes = await _followed(session, task, what, output, together)
            notes += (_EARLIER,) if output.earlier else ()
            report.phase(Phase.CLOSE)
            return notes
    return (_NOT_BEGUN,)


async def _followed(
    session: NodeSession, task: NodeTask, what: Follow, output: _Output, together: Together
) -> tuple[str, ...]:
    await session.tail(vos.parse_tail(what.line))
    ended = False
    with together.until_stopped() as scope:
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
    elif not together.stopped:
        notes = (f"it was ended after {what.duration:g} s, as was asked for",)
    return (*notes, *await _ended_by_ctrl_c(session, output))


async def _ended_by_ctrl_c(session: NodeSession, output: _Output) -> tuple[str, ...]:
    """Keeps what comes meanwhile. Returns a note where the node is not at its prompt then."""
    notes: tuple[str, ...] = ()
    said: Sequence[str] = ()
    try:
        with trio.move_on_after(ENDED_WITHIN) as scope:
            said = await session.interrupt()
        if scope.cancelled_caught:
            notes = (f"no prompt came within {ENDED_WITHIN:g} s of Ctrl-C; its session was closed",)
    except NodeFailed as error:  # the connection is gone, and what ran with it
        notes = (error.failure.message,)
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
    clock: AnswerClock | None = AnswerClock(task.timeouts, what.line)
    idle_ends = trio.current_time() + vos.LONGEST_TAIL
    while not output.full:
        match await session.next_event(clock):
            case vos.Taken():
                clock = None
                if scope is not None:
                    ends = trio.current_time() + what.duration
                    scope.deadline = min(ends, idle_ends - _BEFORE_IDLE_ENDS)
            case vos.Printed(lines=lines):
                output.add(lines)
            case vos.CommandDone():
                return True
            case vos.Broken(failure=broken):
                raise NodeFailed(broken)
    return False


def _check_not_refused(output: _Output) -> None:
    said = output.first
    if output.lines > _FEW:
        said = [output.last]
        if not vos.refused_in(said):
            return
    message = f"the node did not follow the file; it said: {vos.quoted(said) or 'nothing'}"
    if any(NO_SUCH_FILE in line.lower() for line in said):
        raise fail(Code.INVALID_PATH, message)
    raise fail(Code.COMMAND_REFUSED, message, hint=_HINT)


@asynccontextmanager
async def _kept(
    task: NodeTask, what: Follow, receiver: Receiver, report: Report
) -> AsyncIterator[_Output]:
    """The file of what is printed. It is put on record at the end, however that comes."""
    output = await trio.to_thread.run_sync(_Output, task, what, receiver, report)
    whole = False
    try:
        yield output
        whole = True
    finally:
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(output.close)
            finally:
                report.kept(output.record(complete=whole))


class _Output:
    """What a node has printed, as it grows on disk, where others read it meanwhile.

    full: no more is kept. earlier: it begins with what an earlier try has kept. lines: how many
    came that are not empty; first: the first of them, and last, as they may be shown.
    """

    def __init__(self, task: NodeTask, what: Follow, receiver: Receiver, report: Report) -> None:
        """In a worker thread. Raises `NodeFailed`, `OSError`."""
        self.full = False
        self.lines = 0
        self.first: list[str] = []
        self.last = ""
        self._task = task
        self._receiver = receiver
        self._report = report
        self._name = what.output_of(1)
        self._mask = Secrets((task.login.password,)).mask
        self._size = 0
        self._digest = hashlib.sha256()
        path = task.folder / self._name
        path.parent.mkdir(mode=0o750, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, OUTPUT_MODE)
        self._take_earlier()
        self.earlier = bool(self._size)

    def _take_earlier(self) -> None:
        """An earlier try has kept it; it may have been killed in the middle of a line."""
        piece = b""
        while more := os.pread(self._descriptor, _CHECK_EVERY, self._size):
            piece = more
            self._size += len(piece)
            self._digest.update(piece)
        if not piece.endswith(b"\n") and self._size:
            self._write(b"\n")

    def add(self, lines: Iterable[str]) -> None:
        """Writes the lines. Raises `NodeFailed`, `OSError`.

        Here and not in a thread, as the transcript is: nothing may wait between an event of the
        session and the disk, or a stop would lose it.
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
        before, after = self._size // _CHECK_EVERY, (self._size + len(data)) // _CHECK_EVERY
        if (not self._size or before < after) and (
            shortage := self._receiver.shortage(self._descriptor)
        ):
            raise fail(Code.DISK_FULL, shortage)
        self._write(data)
        self._report.growing(self._size)

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._descriptor, data)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        self._digest.update(data)

    def _count(self, masked: Sequence[str]) -> None:
        self.last = next(filter(str.strip, reversed(masked)), self.last)
        if self.lines <= _FEW:
            said = [line for line in masked if line.strip()]
            self.lines += len(said)
            self.first += said[:_FEW]

    def close(self) -> None:
        """In a worker thread. Raises `OSError`."""
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def record(self, *, complete: bool) -> ReceivedFile:
        return ReceivedFile(
            node=self._task.node,
            path=f"{self._task.folder.name}/{self._name}",
            size=self._size,
            sha256=self._digest.hexdigest(),
            closed=True,
            complete=complete,
            modified=int(time.time()),
        )
