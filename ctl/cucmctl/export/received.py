"""Receives a job from the daemon: as `Export`, the bytes of a tar, or `OpenExport`, open files.

One that is cut off is an error, never an end.
"""

from __future__ import annotations

import os
import resource
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from cucmctl.client.errors import ConnectionLost, DaemonUnavailable, ProtocolError
from cucmctl.client.frames import decoded
from cucmctl.client.wire import Wire
from cucmd.protocol.cases import ExportedFile, ExportedFiles, ExportReply

if TYPE_CHECKING:
    from typing import Self

# What a client says: that it asks for the next batch, and that it is still at work.
_ASK, _AT_WORK = b"\1", b"\0"
# Descriptors without which it is not tried: two batches, a group for each thread and two more, and
# what a program has open besides.
_FEWEST = 512

# With its descriptor, unless it is `wrong`.
OpenFile: TypeAlias = tuple[ExportedFile, int | None]


class _FromDaemon:
    """Does what is the same for both. `reply` says how many bytes there are, and of what; `left`:
    how many of these are still to come. To be used as a context manager.

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


class Export(_FromDaemon):
    """Receives the bytes of a job's tar."""

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


def may_open_enough() -> bool:
    """Says whether this process may have all the descriptors that come at a time."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= _FEWEST


class OpenExport(_FromDaemon):
    """Receives the files of a job, open. `left` counts bytes of a tar of them."""

    # Seconds between two words of ours while we are at work; the daemon waits for 60.
    SAY_EVERY = 15.0

    @classmethod
    def begin(cls, connection: Wire, reply: ExportReply) -> OpenExport | None:
        """Takes the first batch. None, and the connection is closed, if no descriptors come with
        it, as where something forwards the bytes of the socket alone.
        """
        export = cls(connection, reply)
        try:
            export._ask()
            if export._receive_batch():
                return export
        except ConnectionLost:
            pass  # as where its kernel lets no more descriptors wait: the stream needs none
        except BaseException:
            export.close()
            raise
        export.close()
        return None

    def __init__(self, connection: Wire, reply: ExportReply) -> None:
        super().__init__(connection, reply)
        connection.descriptors = []
        self._documents: tuple[ExportedFile, ...] = ()
        self._files: deque[OpenFile] = deque()
        self._open: set[int] = set()
        self._said_at = 0.0

    def close(self) -> None:
        """Closes the connection, and all files that were not."""
        super().close()
        self._open.update(self._connection.descriptors or ())
        while self._open:
            os.close(self._open.pop())

    def close_file(self, descriptor: int) -> None:
        """May be called by any thread."""
        self._open.remove(descriptor)
        os.close(descriptor)

    def at_work(self) -> None:
        """Tells the daemon, from time to time, that we are. To be called every few seconds."""
        if time.monotonic() - self._said_at > self.SAY_EVERY:
            self._say(_AT_WORK)

    def documents(self) -> Iterator[tuple[ExportedFile, Iterator[bytes]]]:
        """They come first, with their contents, each to be read before the next."""
        for document in self._documents:
            yield document, self._content(document.size)

    def files(self) -> Iterator[OpenFile]:
        """Yields the files, which come after the documents. Each is to be closed with `close_file`,
        soon, since the next ones come.
        """
        while self._files:
            self._ask()  # for the next, while these are read
            while self._files:
                yield self._files.popleft()
            if not self._receive_batch():
                text = "not all open files came that the daemon has sent; is `ulimit -n` too low?"
                raise ProtocolError(text)

    def _receive_batch(self) -> bool:
        """Receives a batch, and says whether all of its descriptors came."""
        with self._cut_off():
            reply = self._connection.receive(time.monotonic() + self.SILENCE)
        batch = decoded(reply, ExportedFiles)
        came = deque(self._connection.descriptors or ())
        self._open.update(came)
        self._connection.descriptors = []
        self._documents = batch.documents or ()
        whole = len(came) == sum(file.wrong is None for file in batch.files)
        for file in batch.files:
            descriptor = came.popleft() if came and file.wrong is None else None
            self._files.append((file, descriptor))
        return whole

    def _content(self, size: int) -> Iterator[bytes]:
        while size:
            with self._cut_off():
                piece = self._connection.receive_bytes(size, time.monotonic() + self.SILENCE)
            size -= len(piece)
            yield piece

    def _ask(self) -> None:
        self._say(_ASK)

    def _say(self, byte: bytes) -> None:
        with self._cut_off():
            self._connection.send_byte(byte, time.monotonic() + self.SILENCE)
        self._said_at = time.monotonic()

    @contextmanager
    def _cut_off(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            text = f"the daemon does not go on with the export for {self.SILENCE:g} s"
            raise DaemonUnavailable(text) from error
        except ConnectionLost as error:
            raise ConnectionLost("the export was cut off; the daemon's log has why") from error
