"""Holds what kinds of work share that keep the output of commands, as `run` does."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from cucmd import durable, vos
from cucmd.failure import Code, NodeFailed, fail, failure
from cucmd.job.failure import Failure
from cucmd.job.kind import Kind
from cucmd.node.deadlines import form_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Receiver, Report
from cucmd.received_file import ReceivedFile
from cucmd.work.session import back_at_prompt, refusal

OUTPUT_MODE = 0o640
# Bytes of an output that are masked at once; a line has 8 KiB at most.
_PIECE = 16 * 1024


class CommandRuns:
    """Runs the commands that are kept, on one node. `said`: what the last one has printed, as far
    as it is read; `cut`: there is more.

    seconds: how long each may take at most; None: as long as its form says.
    """

    def __init__(
        self,
        task: NodeTask,
        what: Kind,
        session: NodeSession,
        receiver: Receiver,
        report: Report,
        *,
        seconds: float | None = None,
    ) -> None:
        self.said: Sequence[str] = ()
        self.cut = False
        self._task = task
        self._what = what
        self._seconds = seconds
        self._session = session
        self._receiver = receiver
        self._report = report
        self._mask = task.mask

    async def run(self, number: int) -> Failure | None:
        """Runs the command of that number. Returns why it failed, if others may still be run.

        Raises `NodeFailed`.
        """
        command = vos.parse_command(self._what.commands_kept[number - 1])
        clock = form_clock(command.line, self._seconds or command.seconds)
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
                    self.said = vos.take_parsable(lines)
                    self.cut = len(self.said) < len(lines)
                    await self._keep(number, lines, complete=True)
                    if (said := refusal(self._mask, lines)) is None:
                        return None
                    message = f"'{command.line}': the node said: {said}"
                    return failure(Code.COMMAND_REFUSED, message)
                case vos.StoppedAtQuestion(lines=lines, question=question):
                    await self._keep(number, lines, complete=False)
                    message = f"'{command.line}': the node asked {question!r}"
                    message += "; it was ended with Ctrl-C"
                    if (late := await back_at_prompt(self._session)) is not None:
                        raise fail(Code.COMMAND_REFUSED, f"{message}, and {late}")
                    return failure(Code.COMMAND_REFUSED, message)
                case vos.Broken(failure=broken):
                    raise NodeFailed(broken)

    async def _keep(self, number: int, lines: Sequence[str], *, complete: bool) -> None:
        """Writes what a command has printed. Raises `NodeFailed`, `OSError`."""
        text = bytearray()
        turn = 0
        for line in lines:
            text += f"{self._mask(line)}\n".encode()
            if len(text) > turn + _PIECE:  # others have their turn
                turn = len(text)
                await trio.lowlevel.checkpoint()
        content = bytes(text)
        take_quota(self._task, len(content))
        name = self._what.output_of(number, self._task.first_attempt)
        path = self._task.folder / name
        digest = await trio.to_thread.run_sync(self._write, path, content)
        self._report.add_own_file(
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

    def _write(self, path: Path, content: bytes) -> str:
        """Writes it in a worker thread. Returns the SHA-256. Raises `NodeFailed`, `OSError`."""
        path.parent.mkdir(mode=0o750, exist_ok=True)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if shortage := self._receiver.shortage(descriptor):
                raise fail(Code.DISK_FULL, shortage)
        finally:
            os.close(descriptor)
        durable.replace_file(path, (content,), OUTPUT_MODE)
        return hashlib.sha256(content).hexdigest()


def take_quota(task: NodeTask, size: int) -> None:
    """Counts bytes that are to be kept of a node. Raises `NodeFailed` where it may have no more."""
    for limit, allowance in (("node_bytes", task.quota.node), ("job_bytes", task.quota.job)):
        if not allowance.take(size):
            message = f"limits.{limit} = {allowance.size:,} bytes are reached"
            raise fail(Code.QUOTA_EXCEEDED, message, hint=f"raise limits.{limit}")
