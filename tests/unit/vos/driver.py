"""A driver without a network, which types commands at prompts and notes the events.

`TransferMoved` depends on how the bytes are split, so the noted events leave it out.
"""

from collections.abc import Callable, Iterable

from cucmd import vos
from cucmd.vos.dialogue_events import Event
from cucmd.vos.screen import EscapeFilter, Screen, TerminalToken
from cucmd.vos.time_window import RelTime
from cucmd.vos.transcript import Transcript

PASSWORD = "hunter2*+"  # of the receiver, so it is known from `file get` on
ADMIN_PASSWORD = "admin's own"
REQUEST = vos.FileGet("activelog", "cm/trace/ccm/sdl", RelTime("hours", 2))
RECEIVER = vos.ReceiverAddress("192.0.2.5", 2222, "cucmd-7f", PASSWORD, "/in")
BANNER = b"Command Line Interface is starting up, please wait ...\r\n\r\n   Welcome to\r\n\r\n"

Split = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


class Driver:
    def __init__(self, split: Split = whole, request: vos.FileGet = REQUEST) -> None:
        self.cli = vos.Cli((ADMIN_PASSWORD,))
        self.events: list[Event] = []
        self._split = split
        self._request = request

    def feed(self, data: bytes) -> list[Event]:
        """Returns the events of `data`, including `TransferMoved`."""
        events = [event for part in self._split(data) for event in self.cli.receive(part)]
        self._note(events)
        return events

    def quiet(self) -> list[Event]:
        events = self.cli.quiet()
        self._note(events)
        return events

    def close(self) -> list[Event]:
        events = self.cli.closed()
        self._note(events)
        return events

    def type(self, line: str) -> bytes:
        """Types a line. Returns the echo that a node sends for it."""
        keys = self._type(line)
        assert keys == f"{line}\r".encode(), "Enter is CR"
        return keys + b"\n"

    def _type(self, line: str) -> bytes:
        if line == self._request.command_line():
            return self.cli.file_get(self._request, RECEIVER)
        return self.cli.quit() if line == "quit" else self.cli.command(line)

    def _note(self, events: Iterable[Event]) -> None:
        self.events += [event for event in events if not isinstance(event, vos.TransferMoved)]


def tokens(data: bytes) -> list[TerminalToken]:
    return list(EscapeFilter().feed(data))


class Terminal(Screen):
    """A screen that gets bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._filter = EscapeFilter()

    def show(self, data: bytes) -> list[str]:
        """Returns the lines that these bytes finish."""
        return [line for line in self.feed(self._filter.feed(data)) if line is not None]


class Log(Transcript):
    """A transcript that gets bytes, which pass one filter as in a session."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(secrets)
        self._filter = EscapeFilter()
        self._last = ""

    def received(self, data: bytes, stamp: str) -> str:
        self._last = stamp
        return super().received(self._filter.feed(data), stamp)

    def flush(self) -> str:
        end = super().received(self._filter.feed(b"", last=True), self._last)
        return end + super().flush()


def new_cli() -> vos.Cli:
    """Makes a command line at its first prompt."""
    return at_prompt().cli


def at_prompt(split: Split = whole, request: vos.FileGet = REQUEST) -> Driver:
    """Makes a driver that has logged in."""
    driver = Driver(split, request)
    driver.feed(BANNER + b"admin:")
    driver.quiet()
    assert driver.cli.at_prompt
    return driver


def in_file_get(split: Split = whole, request: vos.FileGet = REQUEST) -> Driver:
    """Makes a driver whose `file get` is typed and echoed."""
    driver = at_prompt(split, request)
    driver.feed(driver.type(request.command_line()))
    driver.events.clear()
    return driver


def failed(events: Iterable[Event]) -> list[tuple[str, str]]:
    """Returns code and message of each failure."""
    return [
        (event.failure.code, event.failure.message)
        for event in events
        if isinstance(event, vos.Broken)
    ]
