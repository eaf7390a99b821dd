"""Supplies the text that depends on the kind of work of a job.

    KIND_text.py  has a subclass of `KindText` for one kind of work, and an instance of it as `TEXT`
    `text_of`     finds that instance by the name of the kind, and loads the file only then

Views and tables call the methods of `KindText`, and know no kind by its name. A kind for which the
base class is enough has no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import ClassVar, NamedTuple, TypeAlias, Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import pace
from cucmctl.text.table import table, wrapped
from cucmd.job.work import KINDS, RESULT_MEMBERS, kind_of
from cucmd.protocol.jobs import Job, JobSummary, Node

Rows = Sequence[tuple[str, ...]]


class Table(NamedTuple):
    """Holds a table. `right` are the headings of columns of numbers, separated by blanks."""

    headings: tuple[str, ...]
    rows: Rows
    right: str = ""


# A result is shown as tables and sentences, by `cucmctl` as lines and by a page as HTML.
Part: TypeAlias = Table | str
# The number of commands shown for a job in a list. The daemon does not send more for a job.
_SHOWN = 3


class KindText:
    """The base class, which is also the text of kinds that have no file.

    left_suffix  follows the time left of a job, and of a node that `sends_nothing_now`
    """

    left_suffix: ClassVar[str] = "left"

    def describe(self, job: Job) -> Iterator[str]:
        """Yields lines that say what the job does, for `status`."""
        yield from ()

    def summarize(self, job: Job | JobSummary) -> str:
        """Says in one line what the job does: `callmanager, last 2h`, or `show status`."""
        return "; ".join((job.commands or ())[:_SHOWN])

    def columns(
        self, job: Job, headings: tuple[str, ...], rows: Rows
    ) -> tuple[tuple[str, ...], Rows]:
        """Adds columns to the table of the job's nodes."""
        return headings, rows

    def complete(self, job: Job) -> Job:
        """Returns the job with what can only be found by comparing its nodes."""
        return job

    def parts(self, job: Job) -> Iterator[Part]:
        """Yields what a `complete` job has found on its nodes, as in the summary of an export."""
        rows = [(node.full_name, line) for node in job.nodes for line in result_lines(node)]
        if rows:
            yield Table(("NODE", "FOUND"), rows)

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        """Yields what a `complete` job has found on its nodes, as lines."""
        return lines_of(self.parts(job), **layout)

    def result(self, job: Job, files: str) -> str:
        """Returns the result for the last line about a job. `files`: such as `4 files, 3.1 MB`."""
        return files

    def phase(self, node: Node, left: float | None = None) -> str:
        """Returns one word for what a running node does; "" for others. `left`: seconds left."""
        return (node.phase or "") if node.status == "running" else ""

    def sends_nothing_now(self, node: Node) -> bool:
        """Returns whether no bytes are expected from the node at this moment."""
        return False

    def left_of_node(self, job: Job, node: Node, at: datetime | None, rate: float) -> float | None:
        """Returns the seconds until a node has done its part, or None if that is unknown.

        at    the time now, or None if the connection is broken
        rate  bytes per second that the node sends
        """
        return pace.left_of_node(node, job.collection, rate) if rate else None

    def left_of_job(
        self, job: Job, at: datetime | None, rate_of: Callable[[str], float]
    ) -> float | None:
        """Returns the seconds until the last node is done. `rate_of`: node -> bytes per second."""
        return pace.left_of_job(job, rate_of)

    def may_still_run(self, node: Node) -> Iterator[str]:
        """Yields what may still run on a node that has ended."""
        if node.may_run:
            yield visible(f"{', '.join(node.may_run)} may still run there")


def result_lines(node: Node) -> Iterator[str]:
    """Yields what was found on a node."""
    for member in RESULT_MEMBERS.values():
        if (result := getattr(node, member)) is not None:
            yield from result.summary_lines()


def lines_of(parts: Iterable[Part], **layout: Unpack[Layout]) -> Iterator[str]:
    """Yields the lines of a result."""
    for part in parts:
        if isinstance(part, Table):
            yield from table(part.headings, part.rows, right=part.right, **layout)
        else:
            yield from wrapped(visible(part), layout.get("columns"))


_PLAIN = KindText()
_NAMES = frozenset(map(kind_of, KINDS))


def text_of(job: Job | JobSummary) -> KindText:
    """Returns the text for a job's kind; the base class for the unknown kind of a newer daemon."""
    return _text_of_kind(job.kind) if job.kind in _NAMES else _PLAIN


@cache
def _text_of_kind(kind: str) -> KindText:
    name = f"cucmctl.text.{kind}_text"
    try:
        text: KindText = import_module(name).TEXT
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return _PLAIN
    return text
