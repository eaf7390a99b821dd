"""Makes the live view of a job as lines of text, for a width and a height.

    job 3f2a00112233 running  3 nodes: 2 running, 1 failed
    1m20s so far  4.1/45.6 MB  1.2 MB/s  34s left
    ccm-pub  transfer  ━━━━━━╌╌╌╌╌╌╌╌╌╌    4/27     4.1/45.6 MB      1.2 MB/s   34s left
    ccm-sub1 command                                                silent 1m12s
    ccm-sub2 failed    TimeoutError: Timed out after 600s ...
    ccm-sub3 capturing 34s of the capture left

If there are more nodes than lines, nodes that have failed come first, then those that are silent.

The caller supplies the time. Every line fits the width: parts are left out in a fixed order, and
the names of nodes are the last to be shortened.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime

from rich.cells import set_cell_size
from rich.text import Text

from cucmctl.cli import printer
from cucmctl.text import pace, render
from cucmctl.text.kind_text import KindText, text_of
from cucmctl.text.pace import SILENT, Rates
from cucmctl.text.remarks import (
    describe_waiting,
    fold_equal_failures,
    short_names,
    without_node_name,
)
from cucmctl.text.table import LEAST_NAME, cut_mark, distinct_names
from cucmd.job.node import with_names
from cucmd.protocol.jobs import Job, Node

# Status -> rank of a node if there are more nodes than lines.
URGENCY = {"failed": 0, "running": 1, "cancelled": 2, "pending": 3, "succeeded": 4}
STYLES = {
    "succeeded": "green",
    "failed": "red",
    "partial": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "pending": "dim",
    "queued": "dim",
}

# Cells for a blank, a status or phase, and a blank.
STATUS_WIDTH = 11
# Counts in the heading, in the order in which they are left out if they do not fit.
LEFT_OUT_FIRST = ("cancelled", "pending", "succeeded", "running", "failed")
# The figures of a node, with their widths including a blank before each. The first set that fits is
# shown. If a node is silent, its silence is shown in place of pace and time left.
SETS: tuple[dict[str, int], ...] = (
    {"files": 8, "size": 18, "pace": 12, "left": 12},
    {"files": 8, "size": 18, "pace": 14},
    {"size": 18, "pace": 14},
    {"size": 18},
    {},
)
# Seconds without a byte, after which a silence is yellow, and the node is listed before nodes that
# send.
LONG_SILENT = 30.0
# Cells. In a longer bar it is hard to see which figures belong to which name.
LONGEST_BAR = 40
# The lowest terminal on which the heading has a second line.
LEAST_HEIGHT = 7


class Frame:
    """Draws a job at one moment, `width` cells wide.

    now      the present time, on the same clock as the times in `rates`
    at       the present time as a date and time in UTC
    current  False if the connection is broken, so that pace and silence are unknown
    """

    def __init__(
        self,
        job: Job,
        rates: Rates,
        now: float,
        at: datetime,
        width: int,
        *,
        ascii_only: bool = False,
        current: bool = True,
    ) -> None:
        self._job = job
        self._text = text_of(job)
        self._rates = rates
        self._now = now
        self._at = at
        self._current = current
        self._heard = at if current else None
        self._width = width
        self._bar_characters = ("#", "-") if ascii_only else ("━", "╌")
        self._mark = cut_mark(ascii_only=ascii_only)
        self._short_names = short_names(job.nodes)
        names = tuple(printer.visible(node.short_name) for node in job.nodes)
        longest = max(map(len, names), default=0)
        self._figures = figures_beside(longest, width)
        space = width - STATUS_WIDTH - sum(self._figures.values())
        short = distinct_names(names, max(LEAST_NAME, space), self._mark)
        self._name_width = max(map(len, short), default=0)
        if self._name_width > space:  # names are more important than figures
            self._figures = {}
        self._names = dict(zip((node.node for node in job.nodes), short, strict=True))

    def lines(self, height: int, missed: int = 0, hint: str = "") -> list[Text]:
        """Returns at most `height` lines. `missed`: changes that came too fast to be shown."""
        job = self._job
        name = f"job {printer.visible(job.job_id)} "
        if len(name) + len(job.status) > self._width:
            name = ""
        head = Text(name)
        head.append(job.status, STYLES.get(job.status, ""))
        if tally := self._tally(self._width - len(head) - 2):
            head.append(f"  {tally}")
        above = [head, *(Text(text, "yellow") for text in render.unsaved(job))]
        if height >= LEAST_HEIGHT:
            above.insert(1, self._amounts())
        space = max(1, height - len(above) - 2)
        nodes: Sequence[Node] = job.nodes
        others: dict[str, int] = {}
        if len(nodes) > space:
            nodes, others = fold_equal_failures(nodes)
        silent = {node.node for node in nodes if self._silence(node) >= LONG_SILENT}
        shown, hidden = select(nodes, space, silent)
        lines = [*above, *(self._node(node, others.get(node.node, 0)) for node in shown)]
        if hidden:
            lines.append(Text(f"and {_counted(hidden, others)}", "dim"))
        if missed:
            lines.append(Text(f"{missed} changes came too fast to be shown", "dim"))
        if hint:
            lines.append(Text(hint, "dim"))
        for line in lines:
            line.no_wrap = True
            self._cut(line)
        return lines[:height]

    def _cut(self, line: Text) -> None:
        """Cuts a line. The ellipsis that rich adds would become six characters in ASCII."""
        if line.cell_len > self._width:
            line.truncate(self._width - 1, overflow="crop")
            line.append(self._mark)

    def _amounts(self) -> Text:
        """Returns the second line. Without room, first the pace is left out, then the bytes."""
        job = self._job
        left = self._text.left_of_job(job, self._heard, self._rate)
        received = sum(node.bytes_received for node in job.nodes)
        known = all(node.all_announced for node in job.nodes) and not job.collection.compress
        announced = sum(node.bytes_announced or 0 for node in job.nodes)
        parts = [
            f"{render.duration(pace.elapsed(job, self._at))} so far",
            _left(left, self._text.left_suffix),
            render.progress(received, announced if known else None),
            self._pace(sum(self._rate(node.node) for node in job.nodes)),
        ]
        while parts and len(_in_order(parts)) > self._width:
            del parts[-1]
        return Text(_in_order(parts))

    def _rate(self, node: str) -> float:
        return self._rates.rate_of(node, self._now) if self._current else 0.0

    def _silence(self, node: Node) -> float:
        if not self._current or self._text.sends_nothing_now(node):
            return 0.0
        return pace.silence(node, self._at) or 0.0

    @staticmethod
    def _pace(rate: float) -> str:
        return f"{render.size(int(rate))}/s" if rate else ""

    def _tally(self, space: int) -> str:
        """Returns as many of the counts as fit, or "" if not even the number of nodes fits."""
        whole = render.tally(self._job)
        if len(whole) <= space:
            return whole
        for few in range(1, len(LEFT_OUT_FIRST) + 1):
            text = f"{render.tally(self._job, without=LEFT_OUT_FIRST[:few])} {self._mark}"
            if len(text) <= space:
                return text
        return ""

    def _node(self, node: Node, others: int = 0) -> Text:
        """Returns the line of a node. `others`: nodes that failed alike and have no line."""
        rate = self._rate(node.node) if node.status == "running" else 0.0
        left = self._text.left_of_node(self._job, node, self._heard, rate)
        status = printer.visible(self._text.phase(node, left) or node.status)
        line = Text(set_cell_size(self._names[node.node], self._name_width) + " ")
        line.append(f"{status:9.9} ", STYLES.get(node.status, ""))
        if node.status == "failed" and node.error:
            if others:
                line.append(f"and {others} more: ", STYLES["failed"])
            said = printer.visible(without_node_name(node, node.error))
            return line.append(with_names(said, self._short_names))
        if self._text.sends_nothing_now(node):
            return line.append(_left(left, self._text.left_suffix))
        if node.status == "pending":
            if node.waits_for:
                waited = render.duration(pace.waiting(node, self._at))
                line.append(
                    f"{with_names(describe_waiting(node), self._short_names)} ({waited})",
                    STYLES["pending"],
                )
            return line
        files, size = render.figures(node, self._job.collection)
        speed = self._pace(rate)
        values = {
            "files": files,
            "size": size,
            "pace": speed,
            "left": _left(left, KindText.left_suffix),
        }
        silence = self._silence(node)
        silent = silence >= SILENT and "pace" in self._figures
        shown = [name for name in self._figures if not silent or name in ("files", "size")]
        figures = "".join(f"{values[name]:>{self._figures[name]}}" for name in shown)
        width = sum(self._figures.values())
        self._append_bar(line, node, min(LONGEST_BAR, self._width - line.cell_len - width))
        line.append(figures)
        if silent:
            text = f"silent {render.duration(silence)}"
            style = "yellow" if silence >= LONG_SILENT else "dim"
            line.append(text.rjust(width - len(figures)), style)
        return line

    def _append_bar(self, line: Text, node: Node, width: int) -> None:
        # No bar is drawn if there is little space, or with `compress`, where the total is unknown.
        if width < 5 or "pace" not in self._figures or self._job.collection.compress:
            line.append(" " * width)
            return
        done = width * node.bytes_received // node.bytes_announced if node.bytes_announced else 0
        # Only a node that has succeeded has a full bar, since the announced size is not exact.
        done = width if node.status == "succeeded" else min(done, width - 1)
        full, empty = self._bar_characters
        line.append(full * done, STYLES.get(node.status, ""))
        line.append((empty if node.bytes_announced else " ") * (width - done), "dim")


def figures_beside(longest: int, width: int) -> dict[str, int]:
    """Returns the figures that fit beside names of up to `longest` characters, and their widths.

    The size is shown as long as a shortened name fits beside it.
    """
    for figures in SETS:
        space = width - STATUS_WIDTH - sum(figures.values())
        if space >= (longest if len(figures) > 1 else min(longest, LEAST_NAME)):
            return figures
    return {}


def select(
    nodes: Sequence[Node], space: int, first: Container[str] = ()
) -> tuple[list[Node], list[Node]]:
    """Divides the nodes into those that get a line, in their order, and those that are counted.

    first  names of nodes that come before others of the same status
    """
    if len(nodes) <= space:
        return list(nodes), []

    def urgency(place: int) -> tuple[int, bool, int]:
        node = nodes[place]
        return URGENCY[node.status], node.node not in first, place

    urgent = sorted(range(len(nodes)), key=urgency)
    chosen = set(urgent[: space - 1])  # one line has the count of the others
    shown = [node for i, node in enumerate(nodes) if i in chosen]
    return shown, [node for i, node in enumerate(nodes) if i not in chosen]


def _left(seconds: float | None, suffix: str) -> str:
    """Returns the time left with the suffix `of`, or "" if it is unknown or over."""
    return f"{render.duration(seconds)} {suffix}" if seconds is not None and seconds >= 1 else ""


def _in_order(parts: Sequence[str]) -> str:
    """Joins the parts of the second line. They are given in the order of their importance."""
    places = (0, 2, 3, 1)  # time, what has come, pace, time left
    return "  ".join(parts[place] for place in places if place < len(parts) and parts[place])


def _counted(nodes: Sequence[Node], others: Mapping[str, int]) -> str:
    """Returns `20 more: 8 running, 12 pending`. `others`: nodes folded into one of these."""
    counts = dict.fromkeys(URGENCY, 0)
    for node in nodes:
        counts[node.status] += 1 + others.get(node.node, 0)
    parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{sum(counts.values())} more: {parts}"
