"""Counts what the receiver refuses and cuts, and logs it once a minute.

No peer decides how many lines it gets in the log. The first of a minute is a line, all others of
that minute are one more, which sums them up. `service/log.py` cannot do that: the process that
receives counts here, and does not bother the daemon with each.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

EVERY = 60.0  # seconds
_MOST_NAMED = 3
_MOST_COUNTED = 1000  # pairs of reason and address; the rest has no name

_log = logging.getLogger(__name__)


class RefusalLog:
    """Counts refusals, and logs them once a minute.

    later: calls a function once so many seconds have passed.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._later = later
        self._counts: Counter[str] = Counter()
        self._counts_them = False

    def add(self, reason: str, source: str) -> None:
        if not self._counts_them:
            self._counts_them = True
            self._later(EVERY, self._say)
            _log.warning("receiver: connection from %s: %s", source, reason)
            return
        text = f"{source}: {reason}"
        named = text in self._counts or len(self._counts) < _MOST_COUNTED
        self._counts[text if named else "other addresses"] += 1

    def _say(self) -> None:
        """Logs what was counted: the minute is over."""
        if not self._counts:
            self._counts_them = False
            return
        named = self._counts.most_common(_MOST_NAMED)
        texts = [f"{text} ({count})" for text, count in named]
        if more := len(self._counts) - len(named):
            texts.append(f"and {more} more")
        total = self._counts.total()
        _log.warning("receiver: %d more connections refused or cut: %s", total, "; ".join(texts))
        self._counts.clear()
        self._later(EVERY, self._say)
