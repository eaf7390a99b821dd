"""Connections that the socket refuses: counted, and said once a minute.

No user decides how many lines it gets in the log. The first of a minute is a line, all others of
that user in that minute are one more.
"""

from __future__ import annotations

import logging
from collections import Counter

import trio

MINUTE = 60.0

log = logging.getLogger(__name__)


class RefusedConnections:
    """A context manager: at its end it says what it has counted since the last minute."""

    def __init__(self) -> None:
        self._more: Counter[int] = Counter()

    def __enter__(self) -> RefusedConnections:
        return self

    def __exit__(self, *_: object) -> None:
        self._say()

    def add(self, uid: int, reason: str) -> None:
        if uid in self._more:
            self._more[uid] += 1
            return
        self._more[uid] = 0
        log.warning("refused a connection of uid %d: %s", uid, reason, extra={"uid": uid})

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(MINUTE)
            self._say()

    def _say(self) -> None:
        for uid, count in self._more.items():
            if count:
                text = "refused %d more connections of uid %d in the last minute"
                log.warning(text, count, uid, extra={"uid": uid})
        self._more.clear()
