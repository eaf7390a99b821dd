"""Formats the log for the journal or a terminal, and limits how many records a user can cause."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from typing import TextIO

import trio

_log = logging.getLogger(__name__)

MINUTE = 60.0
# Records of one level that a user may cause in a minute. A script that asks for a status each
# second causes 60.
MOST_RECORDS = 300


def set_up_logging(
    level: int, limit: logging.Filter | None = None, stream: TextIO | None = None
) -> None:
    """Sends log records to standard error, with priorities (for the journal) or time stamps."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter() if is_journal(stream) else PlainFormatter())
    if limit is not None:
        handler.addFilter(limit)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def is_journal(stream: TextIO) -> bool:
    """Returns whether the stream goes to the journal.

    systemd names the journal's stream in $JOURNAL_STREAM. A child inherits the variable, but its
    standard error may be a pipe.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream without a descriptor raises ValueError
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


# The priorities of syslog(3).
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class JournalFormatter(logging.Formatter):
    """Begins each line with its priority, <N>, because each line is an entry of the journal."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITIES.get(record.levelname, 6)}>"
        text = f"{record.name}: {_escape_controls(super().format(record))}"
        return "\n".join(prefix + line for line in text.split("\n"))


class PlainFormatter(logging.Formatter):
    """Writes `2026-11-25T09:33:00.123Z WARNING name: text`, with further lines indented."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = _escape_controls(super().format(record)).replace("\n", "\n    ")
        return f"{stamp}.{int(record.msecs):03d}Z {record.levelname} {record.name}: {text}"


# A message can quote a node, whose control characters must not reach the reader's terminal.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def _escape_controls(text: str) -> str:
    return text.translate(_CONTROLS)


class LogLimit(logging.Filter):
    """Limits how many records one user of the socket can cause in a minute.

    The journal has only one limit for the whole service, so a user who reached that limit would
    silence the log about all others.

    Only records with a `uid` are limited (`Caller.for_log`). Each level of each user is counted
    separately, so that a flood of calls does not hide a defect, and warnings about the nodes of a
    large job do not hide calls.
    """

    def __init__(self, most: int = MOST_RECORDS) -> None:
        super().__init__()
        self._most = most
        self._count: Counter[tuple[int, str]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        uid: int | None = getattr(record, "uid", None)
        if uid is None:
            return True
        self._count[uid, record.levelname] += 1
        return self._count[uid, record.levelname] <= self._most

    def next_minute(self) -> None:
        """Logs how many records of each user were left out, and starts counting again."""
        counts, self._count = self._count, Counter()
        for (uid, level), count in counts.items():
            if (left_out := count - self._most) > 0:
                _log.warning("uid %d: %d %s records of a minute left out", uid, left_out, level)

    async def run(self) -> None:
        """Calls `next_minute` every minute, and once more when it is cancelled."""
        try:
            while True:
                await trio.sleep(MINUTE)
                self.next_minute()
        finally:
            self.next_minute()
