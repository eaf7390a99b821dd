"""PURE. Draws two pictures of a job: who was slow and why, and which minutes are missing.

Each picture has rows with bars, the worst row first. The templates make SVG of the bars, in which a
second is one unit, and a table with the same facts for people who cannot see the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate, chain, pairwise, zip_longest

from msgspec import Struct

from cucmd.job.coverage import LogCoverage
from cucmd.protocol.jobs import Job, Node
from cucmweb.page.views import PHASES

# The most rows and bars of a picture, unless everything is asked for. A bar takes about 200 bytes
# of a page, and a running job sends its page again twice a second.
_MOST_ROWS, MOST_BARS = 60, 400


class Bar(Struct, frozen=True):
    """Describes one bar.

    kind  a phase of the daemon, or `waiting`, `earlier`, `covered`, `missing` or `unclear`; the
          style sheet has a colour for each
    says  what it stands for, in words
    """

    kind: str
    says: str
    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()


class PictureRow(Struct, frozen=True):
    """Holds the bars of one node, or of one log of a node."""

    node: Node
    bars: tuple[Bar, ...]
    log: str = ""


class Picture(Struct, frozen=True):
    """Holds a picture, and the time that its width stands for."""

    begin: datetime
    end: datetime
    rows: list[PictureRow]
    left_out: int

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()

    @property
    def legend(self) -> dict[str, str]:
        """Returns each kind of bar that is in the picture, with its words."""
        bars = [bar for row in self.rows for bar in row.bars]
        return {bar.kind: "earlier attempt" if bar.kind == "earlier" else bar.says for bar in bars}

    @property
    def ticks(self) -> list[datetime]:
        """Returns the moments at the beginning, at each quarter, and at the end. There are fewer if
        some of them would be in the same second.
        """
        parts = min(4, int(self.seconds))
        return [self.begin + (self.end - self.begin) * at / (parts or 1) for at in range(parts + 1)]


def timeline(job: Job, now: datetime, *, whole: bool = False) -> Picture | None:
    """Returns what each node did when, or None before the job has begun.

    whole  whether the picture may have any number of rows and bars
    """
    if job.started_at is None:
        return None
    end = max(job.completed_at or now, job.started_at)

    def seconds(node: Node) -> float:
        """Returns how long a node has taken, without its wait and its earlier attempts."""
        began = node.phases[0].began_at if node.phases else end
        return ((node.completed_at or end) - began).total_seconds()

    slowest = sorted(job.nodes, key=seconds, reverse=True)[: None if whole else _MOST_ROWS]
    rows = [PictureRow(node, tuple(_work_of(node, job, end))) for node in slowest]
    begin = min([job.started_at, *(bar.begin for row in rows for bar in row.bars)])
    return _picture(begin, end, rows, len(job.nodes), whole=whole)


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
        kind = phase.phase if phase.phase in PHASES else "command"
        yield Bar(kind, PHASES.get(phase.phase, phase.phase), phase.began_at, over)


def coverage(job: Job, *, whole: bool = False) -> Picture | None:
    """Returns which parts of the window each log covers, or None if that is not known.

    whole  whether the picture may have any number of rows and bars
    """
    logs = [(node, log) for node in job.nodes for log in node.logs or ()]
    spans = [span for _, log in logs for span in log.spans]
    since, until = job.collection.since, job.collection.until
    if not logs or not (spans or (since and until)):
        return None
    begin = datetime.fromisoformat(since) if since else min(span.begin for span in spans)
    end = datetime.fromisoformat(until) if until else max(span.end for span in spans)
    if end <= begin:
        return None

    def missing(log: LogCoverage) -> float:
        """Returns the minutes that are missing. They are whole, so that logs of which only some
        seconds are missing keep their order.
        """
        cut = (min(span.end, end) - max(span.begin, begin) for span in log.spans)
        covered = sum(max(0, part.total_seconds()) for part in cut)
        return 0 if log.unclear else ((end - begin).total_seconds() - covered) // 60

    worst = sorted(logs, key=lambda log: missing(log[1]), reverse=True)
    shown = worst[: None if whole else _MOST_ROWS]
    rows = [PictureRow(node, tuple(_parts_of(log, begin, end)), log.log) for node, log in shown]
    return _picture(begin, end, rows, len(logs), whole=whole)


def _parts_of(log: LogCoverage, begin: datetime, end: datetime) -> Iterator[Bar]:
    """Yields the parts of the window that a log covers, and those that it does not cover."""
    cut = [(max(span.begin, begin), min(span.end, end)) for span in log.spans]
    covered = [part for part in cut if part[0] <= part[1]]
    for place, (first, last) in enumerate(pairwise([begin, *chain(*covered), end])):
        if place % 2:
            yield Bar("covered", "covered", first, last)
        # Less than a minute beside a span is the distance between two lines, and no gap.
        elif (last - first).total_seconds() >= 60:
            unclear = Bar("unclear", "not known", first, last)
            yield unclear if log.unclear else Bar("missing", "missing", first, last)


def _picture(
    begin: datetime, end: datetime, rows: list[PictureRow], count: int, *, whole: bool
) -> Picture:
    """Makes a picture of the worst rows, the worst first. `count`: how many rows there are."""
    bars = accumulate(len(row.bars) for row in rows)
    shown = rows if whole else rows[: sum(so_far <= MOST_BARS for so_far in bars)]
    return Picture(begin, end, shown, count - len(shown))
