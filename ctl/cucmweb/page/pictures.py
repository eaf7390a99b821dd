"""PURE. Draws two pictures of a job: who was slow and why, and which minutes are missing.

Each picture has rows with bars. The templates make SVG of the bars, and a table with the same facts
for people who cannot see the picture. A bar's place is in thousandths of the width, since the page
allows no inline styles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain, pairwise, zip_longest
from typing import Literal, TypeAlias, cast

from msgspec import Struct

from cucmd.protocol.jobs import Job, Node

# The words of the page for the phases of the daemon.
PHASES = {
    "connect": "connecting",
    "login": "login",
    "prepare": "preparing",
    "command": "asking",
    "transfer": "sending",
    "close": "closing",
}
WIDTH = 1000
# The width that a bar has at least, so that it can be seen.
_THINNEST = 4
# The most rows of a picture: the nodes that took longest, the logs of which most is missing.
_MOST_ROWS = 60
# The most bars of a picture, unless everything is asked for. A bar takes about 200 bytes of a page,
# and a running job sends its page again twice a second.
MOST_BARS = 400

BarKind: TypeAlias = Literal[
    "waiting", "connect", "login", "prepare", "command", "transfer", "close", "earlier",
    "covered", "missing", "unclear",
]  # fmt: skip


class Bar(Struct, frozen=True):
    """Describes one bar: its kind, which is also its style, and its time.

    says  what it stands for, in words
    """

    kind: BarKind
    says: str
    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()


class PictureRow(Struct, frozen=True):
    """Holds the bars of one node, or of one log of a node."""

    name: str
    bars: tuple[Bar, ...]
    log: str = ""


class Picture(Struct, frozen=True):
    """Holds a picture, and the time that its width stands for."""

    begin: datetime
    end: datetime
    rows: tuple[PictureRow, ...]
    left_out: int = 0

    def place(self, bar: Bar) -> tuple[int, int]:
        """Returns where a bar begins and how wide it is, in thousandths of the width."""
        x = self._at(bar.begin)
        return min(x, WIDTH - _THINNEST), max(_THINNEST, self._at(bar.end) - x)

    def _at(self, moment: datetime) -> int:
        whole = (self.end - self.begin).total_seconds()
        return round(WIDTH * (moment - self.begin).total_seconds() / whole) if whole else 0

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Returns each kind of bar that is in the picture, with its words."""
        kinds = {bar.kind: bar for row in self.rows for bar in row.bars}
        texts = {kind: "earlier attempt" if kind == "earlier" else bar.says
                 for kind, bar in kinds.items()}  # fmt: skip
        return list(texts.items())

    @property
    def ticks(self) -> list[datetime]:
        """Returns the moments at the beginning, at each quarter, and at the end."""
        return [self.begin + (self.end - self.begin) * quarter / 4 for quarter in range(5)]


def timeline(job: Job, now: datetime, most_bars: int | None = MOST_BARS) -> Picture | None:
    """Returns what each node did when, or None before the job has begun."""
    if job.started_at is None:
        return None
    end = max(job.completed_at or now, job.started_at)
    rows = [PictureRow(node.short_name, tuple(_work_of(node, job, end))) for node in job.nodes]
    begin = min([bar.begin for row in rows for bar in row.bars], default=job.started_at)
    begin = min(begin, job.started_at)
    weights = [sum(bar.seconds for bar in row.bars if bar.kind in PHASES) for row in rows]
    return _picture(begin, end, weights, rows.__getitem__, most_bars)


def _work_of(node: Node, job: Job, end: datetime) -> Iterator[Bar]:
    """Yields the earlier attempts of a node, and the phases of the last one."""
    assert job.started_at is not None
    began = job.started_at
    for attempt in node.earlier or ():
        first = attempt.started_at or attempt.completed_at
        why = attempt.failure or "cancelled"
        yield Bar("earlier", f"attempt {attempt.attempt}: {why}", first, attempt.completed_at)
        began = max(began, attempt.completed_at)
    phases = node.phases or ()
    first_phase = phases[0].began_at if phases else None
    waited_until = first_phase or node.completed_at or end
    if waited_until > began:
        yield Bar("waiting", "waiting", began, waited_until)
    for phase, following in zip_longest(phases, phases[1:]):
        over = following.began_at if following else max(node.completed_at or end, phase.began_at)
        kind = cast("BarKind", phase.phase if phase.phase in PHASES else "command")
        yield Bar(kind, PHASES.get(phase.phase, phase.phase), phase.began_at, over)


def coverage(job: Job, most_bars: int | None = MOST_BARS) -> Picture | None:
    """Returns which parts of the window each log covers, or None if that is not known."""
    logs = [(node.short_name, log) for node in job.nodes for log in node.logs or ()]
    spans = [span for _, log in logs for span in log.spans]
    since, until = job.collection.since, job.collection.until
    if not logs or not (spans or (since and until)):
        return None
    begin = datetime.fromisoformat(since) if since else min(span.begin for span in spans)
    end = datetime.fromisoformat(until) if until else max(span.end for span in spans)
    if end <= begin:
        return None
    covered: list[list[tuple[datetime, datetime]]] = []  # of each log: its parts of the window
    weights = []
    for _, log in logs:
        cut = [(max(span.begin, begin), min(span.end, end)) for span in log.spans]
        covered.append([part for part in cut if part[0] <= part[1]])
        # The log that covers least comes first; one of which not all is known comes last.
        parts = [(begin, end)] if log.unclear else covered[-1]
        weights.append(-sum((last - first).total_seconds() for first, last in parts))

    def row(at: int) -> PictureRow:
        node, log = logs[at]
        bars = []
        for place, (first, last) in enumerate(pairwise([begin, *chain(*covered[at]), end])):
            if place % 2:
                bars.append(Bar("covered", "covered", first, last))
            # Less than a minute beside a span is the distance between two lines, and no gap.
            elif (last - first).total_seconds() >= 60:
                unclear = Bar("unclear", "not known", first, last)
                bars.append(unclear if log.unclear else Bar("missing", "missing", first, last))
        return PictureRow(node, tuple(bars), log.log)

    return _picture(begin, end, weights, row, most_bars)


def _picture(
    begin: datetime,
    end: datetime,
    weights: Sequence[float],
    row: Callable[[int], PictureRow],
    most_bars: int | None,
) -> Picture:
    """Makes a picture. If there are too many rows, those with the least weight are left out.

    The others keep their order.

    weights    the weight of each row
    row        makes the row at a position; those that are left out are not made
    most_bars  the most bars of all rows together; None for no limit
    """
    kept: dict[int, PictureRow] = {}
    bars = 0
    for at in sorted(range(len(weights)), key=lambda at: -weights[at])[:_MOST_ROWS]:
        kept[at] = row(at)
        bars += len(kept[at].bars)
        if most_bars is not None and bars > most_bars:
            del kept[at]
            break
    return Picture(begin, end, tuple(kept[at] for at in sorted(kept)), len(weights) - len(kept))
