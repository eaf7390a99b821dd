"""Runs commands and keeps their output in files, for `run`, `health` and snapshots."""

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
from cucmd.work.session import refusal_text, return_to_prompt

OUTPUT_MODE = 0o640
# Bytes of an output that are masked before other tasks get a turn. A line has at most 8 KiB.
_PIECE = 16 * 1024


class CommandRuns:
    """Runs the commands of a request on one node, and keeps their output.

    lines: output of the last command that a parser may read. is_truncated: the node printed more.
    seconds: how long each command may take; None for the time of its form.
    """

    def __init__(
        self,
        task: NodeTask,
        request: Kind,
        session: NodeSession,
        receiver: Receiver,
        report: Report,
        *,
        seconds: float | None = None,
    ) -> None:
        self.lines: Sequence[str] = ()
        self.is_truncated = False
        self._task = task
        self._request = request
        self._seconds = seconds
        self._session = session
        self._receiver = receiver
        self._report = report
        self._mask = task.mask

    async def run(self, number: int) -> Failure | None:
        """Runs the command with this number, counted from 1.

        Returns a failure after which other commands can be run, or None. Raises `NodeFailed`.
        """
        command = vos.parse_command(self._request.commands_kept[number - 1])
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
                    self.lines = vos.take_parsable(lines)
                    self.is_truncated = len(self.lines) < len(lines)
                    await self._keep(number, lines, complete=True)
                    if (refused := refusal_text(self._mask, lines)) is None:
                        return None
                    problem = f"'{command.line}': the node said: {refused}"
                    return failure(Code.COMMAND_REFUSED, problem)
                case vos.StoppedAtQuestion(lines=lines, question=question):
                    await self._keep(number, lines, complete=False)
                    problem = f"'{command.line}': the node asked {question!r}"
                    problem += "; the command was ended with Ctrl-C"
                    if (late := await return_to_prompt(self._session)) is not None:
                        raise fail(Code.COMMAND_REFUSED, f"{problem}, and {late}")
                    return failure(Code.COMMAND_REFUSED, problem)
                case vos.Broken(failure=broken):
                    raise NodeFailed(broken)

    async def _keep(self, number: int, lines: Sequence[str], *, complete: bool) -> None:
        """Writes the output of a command to its file. Raises `NodeFailed`, `OSError`."""
        masked_output = bytearray()
        last_checkpoint = 0
        for line in lines:
            masked_output += f"{self._mask(line)}\n".encode()
            if len(masked_output) > last_checkpoint + _PIECE:
                last_checkpoint = len(masked_output)
                await trio.lowlevel.checkpoint()
        content = bytes(masked_output)
        take_quota(self._task, len(content))
        name = self._request.output_of(number, self._task.first_attempt)
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
        """Writes the file in a worker thread. Returns its SHA-256. Raises as `_keep` does."""
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
    """Counts bytes against the quota of a node. Raises `NodeFailed` if they exceed a limit."""
    for limit, allowance in (("node_bytes", task.quota.node), ("job_bytes", task.quota.job)):
        if not allowance.take(size):
            message = f"limits.{limit} = {allowance.size:,} bytes are reached"
            raise fail(Code.QUOTA_EXCEEDED, message, hint=f"raise limits.{limit}")
