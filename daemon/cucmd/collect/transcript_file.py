"""The transcript of one node, on disk as it happens.

The one rule: a transcript that cannot be written never disturbs the collection it describes.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from cucmd.vos import Transcript

log = logging.getLogger(__name__)

# A node that talks for ever must not fill the disk; real ones say well under a megabyte.
LIMIT = 64 * 1024 * 1024


class TranscriptFile:
    """Appends to `transcript.log`, so that a second attempt stands below the first."""

    def __init__(self, path: Path, secrets: tuple[str, ...]) -> None:
        self._path = path
        self._transcript = Transcript(secrets)
        self._written = 0
        self._fd: int | None = None

    def __enter__(self) -> TranscriptFile:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o640)
        except OSError as error:
            log.warning("no transcript at %s: %s", self._path, error.strerror)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write(self._transcript.flush())
        self._close()

    def add_secret(self, secret: str) -> None:
        self._transcript.add_secret(secret)

    def heard(self, data: bytes) -> None:
        self._write(self._transcript.heard(data, _stamp()))

    def said(self, shown: str) -> None:
        self._write(self._transcript.said(shown, _stamp()))

    def _write(self, text: str) -> None:
        if self._fd is None or not text:
            return
        data = text.encode()
        self._written += len(data)
        try:
            if self._written > LIMIT:
                os.write(self._fd, b"\n(the transcript ends here: the node says too much)\n")
                self._close()
            else:
                os.write(self._fd, data)
        except OSError as error:
            log.warning("the transcript %s ends early: %s", self._path, error.strerror)
            self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _stamp() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
