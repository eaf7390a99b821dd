"""Writes the log: lines for the journal or a terminal, so many a minute of what one user causes."""

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
# Records of one level of each user in a minute. A script that asks for a status each second causes
# 60.
MOST_RECORDS = 300


def set_up_logging(
    level: int, limit: logging.Filter | None = None, stream: TextIO | None = None
) -> None:
    """Sends log records to standard error: with priorities for the journal, else with a time."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter() if is_journal(stream) else PlainFormatter())
    if limit is not None:
        handler.addFilter(limit)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def is_journal(stream: TextIO) -> bool:
    """Says whether the stream is the one that $JOURNAL_STREAM means: a child's pipe is not."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # ValueError: a stream without a descriptor
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalFormatter(logging.Formatter):
    """Each line begins <N>: the journal takes every line for an entry of its own."""

    def format(self, record: logging.LogRecord) -> str:
        # The priorities of syslog(3): 7 debug, 6 info, 4 warning, 3 error, 2 critical.
        steps = (
            (logging.CRITICAL, 2),
            (logging.ERROR, 3),
            (logging.WARNING, 4),
            (logging.INFO, 6),
        )
        reached = (number for at_least, number in steps if record.levelno >= at_least)
        prefix = f"<{next(reached, 7)}>"
        text = f"{record.name}: {_visible(super().format(record))}"
        return "\n".join(prefix + line for line in text.split("\n"))


class PlainFormatter(logging.Formatter):
    """`2026-11-25T09:33:00.123Z WARNING name: text`; further lines of a record are indented."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = _visible(super().format(record)).replace("\n", "\n    ")
        return f"{stamp}.{int(record.msecs):03d}Z {record.levelname} {record.name}: {text}"


# A message can quote a node; its control characters must not reach the terminal of the log.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def _visible(text: str) -> str:
    return text.translate(_CONTROLS)


class LogLimit(logging.Filter):
    """Limits, for the handler, how many records one user of the socket can cause in a minute. What
    was left out is counted.

    Only records with a `uid` are limited (`Caller.for_log`), and those of each level on their own:
    no user takes room from another, the nodes of a large job (warnings) hide no call, and a flood
    of calls hides no defect.

    The journal has a limit for the service as a whole: one user who reached that would silence the
    log about all others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._count: Counter[tuple[int, int]] = Counter()
        self._left_out: Counter[int] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        uid: int | None = getattr(record, "uid", None)
        if uid is None:
            return True
        self._count[uid, record.levelno] += 1
        if self._count[uid, record.levelno] <= MOST_RECORDS:
            return True
        self._left_out[uid] += 1
        return False

    def next_minute(self) -> None:
        """Logs for each user how many records were left out, and counts from 0 again."""
        left_out, self._left_out = self._left_out, Counter()
        self._count.clear()
        for uid, count in left_out.items():
            _log.warning("uid %d: %d log records of the last minute left out", uid, count)

    async def run(self) -> None:
        """Runs until cancelled. What the last minute has left out is logged at the end."""
        try:
            while True:
                await trio.sleep(MINUTE)
                self.next_minute()
        finally:
            self.next_minute()
