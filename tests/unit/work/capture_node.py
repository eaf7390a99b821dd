"""A node that captures packets."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio

from cucmd import vos
from cucmd.job.capture import Capture
from rig.scripted_node import COMPLETED, GREETING, Node, Script, announce, matches_nothing

NAME = "cucmd_0a1b2c3d4e5f"
WORK = Capture(NAME, count=1000, duration=60)
LINE = f"utils network capture eth0 file {NAME} count 1000 size all"
STATUS = ["Disk/logging 69234984K 25315340K 40379628K (61%)"]

Act = Callable[[Node], Awaitable[None]]


def pcap(packets: int, *, cut: int = 0) -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    packet = struct.pack("<IIII", 1, 2, 60, 60) + b"x" * 60
    return (header + packet * packets)[: -cut or None]


async def until_ctrl_c(node: Node) -> None:
    await ctrl_c(node, 1)


async def ctrl_c(node: Node, times: int) -> None:
    """Waits for so many Ctrl-C, after which the prompt comes."""
    while times:
        line = await node.read_line()
        assert line in ("^C", ""), f"{line!r} was typed into a capture"
        times -= line == "^C"


async def until_enter(node: Node) -> None:
    """Waits for Ctrl-C and an empty line, after which the prompt comes."""
    await until_ctrl_c(node)
    while await node.read_line() != "":
        pass


async def for_ever(node: Node) -> None:
    while True:
        assert await node.read_line() in ("^C", ""), "typed into a capture"


def after(seconds: float, *said: str) -> Act:
    async def act(node: Node) -> None:
        await trio.sleep(seconds)
        if said:
            await node.say(*said)

    return act


class CaptureNode:
    """Plays a node with files of a capture. folder: of its task."""

    def __init__(
        self,
        folder: Path,
        files: dict[str, bytes] | None = None,
        *,
        runs: Act = until_ctrl_c,
        status: Sequence[str] = STATUS,
        deletes: Act | None = None,
        echoes_after: float = 0.0,  # seconds, of the line of the capture
    ) -> None:
        self.folder = folder
        self.files = {f"{NAME}.cap": pcap(3)} if files is None else files
        self.runs = runs
        self.status = status
        self.deletes = deletes or after(0, "files: found = 1, deleted = 1")
        self.removed: list[str] = []
        self.captures = 0
        self.echoes_after = echoes_after

    @property
    def script(self) -> Script:
        async def script(node: Node) -> None:
            await node.say(*GREETING)
            await node.prompt()
            while (line := await node.read_line()) != "quit":
                await self._answer(node, line)
                await node.prompt()
                if line == vos.SHOW_STATUS:
                    await trio.sleep(self.echoes_after)

        return script

    async def _answer(self, node: Node, line: str) -> None:
        if line == vos.SHOW_STATUS:
            await node.say(*self.status)
        elif line.startswith("utils network capture"):
            self.captures += 1
            await node.say("Executing command with options:", " size=ALL", "")
            await self.runs(node)
        elif line.startswith("file get"):
            await self._push(node)
        elif line.startswith("file delete"):
            self.removed.append(line)
            await self.deletes(node)

    async def _push(self, node: Node) -> None:
        if not self.files:
            await matches_nothing(node, "")
            return
        await announce(node, len(self.files), sum(map(len, self.files.values())))
        for name, content in self.files.items():
            path = f"files/192.0.2.9/1/platform/cli/{name}"
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)
            node.target.store(f"{self.folder.name}/{path}", len(content))
        await node.say(COMPLETED)
