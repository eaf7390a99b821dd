"""Receives the tar of a job from the daemon. One that is cut off is an error, never an end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cucmctl.client.errors import DaemonUnavailable
from cucmctl.client.wire import Wire
from cucmd.protocol.cases import ExportReply

if TYPE_CHECKING:
    from typing import Self


class Export:
    """Receives the bytes of a job's tar. `reply` says how many there are, and of what; `left`: how
    many of these are still to come. To be used as a context manager.

    Every method raises `DaemonUnavailable` if the daemon goes away before all of it has come, or is
    silent for `SILENCE` seconds: then it is not whole.
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
        """Returns at most `size` bytes, and b"" at the end of the tar only."""
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
