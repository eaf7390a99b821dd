"""Gets the files of a packet capture, counts their packets, and removes them from the node on
request.

A file is removed only if it came in this session under the name of this capture, is whole here, can
be read as a capture to its end, and is in the store, where the record survives a kill of the
daemon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import trio
from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.capture import Capture, Captured
from cucmd.job.collect import Collect
from cucmd.node.deadlines import answer_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.received_file import PacketCount, ReceivedFile
from cucmd.work.collect import FileGets, NodeClock, limit_notes, upload_target
from cucmd.work.session import first_and_last_lines, return_to_prompt

# The answer "files: found = 1, deleted = 1".
_REMOVED = re.compile(r"\bdeleted\s{0,8}=\s{0,8}[1-9]", re.IGNORECASE)
# The removal must end this many seconds before the deadlines of the node and the job. Otherwise a
# slow removal could make a complete capture fail.
_TIME_LEFT = 1.0
# How many packets are counted beyond those requested, since a node may write a few more.
_MAY_EXCEED = 1000

_NOTHING = "the node has written no file; its transcript shows what it said to the command"
_NO_CAPTURE = "what came is kept; look at it, and at what the node says to the command in its shell"


class CaptureFiles:
    """Gets the files of a capture from one node, which is at its prompt."""

    def __init__(
        self,
        session: NodeSession,
        task: NodeTask,
        request: Capture,
        ports: Ports,
        report: Report,
    ) -> None:
        self._session = session
        self._task = task
        self._request = request
        self._ports = ports
        self._report = report
        self._mask = task.mask

    async def get(self, captured: Captured, lines: Sequence[str]) -> tuple[str, ...]:
        """Gets the files, and reports their packets. Returns notes. Raises `NodeFailed`.

        lines: what the node printed for the capture command.
        """
        path = vos.capture_path(captured.name)
        request = Collect((path,), location="activelog")
        async with upload_target(self._ports, self._task, self._session, self._report) as target:
            gets = FileGets(
                self._task, request, self._session, target, self._report, ports=self._ports
            )
            result = await gets.get(path, NodeClock())
            if result.nothing is not None:
                raise self._nothing(result.nothing.message, lines)
            files = [
                file for file in target.files() if vos.is_capture_file(_name(file), captured.name)
            ]
        if not files:
            raise self._nothing(f"{path}: no file of the capture came", lines)
        paths = [self._task.folder.parent / file.path for file in files]
        most = self._request.count + _MAY_EXCEED
        answers = await self._ports.readers.count_packets(self._task.folder, paths, most)
        counts = {_name(file): packets for file, packets in zip(files, answers, strict=True)}
        for name, packets in counts.items():
            if packets.wrong is not None:
                message = f"{name} is no packet capture: {packets.wrong}"
                raise fail(Code.TRANSFER_INCOMPLETE, message, hint=_NO_CAPTURE)
        counted = sum(packets.count for packets in counts.values())
        uncounted = [
            f"{name}: how many packets it has is not known: {packets.uncounted}"
            for name, packets in counts.items()
            if packets.uncounted is not None
        ]
        how = captured.how
        if how == "node" and counted >= self._request.count:
            how = "count"
        total = None if uncounted else counted
        self._report.result(replace(captured, packets=total, how=how))
        notes = [*result.notes, *uncounted]
        if total == 0:
            notes.append("no packet matched")
        if how == "node":
            notes.append(f"the node ended the capture by itself{self._quoted(lines)}")
        notes += [
            f"{name} ends within a packet" for name, packets in counts.items() if packets.truncated
        ]
        if self._request.delete:
            notes += await self._remove_whole_files(counts)
        return limit_notes(notes)

    def _nothing(self, message: str, lines: Sequence[str]) -> NodeFailed:
        code = Code.COMMAND_REFUSED if lines else Code.NO_FILES_MATCHED
        return fail(code, f"{message}{self._quoted(lines)}", hint=_NOTHING)

    def _quoted(self, lines: Sequence[str]) -> str:
        lines = [self._mask(line) for line in lines if line.strip()]
        return f"; the node said: {vos.quote(lines)}" if lines else ""

    async def _remove_whole_files(self, counts: dict[str, PacketCount]) -> list[str]:
        """Removes the whole files from the node. Returns notes about files that stay there."""
        names = [name for name, packets in counts.items() if packets == PacketCount(packets.count)]
        notes = [f"{name} stays on the node" for name in counts if name not in names]
        with trio.move_on_at(trio.current_effective_deadline() - _TIME_LEFT):
            not_recorded = None
            try:
                if names:
                    await self._report.record_files()
            except NodeFailed as error:
                not_recorded = error.failure.message
            while names:
                if wrong := not_recorded or await self._remove(names[0]):
                    notes.append(f"{names[0]} was not removed from the node: {wrong}")
                del names[0]
        notes += [f"{name} was not removed from the node: its time was over" for name in names]
        return notes

    async def _remove(self, name: str) -> str | None:
        """Removes one file. Returns why it may still be there, or None."""
        clock = answer_clock(self._task.timeouts, vos.delete_line(name))
        try:
            if self._session.busy:
                return "an earlier command has not ended"
            await self._session.delete_capture(name)
            while True:
                match await self._session.next_event(clock):
                    case vos.CommandDone(lines=lines):
                        shown = first_and_last_lines(lines)
                        if any(_REMOVED.search(line) for line in shown):
                            return None
                        return f"it does not say so{self._quoted(shown)}"
                    case vos.StoppedAtQuestion(question=question):
                        await return_to_prompt(self._session)
                        return f"it asked {question!r}, and was given Ctrl-C"
                    case vos.Broken(failure=broken):
                        return broken.message
        except NodeFailed as error:
            return error.failure.message


def _name(file: ReceivedFile) -> str:
    return PurePosixPath(file.path).name
