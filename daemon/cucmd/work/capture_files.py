"""Gets the files of a packet capture, counts their packets, and removes them from the node.

Nothing is removed but files that came in this session, under the name of this capture, that are
whole here, can be read as captures to their end, and are on record: a daemon that is killed then
still knows that they are complete.
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
from cucmd.work.collect import FileGets, NodeClock, at_most_notes, upload_target
from cucmd.work.session import back_at_prompt, both_ends

# "files: found = 1, deleted = 1"
_DELETED = re.compile(r"\bdeleted\s{0,8}=\s{0,8}[1-9]", re.IGNORECASE)
# Seconds that are left of the deadlines of node and job after the removal: what is complete does
# not fail for it.
_LEFT = 1.0
# Packets beyond those that were asked for which are counted: a node may write some more.
_MORE = 1000

_NOTHING = "the node has written no file; its transcript shows what it said to the command"
_NO_CAPTURE = "what came is kept; look at it, and at what the node says to the command in its shell"


class CaptureFiles:
    """Collects the files of a capture on one node, which is at its prompt."""

    def __init__(
        self,
        session: NodeSession,
        task: NodeTask,
        what: Capture,
        ports: Ports,
        report: Report,
    ) -> None:
        self._session = session
        self._task = task
        self._what = what
        self._ports = ports
        self._report = report
        self._mask = task.mask

    async def get(self, captured: Captured, said: Sequence[str]) -> tuple[str, ...]:
        """Gets the files, and reports their packets. Returns notes. Raises `NodeFailed`.

        `said`: by the node, to the command.
        """
        path = vos.capture_path(captured.name)
        what = Collect((path,), location="activelog")
        async with upload_target(self._ports, self._task, self._session, self._report) as target:
            gets = FileGets(
                self._task, what, self._session, target, self._report, ports=self._ports
            )
            result = await gets.get(path, NodeClock())
            if result.nothing is not None:
                raise self._nothing(result.nothing.message, said)
            came = [
                file for file in target.files() if vos.is_capture_file(_name(file), captured.name)
            ]
        if not came:
            raise self._nothing(f"{path}: no file of the capture came", said)
        found = await self._count(came)
        counted = sum(one.count for one in found.values())
        uncounted = [
            f"{name}: how many packets it has is not known: {one.uncounted}"
            for name, one in found.items()
            if one.uncounted is not None
        ]
        how = captured.how
        if how == "node" and counted >= self._what.count:
            how = "count"
        packets = None if uncounted else counted
        self._report.result(replace(captured, packets=packets, how=how))
        notes = [*result.notes, *uncounted]
        if packets == 0:
            notes.append("no packet matched")
        if how == "node":
            notes.append(f"the node ended the capture by itself{self._quoted(said)}")
        notes += [f"{name} ends within a packet" for name, one in found.items() if one.truncated]
        if self._what.delete:
            notes += await self._delete(found)
        return at_most_notes(notes)

    def _nothing(self, message: str, said: Sequence[str]) -> NodeFailed:
        code = Code.COMMAND_REFUSED if said else Code.NO_FILES_MATCHED
        return fail(code, f"{message}{self._quoted(said)}", hint=_NOTHING)

    def _quoted(self, said: Sequence[str]) -> str:
        lines = [self._mask(line) for line in said if line.strip()]
        return f"; the node said: {vos.quote(lines)}" if lines else ""

    async def _count(self, files: Sequence[ReceivedFile]) -> dict[str, PacketCount]:
        """Counts the packets in each file, by its name."""
        paths = [self._task.folder.parent / file.path for file in files]
        most = self._what.count + _MORE
        counts = await self._ports.readers.count_packets(self._task.folder, paths, most)
        found = {_name(file): one for file, one in zip(files, counts, strict=True)}
        for name, one in found.items():
            if one.wrong is not None:
                message = f"{name} is no packet capture: {one.wrong}"
                raise fail(Code.TRANSFER_INCOMPLETE, message, hint=_NO_CAPTURE)
        return found

    async def _delete(self, found: dict[str, PacketCount]) -> list[str]:
        """Removes the files that are whole from the node. Returns notes: nothing fails any more."""
        whole = [name for name, one in found.items() if one == PacketCount(one.count)]
        notes = [f"{name} stays on the node" for name in found if name not in whole]
        with trio.move_on_at(trio.current_effective_deadline() - _LEFT):
            unrecorded = await self._file() if whole else None
            while whole:
                if wrong := unrecorded or await self._delete_one(whole[0]):
                    notes.append(f"{whole[0]} was not removed from the node: {wrong}")
                del whole[0]
        notes += [f"{name} was not removed from the node: its time was over" for name in whole]
        return notes

    async def _file(self) -> str | None:
        """Puts what came on record. Why that failed, or None."""
        try:
            await self._report.record_files()
        except NodeFailed as error:
            return error.failure.message
        return None

    async def _delete_one(self, name: str) -> str | None:
        """Removes one file. Why that is not known to have happened, or None."""
        clock = answer_clock(self._task.timeouts, vos.delete_line(name))
        try:
            if self._session.busy:
                return "an earlier command has not ended"
            await self._session.delete_capture(name)
            while True:
                match await self._session.next_event(clock):
                    case vos.CommandDone(lines=lines):
                        said = both_ends(lines)
                        if any(_DELETED.search(line) for line in said):
                            return None
                        return f"it does not say so{self._quoted(said)}"
                    case vos.StoppedAtQuestion(question=question):
                        await back_at_prompt(self._session)
                        return f"it asked {question!r}, and was given Ctrl-C"
                    case vos.Broken(failure=broken):
                        return broken.message
        except NodeFailed as error:
            return error.failure.message


def _name(file: ReceivedFile) -> str:
    return PurePosixPath(file.path).name
