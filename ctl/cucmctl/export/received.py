"""Receives the tar of a job from the daemon. A tar that is cut off always raises an error.

Over a bad link an export is cut off many times. `ResumedExport` then asks the daemon for all files
after the last whole one, and skips the bytes of the next file that it has already received.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from cucmctl.client.errors import DaemonUnavailable, JobBusy, ShuttingDown
from cucmctl.client.wire import Wire
from cucmd.protocol.cases import ExportReply

if TYPE_CHECKING:
    from typing import Self


class Export:
    """Receives the bytes of a job's tar. Use it as a context manager.

    reply  says how many bytes there are, and what they contain
    left   how many bytes are still to come

    `read` raises `DaemonUnavailable` if the daemon goes away before everything has come, or sends
    nothing for SILENCE seconds. The tar is then incomplete.
    """

    SILENCE = 60.0
    LONGEST_END = 2.0  # seconds after the last byte

    def __init__(self, connection: Wire, reply: ExportReply) -> None:
        self.reply = reply
        self.left = reply.length
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes; b"" only at the end of the tar."""
        if not self.left or not size:
            return b""
        deadline = time.monotonic() + self.SILENCE
        try:
            data = self._connection.receive_bytes(min(size, self.left), deadline)
        except TimeoutError as error:
            text = f"the daemon sent nothing for {self.SILENCE:g} s; {self.left} bytes are missing"
            raise DaemonUnavailable(text) from error
        except DaemonUnavailable as error:
            text = (
                f"the export was cut off, {self.left} bytes are missing; the daemon's log has why"
            )
            raise DaemonUnavailable(text) from error
        self.left -= len(data)
        if not self.left:
            # The daemon closes the connection once it does not read the job any more. Until then it
            # would refuse a retry that comes directly after this export.
            with suppress(DaemonUnavailable, TimeoutError):
                self._connection.receive_bytes(1, time.monotonic() + self.LONGEST_END)
        return data


class ResumedExport:
    """Receives the bytes of a job's tar as `Export` does, and goes on after it was cut off.

    begin     begins the export after the file with this name, or with the first file for None
    tell      is called with a message when the export was cut off
    patience  seconds within which the next byte has to come after the export was cut off; 0 to give
              up at once. Afterwards `read` raises the error by which the export was cut off. It
              also does so if the rest of the tar has another length, since files have changed
    """

    PAUSE = 1.0  # seconds before each try to go on

    def __init__(
        self, begin: Callable[[str | None], Export], tell: Callable[[str], None], patience: float
    ) -> None:
        self._begin = begin
        self._tell = tell
        self._patience = patience
        self._export = begin(None)
        self.reply = self._export.reply
        self._file: str | None = None  # the last whole file, and where it ends
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._export.close()

    @property
    def left(self) -> int:
        return self._export.left

    def passed(self, name: str, end: int) -> None:
        """Notes that a file has been written, which ends at this position of the tar."""
        self._file, self._end = name, end

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes; b"" only at the end of the tar."""
        position = self.reply.length - self.left
        try:
            return self._export.read(size)
        except DaemonUnavailable as error:
            if not self._patience:
                raise
            cut_off = error
        self._tell(f"{cut_off}; going on as soon as possible")
        give_up = time.monotonic() + self._patience
        while time.monotonic() < give_up:
            self._export.close()
            time.sleep(self.PAUSE)
            try:
                if self._go_on(position):
                    return self._export.read(size)
                break
            except (DaemonUnavailable, JobBusy, ShuttingDown):
                pass  # tried again
        raise cut_off

    def _go_on(self, position: int) -> bool:
        """Begins again, and skips what has come. Returns False if the rest has another length."""
        self._export = self._begin(self._file)
        if self._export.left != self.reply.length - self._end:
            return False
        while self._export.left > self.reply.length - position:
            self._export.read(min(1 << 16, self._export.left - (self.reply.length - position)))
        return True
