"""Counts connections that the receiver refuses or cuts, and logs them once a minute.

So a client cannot fill the log. The first refusal after a quiet minute is logged at once. While
refusals go on, one line a minute sums up the others.
"""

from __future__ import annotations

import logging
from collections import Counter

import trio

EVERY = 60.0  # seconds
_MOST_NAMED = 3  # addresses that a line names

_log = logging.getLogger(__name__)


class RefusalLog:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._counting = trio.Event()  # set from the first refusal to the next quiet minute

    def add(self, reason: str, source: str) -> None:
        """Counts a refusal of a connection from this address."""
        if not self._counting.is_set():
            self._counting.set()
            _log.warning("receiver: connection from %s: %s", source, reason)
            return
        self._counts[f"{source}: {reason}"] += 1

    async def run(self) -> None:
        """Logs what was counted in each minute, until it is cancelled."""
        while True:
            await self._counting.wait()
            await trio.sleep(EVERY)
            if not self._counts:
                self._counting = trio.Event()
                continue
            named = self._counts.most_common(_MOST_NAMED)
            texts = [f"{entry} ({count})" for entry, count in named]
            if more := len(self._counts) - len(named):
                texts.append(f"and {more} more")
            total, text = self._counts.total(), "; ".join(texts)
            _log.warning("receiver: %d more connections refused or cut: %s", total, text)
            self._counts.clear()
