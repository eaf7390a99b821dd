"""Receives the tar of a job from the daemon. A tar that is cut off always raises an error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cucmctl.client.errors import DaemonUnavailable
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
        return data
