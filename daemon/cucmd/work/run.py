"""Running commands that only read on a node: log in, run one after the other, close.

Nothing is typed but a form of `vos/forms.py`, and no question is answered.

How a command ends, and what follows

    the prompt comes       its output is kept; the next command
    the node refuses it    its output is kept; the next command; the node fails at the end
    a question comes       Ctrl-C; what came before it is kept; the next command; the node fails at
                           the end
    its time is over       what came is kept; the node fails now, with no further command: a node
                           that hangs is left alone

At the end of a collection some are run too, its snapshot. All files are here by then, so nothing
fails any more: what went wrong is a note.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from cucmd import durable, vos
from cucmd.failure import Code, Failure, NodeFailed, fail, failure
from cucmd.job.node import Phase
from cucmd.job.run import Run
from cucmd.node.deadlines import FormClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Receiver, Report
from cucmd.received_file import ReceivedFile
from cucmd.vos.secrets import Secrets
from cucmd.work.session import answer, back_at_prompt, logged_in, refusal

_MODE = 0o640
# Bytes of an output that are masked at once; a line has 8 KiB at most.
_PIECE = 16 * 1024
# Commands that are named in the message of a node that failed.
_MOST_SAID = 5
# Seconds that are left of the deadlines of node and job after a snapshot.
_LEFT = 1.0


async def run(task: NodeTask, what: Run, ports: Ports, report: Report) -> tuple[str, ...]:
    """Runs the commands, and keeps what they print. Returns notes. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        await answer(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        runs = _CommandRuns(task, what, session, ports, report)
        failed = [await runs.run(number) for number in range(1, len(what.commands) + 1)]
        report.phase(Phase.CLOSE)
        _raise_failed([one for one in failed if one is not None], len(failed))
        return ()


async def take_snapshot(
    session: NodeSession, task: NodeTask, what: Run, receiver: Receiver, report: Report
) -> tuple[str, ...]:
    """Runs the commands, and keeps what they print. Returns notes.

    After one that is refused or asks a question the next is run; after one that does not come to
    its end none is.
    """
    wrong: list[str] = []
    left = trio.current_effective_deadline() - trio.current_time() - _LEFT
    with trio.move_on_after(max(left, 0.0)) as time_left:
        try:
            if (late := await back_at_prompt(session)) is not None:
                raise fail(Code.COMMAND_TIMEOUT, late)
            runs = _CommandRuns(task, what, session, receiver, report)
            for number in range(1, len(what.commands) + 1):
                failed = await runs.run(number)
                wrong += [failed.message] if failed is not None else []
        except NodeFailed as error:
            wrong.append(error.failure.message)
        except OSError as error:
            wrong.append(f"it cannot be written: {error.strerror or error}")
    if time_left.cancelled_caught:
        wrong.append("the time of the node or the job was over before its end")
    return (f"the snapshot is not whole: {'; '.join(wrong)}",) if wrong else ()


def _raise_failed(failed: Sequence[Failure], commands: int) -> None:
    if not failed:
        return
    said = [one.message for one in failed[:_MOST_SAID]]
    if more := len(failed) - len(said):
        said.append(f"and {more} more")
    count = f"{len(failed)} of {commands} commands: " if commands > 1 else ""
    raise fail(Code.COMMAND_REFUSED, count + "; ".join(said))


class _CommandRuns:
    """Runs the commands on one node."""

    def __init__(
        self,
        task: NodeTask,
        what: Run,
        session: NodeSession,
        receiver: Receiver,
        report: Report,
    ) -> None:
        self._task = task
        self._what = what
        self._session = session
        self._receiver = receiver
        self._report = report
        self._mask = Secrets((task.login.password,)).mask

    async def run(self, number: int) -> Failure | None:
        """Runs the command of that number. Returns why it failed, if others may still be run.

        Raises `NodeFailed`.
        """
        command = vos.parse_command(self._what.commands[number - 1])
        clock = FormClock(command.line, self._what.seconds or command.seconds)
        await self._session.run(command)
        while True:
            try:
                event = await self._session.next_event(clock)
            except NodeFailed:
                if output := self._session.output:
                    await self._keep(number, output, complete=False)
                raise
            match event:
                case vos.CommandDone(lines=lines):
                    await self._keep(number, lines, complete=True)
                    return self._refusal(command, lines)
                case vos.Asked(lines=lines, question=question):
                    await self._keep(number, lines, complete=False)
                    return await self._end_question(command, question)
                case vos.Broken(failure=broken):
                    raise NodeFailed(broken)

    def _refusal(self, command: vos.Command, lines: Sequence[str]) -> Failure | None:
        said = refusal(self._mask, lines)
        if said is None:
            return None
        return failure(Code.COMMAND_REFUSED, f"'{command.line}': the node said: {said}")

    async def _end_question(self, command: vos.Command, question: str) -> Failure:
        message = f"'{command.line}': the node asked {question!r}; it was ended with Ctrl-C"
        if (late := await back_at_prompt(self._session)) is not None:
            raise fail(Code.COMMAND_REFUSED, f"{message}, and {late}")
        return failure(Code.COMMAND_REFUSED, message)

    async def _keep(self, number: int, lines: Sequence[str], *, complete: bool) -> None:
        """Writes what a command has printed. Raises `NodeFailed`, `OSError`."""
        content = await self._content(lines)
        self._take(len(content))
        name = self._what.output_of(number)
        path = self._task.folder / name
        digest = await trio.to_thread.run_sync(self._write, path, content)
        self._report.kept(
            ReceivedFile(
                node=self._task.node,
                path=f"{self._task.folder.name}/{name}",
                size=len(content),
                sha256=digest,
                closed=True,
                complete=complete,
                modified=int(time.time()),
            )
        )

    async def _content(self, lines: Sequence[str]) -> bytes:
        """The text of the output, masked. Others have their turn in between."""
        content = bytearray()
        turn = 0
        for line in lines:
            content += f"{self._mask(line)}\n".encode()
            if len(content) > turn + _PIECE:
                turn = len(content)
                await trio.lowlevel.checkpoint()
        return bytes(content)

    def _take(self, size: int) -> None:
        quota = self._task.quota
        for limit, allowance in (("node_bytes", quota.node), ("job_bytes", quota.job)):
            if not allowance.take(size):
                message = f"limits.{limit} = {allowance.size} bytes are reached"
                raise fail(Code.QUOTA_EXCEEDED, message, hint=f"raise limits.{limit}")

    def _write(self, path: Path, content: bytes) -> str:
        """In a worker thread. Returns the SHA-256. Raises `NodeFailed`, `OSError`."""
        path.parent.mkdir(mode=0o750, exist_ok=True)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if shortage := self._receiver.shortage(descriptor):
                raise fail(Code.DISK_FULL, shortage)
        finally:
            os.close(descriptor)
        durable.replace_file(path, (content,), _MODE)
        return hashlib.sha256(content).hexdigest()
