"""Writes the transcript of one node to disk while the session runs.

A transcript that cannot be written never disturbs the work on the node. The session goes on while
lines are on their way to the disk (`file_writer.py`), and waits for them only at its end. So the
transcript is complete when the work on the node has ended.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from cucmd.node.file_writer import FileWriter
from cucmd.node.ports import NodeTask, Ports
from cucmd.vos.screen import TerminalToken
from cucmd.vos.transcript import Transcript

log = logging.getLogger(__name__)

# Bytes. A node that prints without end must not fill the disk. The names of 10,000 files have 1 MB.
LIMIT = 4 * 1024 * 1024

# Bytes between two checks of the free space. A transcript up to this size is written even on a full
# disk, when people need it most. For 400 nodes that is 25 MiB.
CHECK_EVERY = 64 * 1024

# The limit of transcript bytes that wait for the disk, for all nodes together. Without a limit, a
# disk that hangs would cost all memory.
MOST_WAITING = 16 * 1024 * 1024

_TOO_MUCH = b"\n(the node prints too much: the rest is not kept)\n"
_TOO_SLOW = b"\n(the disk is too slow: some lines are missing here)\n"

Shortage = Callable[[int], str | None]


def make_transcript(task: NodeTask, ports: Ports) -> TranscriptFile:
    """Returns the transcript in the node's folder. It masks the password of the login."""
    path = task.folder / "transcript.log"
    return TranscriptFile(path, task.node, (task.login.password,), ports.shortage, ports.writer)


class TranscriptFile:
    """Appends to `transcript.log`. Each line has the time of day.

    Each attempt and each new day begin with a line that has the node and the date, because people
    get the file without its folder.

    shortage: returns why nothing more may be written to the disk of a descriptor, or None.
    """

    def __init__(
        self,
        path: Path,
        node: str,
        secrets: tuple[str, ...],
        shortage: Shortage,
        writer: FileWriter,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._node = node
        self._now = now
        self._day: date | None = None
        self._transcript = Transcript(secrets)
        self._file = _LimitedFile(path, shortage)
        self._writer = writer
        self._left_out = False

    async def __aenter__(self) -> TranscriptFile:
        self._writer.append(self._file, b"")  # opens the file
        return self

    async def __aexit__(self, *details: object) -> None:
        self._write(self._transcript.flush())
        if self._left_out:
            self._writer.append(self._file, _TOO_SLOW)
        await self._writer.close(self._file)

    def add_secret(self, secret: str) -> None:
        self._transcript.add_secret(secret)

    def attempt(self) -> None:
        """Begins a new attempt, below the earlier attempts."""
        self._day = None

    def received(self, tokens: list[TerminalToken]) -> None:
        self._write(self._transcript.received(tokens, self._stamp()))

    def sent(self, shown: str) -> None:
        self._write(self._transcript.sent(shown, self._stamp()))

    def _stamp(self) -> str:
        now = self._now()
        if self._day != now.date():
            self._day = now.date()
            self._write(self._transcript.comment(f"{self._node}, {self._day}, times in UTC"))
        return now.time().isoformat("milliseconds")

    def _write(self, text: str) -> None:
        if not text:
            return
        data = text.encode()
        if self._writer.waiting > MOST_WAITING:
            self._left_out = True
            return
        if self._left_out:
            self._left_out = False
            data = _TOO_SLOW + data
        self._writer.append(self._file, data)


class _LimitedFile:
    """Writes the transcript in the writer's thread. Logs the first error and then gives up."""

    def __init__(self, path: Path, shortage: Shortage) -> None:
        self._path = path
        self._shortage = shortage
        self._written = 0
        self._opened = False
        self._fd: int | None = None

    def append(self, data: bytes) -> None:
        # A file that could not be opened is not tried again at each line: the log would get a
        # warning for each.
        if not self._opened:
            self._opened = True
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
                self._fd = os.open(self._path, flags, 0o640)
            except OSError as error:
                log.warning("cannot open the transcript %s: %s", self._path, error.strerror)
        descriptor = self._fd
        if descriptor is None:
            return
        before, self._written = self._written, self._written + len(data)
        # The disk is measured when a multiple of CHECK_EVERY is passed, whatever the sizes of the
        # pieces are.
        try:
            if before // CHECK_EVERY < self._written // CHECK_EVERY and (
                shortage := self._shortage(descriptor)
            ):
                write_all(descriptor, f"\n(the transcript ends here: {shortage})\n".encode())
                self._give_up(shortage)
            elif self._written > LIMIT:
                # Only whole lines are kept, so that a line that was cut is not taken for what the
                # node has said.
                kept = data[: data.rfind(b"\n", 0, LIMIT - before) + 1]
                write_all(descriptor, kept + _TOO_MUCH)
                self.close()
            else:
                write_all(descriptor, data)
        except OSError as error:
            self._give_up(error.strerror)

    def _give_up(self, reason: str | None) -> None:
        log.warning("the transcript %s ends early: %s", self._path, reason)
        self.close()

    def close(self) -> None:
        descriptor, self._fd = self._fd, None
        if descriptor is None:
            return
        try:
            os.close(descriptor)
        except OSError as error:  # possible on network file systems
            log.warning("the transcript %s may end early: %s", self._path, error.strerror)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`; `os.write` may write a part on a nearly full disk. Raises `OSError`."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
