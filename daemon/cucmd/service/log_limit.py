"""How many log lines one user of the socket can cause in a minute; what was left out is counted.

Only records with a `uid` are limited (`Caller.for_log`, and those of a job that have `of_job` too);
one user's never take room from another's. The journal has a limit of its own, for the service as a
whole: one user who reached that would silence the log about all others.
"""

from __future__ import annotations

import logging
from collections import Counter

import trio

log = logging.getLogger(__name__)

MINUTE = 60.0
# Records of each user in a minute. A script that asks for a status each second causes 60.
MOST_RECORDS = 300


class LogLimit(logging.Filter):
    """For the handler. Errors are counted apart, so that a flood of calls hides no defect; and so
    are the lines of jobs, so that the nodes of a large one hide no call.
    """

    def __init__(self, most: int = MOST_RECORDS) -> None:
        super().__init__()
        self._most = most
        self._count: Counter[tuple[int, bool, bool]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        uid: int | None = getattr(record, "uid", None)
        if uid is None:
            return True
        key = uid, record.levelno >= logging.ERROR, getattr(record, "of_job", False)
        self._count[key] += 1
        return self._count[key] <= self._most

    def next_minute(self) -> None:
        """Logs for each user how many records were left out, and counts from 0 again."""
        left_out: Counter[int] = Counter()
        for (uid, _, _), count in self._count.items():
            left_out[uid] += max(0, count - self._most)
        self._count.clear()
        for uid, count in left_out.items():
            if count:
                log.warning("uid %d: %d log records of the last minute left out", uid, count)

    async def run(self) -> None:
        """Until cancelled. What the last minute has left out is logged at the end."""
        try:
            while True:
                await trio.sleep(MINUTE)
                self.next_minute()
        finally:
            self.next_minute()
