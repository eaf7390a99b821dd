"""Finds what people read of a job that depends on what the job does.

    KIND.py, a file of the name of a kind of work, has a subclass of `KindText`, one of it as `TEXT`
    `text_of` finds it by that name, and loads it only then

Views and tables ask what stands here, and know no kind by its name. A kind of which this says
enough has no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import ClassVar, Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import pace
from cucmctl.text.table import table
from cucmd.job.work import GIVEN, KINDS, kind_of
from cucmd.protocol.jobs import Job, JobSummary, Node

Rows = Sequence[tuple[str, ...]]
_SHOWN = 3  # commands; as many as a list has of them


class KindText:
    """Is the base of what is said of a kind of work.

    left  what stands behind the time that is left of the job, and of a node that is `silent`
    """

    left_suffix: ClassVar[str] = "left"

    def describe(self, job: Job) -> Iterator[str]:
        """Says what the job does, as lines below the first of `status`."""
        yield from ()

    def summarize(self, job: Job | JobSummary) -> str:
        """Says it in a list of jobs: `callmanager, last 2h`, `show status`, `port 5060`."""
        return "; ".join((job.commands or ())[:_SHOWN])

    def columns(
        self, job: Job, headings: tuple[str, ...], rows: Rows
    ) -> tuple[tuple[str, ...], Rows]:
        """Adds columns of its own to the table of its nodes."""
        return headings, rows

    def complete(self, job: Job) -> Job:
        """Adds what only shows between the nodes of the job."""
        return job

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        """Shows what a job that is `whole` has found on its nodes, as lines: those that the summary
        of an export has.
        """
        given = [(node.node, getattr(node, name)) for node in job.nodes for name in GIVEN.values()]
        rows = [(name, line) for name, result in given if result for line in result.lines()]
        return table(("NODE", "FOUND"), rows, right="", **layout) if rows else ()

    def result(self, job: Job, files: str) -> str:
        """Says what came of it, in the line of its end. files: `4 files, 3.1 MB`."""
        return files

    def phase(self, node: Node, left: float | None = None) -> str:
        """Says what a running node does, in a word; nothing of others. left: as `left_of_node`."""
        return (node.phase or "") if node.status == "running" else ""

    def sends_nothing_now(self, node: Node) -> bool:
        """Says whether nothing is to come from the node at this moment."""
        return False

    def left_of_node(self, job: Job, node: Node, at: datetime | None, rate: float) -> float | None:
        """Returns the seconds until a node has done its part; None: it is not known.

        at    now; None: nothing is heard of the job
        rate  bytes per second that come of the node
        """
        return pace.left_of_node(node, job.collection, rate) if rate else None

    def left_of_job(
        self, job: Job, at: datetime | None, rate_of: Callable[[str], float]
    ) -> float | None:
        """Returns the same of its last node. rate_of: a node's name -> its bytes per second."""
        return pace.left_of_job(job, rate_of)

    def may_still_run(self, node: Node) -> Iterator[str]:
        """Says what is to be known of a node that has ended, and on which the work may not have."""
        if node.may_run:
            yield visible(f"{', '.join(node.may_run)} may still run there")


_PLAIN = KindText()
_NAMES = frozenset(map(kind_of, KINDS))


def text_of(job: Job | JobSummary) -> KindText:
    """Returns the text of its kind; a newer daemon may have kinds that this client has none for."""
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
