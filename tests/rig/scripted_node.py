"""Plays a node for unit tests of `work/`: a script is the node's side of the dialogue.

There is no network, and time is virtual. The receiver only notes the files that come. Every shell
that is closed is counted.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from cucmd import vos
from cucmd.failure import NodeFailed
from cucmd.job.capture import Captured
from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.job.kind import Result
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import Credentials, NodeTask, Retry, Session
from cucmd.received_file import ReceivedFile
from cucmd.work.collect import collect
from rig.scripted_target import Readers, Target, WritesAtOnce

GREETING = (
    "Command Line Interface is starting up, please wait ...",
    "",
    "   Welcome to the Platform Command Line Interface",
    "",
)
GATHERING = "Please wait while the system is gathering files info ..."
COMPLETED = "Transfer completed."
NO_SUCH_FILE = "no such file or directory can be found"
QUESTIONS = (
    "Would you like to proceed [y/n]?",
    "SFTP server IP:",
    "SFTP server port [22]:",
    "User ID:",
    "Password:",
    "Download directory:",
)

_LINE = re.compile(rb"[^\r\n\x03]*[\r\n\x03]")

Script = Callable[["Node"], Awaitable[None]]


class NodeClosed(Exception):
    """Raised in a script when the daemon has closed the shell."""


class Node:
    """Plays a node. It is also the shell, and the ports of the work on the node."""

    local_address = "192.0.2.1"
    peer_address = "192.0.2.9"
    port = 2222
    prompt_shown = "admin:"
    readers = Readers()

    def __init__(self, script: Script, nursery: trio.Nursery) -> None:
        self.writer = WritesAtOnce()
        self._script = script
        self._nursery = nursery
        self._to_us, self._from_node = trio.open_memory_channel[bytes](1000)
        self._to_node, self._received = trio.open_memory_channel[bytes](1000)
        self._rest = b""
        self.lines: list[str] = []
        self.targets: list[Target] = []
        self.refusals: list[Failure] = []  # failures of the next attempts to connect
        self.before_connection = trio.Event()
        self.before_connection.set()
        self.before_login = trio.Event()
        self.before_login.set()
        self.mask: Callable[[str], str] = str
        self.disk_room = 10**15  # bytes
        self.kept_free = 10**9  # bytes that stay free besides
        self.knew_key = True
        self.opened = 0
        self.closed = 0

    # For the script

    async def say(self, *lines: str, end: str = "\r\n") -> None:
        await self._to_us.send("".join(line + end for line in lines).encode())

    async def prompt(self) -> None:
        await self.say(self.prompt_shown, end="")

    async def ask(self, question: str) -> str:
        await self.say(f"{question} ", end="")
        return await self.read_line()

    async def read_keys(self) -> bytes:
        """Returns the next keys as they come."""
        return await self._received.receive()

    def hang_up(self) -> None:
        self._to_us.close()

    async def read_line(self) -> str:
        """Returns the next line, and echoes it. Ctrl-C is a line of its own.

        CR and LF both end a line, as on a terminal that is not in raw mode.
        """
        while not (typed := _LINE.match(self._rest)):
            try:
                self._rest += await self.read_keys()
            except trio.EndOfChannel:
                raise NodeClosed from None
        self._rest = self._rest[typed.end() :]
        line = "^C" if typed[0].endswith(b"\x03") else typed[0][:-1].decode()
        self.lines.append(line)
        await self.say(line)
        return line

    # As the shell

    async def receive(self) -> bytes:
        try:
            return await self._from_node.receive()
        except trio.EndOfChannel:
            return b""

    @property
    def has_come(self) -> bool:
        statistics = self._from_node.statistics()
        return statistics.current_buffer_used > 0 or not statistics.open_send_channels

    async def send(self, data: bytes) -> None:
        await self._to_node.send(data)

    async def aclose(self) -> None:
        self.closed += 1
        self._to_node.close()
        await trio.lowlevel.checkpoint()

    async def open_shell(
        self,
        task: NodeTask,
        on_connected: Callable[[], None],
        on_phase: Callable[[Phase], None],
        mask: Callable[[str], str],
        report: "RecordedReport",
    ) -> "Node":
        await trio.lowlevel.checkpoint()
        if self.refusals:
            raise NodeFailed(self.refusals.pop(0))
        await self.before_connection.wait()
        on_connected()
        await self.before_login.wait()
        on_phase(Phase.LOGIN)
        report.password()
        self.mask = mask
        self.opened += 1
        report.authenticated()
        self._nursery.start_soon(self._play)
        return self

    async def _play(self) -> None:
        try:
            await self._script(self)
        except (NodeClosed, trio.BrokenResourceError):
            pass
        self.hang_up()

    # As the other ports

    def knows_host_key(self, task: NodeTask) -> bool:
        return self.knew_key

    def open_upload_target(self, task: NodeTask, address: str) -> Target:
        self.targets.append(Target())
        return self.targets[-1]

    def shortage(self, descriptor: int) -> str | None:
        return None

    def room(self, descriptor: int) -> tuple[int, int]:
        return self.disk_room, self.kept_free

    @property
    def target(self) -> Target:
        return self.targets[-1]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Node]:
    """Yields a node that plays `script` while the body runs."""
    async with trio.open_nursery() as nursery:
        yield Node(script, nursery)
        nursery.cancel_scope.cancel()


Answer = Callable[[Node, str], Awaitable[None]]


def appliance(file_get: Answer, *, date: str = "", status: Answer | None = None) -> Script:
    """Makes a script that prints the greeting, turns the pager off, and answers `file get`.

    `date` is the date that `show status` prints. If `status` is given, it answers instead.
    """

    async def script(node: Node) -> None:
        await node.say(*GREETING)
        await node.prompt()
        while (line := await node.read_line()) != "quit":
            if line == vos.PAGER_OFF:
                await node.say("Automatic pagination is turned off")
            elif line == vos.SHOW_STATUS and status is not None:
                await status(node, line)
            elif line == vos.SHOW_STATUS:
                await node.say(f"Date         : {date}")
                await node.say("Time Zone    : Central European Time (Europe/Berlin)")
            elif line.startswith("file get"):
                await file_get(node, line)
            await node.prompt()

    return script


async def announce(node: Node, files: int, size: int, questions: Sequence[str] = QUESTIONS) -> None:
    """Plays `file get` from its echo to the last answer about the receiver."""
    await node.say(GATHERING, "done.", "Sub-directories were not traversed.")
    await node.say(f"Number of files affected: {files}", f"Total size in Bytes: {size}")
    for question in questions:
        await node.ask(question)


def pushes(*sizes: int, announced: int | None = None) -> Answer:
    """Makes a `file get` that pushes whole files of these sizes and says that it has completed."""

    async def file_get(node: Node, line: str) -> None:
        await announce(node, len(sizes), sum(sizes) if announced is None else announced)
        for number, size in enumerate(sizes):
            node.target.store(f"192.0.2.9/x/{len(node.target.came)}-{number}.txt", size)
        await node.say(COMPLETED)

    return file_get


async def matches_nothing(node: Node, line: str) -> None:
    await node.say(GATHERING, "done.", "No files matched filter criteria")


class RecordedReport:
    """Stands in for a `Report`, and keeps all arguments."""

    def __init__(self) -> None:
        self.attempts: list[int] = []
        self.phases: list[Phase] = []
        self.totals: tuple[int, int] | None = None
        self.all_announced: list[bool] = []
        self.counted: list[str] = []
        self.clocks: list[tuple[str | None, float]] = []
        self.written: list[ReceivedFile] = []
        self.grown = 0
        self.captures: list[Captured] = []
        self.results: list[Result] = []

    def attempt(self, number: int) -> None:
        self.attempts.append(number)

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def password(self) -> None: ...
    def authenticated(self) -> None: ...
    def clock(self, zone: str | None, ahead: float) -> None:
        self.clocks.append((zone, ahead))

    def session(self, session: Session) -> None:
        pass

    def result(self, result: Result) -> None:
        self.results.append(result)
        if isinstance(result, Captured):
            self.captures.append(result)

    async def wait_saved(self) -> None:
        await trio.lowlevel.checkpoint()

    async def record_files(self) -> None:
        await trio.lowlevel.checkpoint()

    def upload_target(self, target: Target) -> None:
        pass

    def report_announced(self, files: int, size: int, *, all_of_them: bool) -> None:
        self.totals = (files, size)
        self.all_announced.append(all_of_them)

    def report_size(self, size: int) -> None:
        self.grown = size

    def add_own_file(self, file: ReceivedFile) -> None:
        self.written.append(file)

    def complete_files(self, files: Sequence[ReceivedFile]) -> None:
        self.counted += [file.path for file in files]


def node_task(folder: Path, *paths: str, **fields: object) -> NodeTask:
    work = fields.pop("work", None) or Collect(paths or ("cm/trace/ccm/sdl",))
    values = {"timeouts": Timeouts(), "retry": Retry(attempts=3, base=1, cap=15), **fields}
    login = Credentials("administrator", "PlatformSecret")
    folder.mkdir(parents=True, exist_ok=True)
    return NodeTask(
        "0a1b2c3d4e5f", "cucm-pub", "cucm-pub", 22, login, work, folder=folder, **values
    )


async def collected(
    node: Node, task: NodeTask, report: RecordedReport | None = None
) -> tuple[tuple[str, ...], RecordedReport]:
    report = report or RecordedReport()
    return await collect(task, task.work, node, report), report


def answers(said: Mapping[str, Sequence[str] | Answer]) -> Script:
    """Makes a script that answers each command with its lines in `said`, or with nothing."""

    async def script(node: Node) -> None:
        await node.say(*GREETING)
        await node.prompt()
        while (line := await node.read_line()) != "quit":
            answer = said.get(line, ())
            if callable(answer):
                await answer(node, line)
            elif answer:
                await node.say(*answer)
            await node.prompt()

    return script


async def failed(node: Node, task: NodeTask) -> Failure:
    with pytest.raises(NodeFailed) as caught:
        await collected(node, task)
    return caught.value.failure


def by_path(**answers: Answer) -> Answer:
    """Makes a `file get` whose answer depends on its path."""

    async def file_get(node: Node, line: str) -> None:
        await answers[line.split()[3]](node, line)

    return file_get
