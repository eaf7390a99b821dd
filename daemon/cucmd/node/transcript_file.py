"""The transcript of one node, on disk as it happens.

A transcript that cannot be written never disturbs the work that it describes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from cucmd.node.ports import NodeTask
from cucmd.vos import Token, Transcript

log = logging.getLogger(__name__)

# Bytes. A node that prints without end must not fill the disk; the names of 10,000 files are 1 MB.
# Of a longer transcript the beginning is kept, and the end, which shows how the session ended.
LIMIT = 4 * 1024 * 1024
END = 16 * 1024

# Bytes between two looks at the free space. Less than that is always written: a person needs it
# most when the disk is full, and for 400 nodes it is 25 MiB.
CHECK_EVERY = 64 * 1024

_TOO_MUCH = b"\n(the node prints too much: of what follows only the end is kept)\n"

Shortage = Callable[[int], str | None]


def _now() -> datetime:
    return datetime.now(UTC)


def transcript_of(task: NodeTask, shortage: Shortage) -> TranscriptFile:
    """That of the work on one node, in its folder; the password is masked in it."""
    return TranscriptFile(
        task.folder / "transcript.log", task.node, (task.login.password,), shortage
    )


class TranscriptFile:
    """Appends to `transcript.log`. A second attempt stands below the first.

    A line has the time of day. Before the first line of an attempt, and of a day, a line names the
    node and the day, because the file is sent to people without its folder.
    `shortage` says why nothing more may be written to the disk of a descriptor, or None.
    """

    def __init__(
        self,
        path: Path,
        node: str,
        secrets: tuple[str, ...],
        shortage: Shortage,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._path = path
        self._node = node
        self._now = now
        self._day: date | None = None
        self._transcript = Transcript(secrets)
        self._shortage = shortage
        self._written = 0
        self._end: _End | None = None  # once LIMIT is reached
        self._fd: int | None = None

    def __enter__(self) -> TranscriptFile:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o640)
        except OSError as error:
            log.warning("no transcript at %s: %s", self._path, error.strerror)
        return self

    def __exit__(self, *details: object) -> None:
        self._write(self._transcript.flush())
        self._write_end()
        self._close()

    def add_secret(self, secret: str) -> None:
        self._transcript.add_secret(secret)

    def attempt(self) -> None:
        """What follows belongs to another attempt."""
        self._day = None

    def received(self, tokens: list[Token]) -> None:
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
        if self._fd is None or not text:
            return
        data = text.encode()
        if self._end is not None:
            self._end.keep(data)
            return
        try:
            self._append(self._fd, data)
        except OSError as error:
            self._give_up(error.strerror)

    def _append(self, descriptor: int, data: bytes) -> None:
        before, self._written = self._written, self._written + len(data)
        if self._written > LIMIT:
            write_all(descriptor, _TOO_MUCH)
            self._end = _End()
            self._end.keep(data)
        elif before // CHECK_EVERY < self._written // CHECK_EVERY and (
            shortage := self._shortage(descriptor)
        ):
            write_all(descriptor, f"\n(the transcript ends here: {shortage})\n".encode())
            self._give_up(shortage)
        else:
            write_all(descriptor, data)

    def _write_end(self) -> None:
        if self._fd is None or self._end is None:
            return
        try:
            write_all(self._fd, self._end.kept())
        except OSError as error:
            self._give_up(error.strerror)

    def _give_up(self, reason: str | None) -> None:
        log.warning("the transcript %s ends early: %s", self._path, reason)
        self._close()

    def _close(self) -> None:
        descriptor, self._fd = self._fd, None
        if descriptor is None:
            return
        try:
            os.close(descriptor)
        except OSError as error:  # possible on network file systems
            log.warning("the transcript %s may end early: %s", self._path, error.strerror)


def write_all(descriptor: int, data: bytes) -> None:
    """`os.write` may write a part and say so: on a disk that is nearly full. Raises `OSError`."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


class _End:
    """The last bytes that were given: END bytes at least, twice as many at most."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._cut = False

    def keep(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * END:
            del self._kept[:-END]
            self._cut = True

    def kept(self) -> bytes:
        """The kept bytes, from the beginning of a line on if there is one."""
        begin = self._kept.find(b"\n") + 1 if self._cut else 0
        return bytes(self._kept[begin:])
