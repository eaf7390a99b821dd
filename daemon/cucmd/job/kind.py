"""PURE. Declares what every kind of work says of itself: what it is asked, does and gives.

A kind has three structs: a subclass of `WorkRequest` in work_request.py, which is what a request
has; one of `Kind`, which is what is planned and stored; and one of `Result`, if it gives something
for a node beside files. Jobs, store and socket ask what stands here, and know no kind by
its name. A kind that needs none of it says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec

from cucmd.job.failure import Failure

# The folder, in that of a node, for what commands have printed.
OUTPUT = "output"
_LONGEST_SLUG = 60


class WorkRequest(msgspec.Struct, frozen=True):
    """Is the base of what is asked for.

    one_node  it is about one node: of a cluster, about its publisher
    """

    one_node: ClassVar[bool] = False


class Result(msgspec.Struct, frozen=True):
    """Is the base of what a kind gives for a node beside its files.

    late  it may change once the node has settled
    """

    changes_after_end: ClassVar[bool] = False

    def abandoned(self) -> Result:
        """Returns the same, after a stop of the daemon that nobody here has seen the end of."""
        return self

    def name_if_running(self, *, given_up: bool) -> str | None:
        """Names what may still run on the node; None: nothing does.

        given_up: the job is over; without it, what is not given up yet is not named.
        """
        return None

    def summary_lines(self) -> Iterator[str]:
        """Yields what the summary of an export says of it."""
        yield from ()


class Kind(msgspec.Struct, frozen=True):
    """Declares what every kind of work says of itself.

    title       what was done, in the summary of an export
    gives       what a node has as its `result`; None: nothing
    repeatable  it may be done once more after a restart of the daemon
    together    all nodes are worked on at once, and one call ends it on all of them (`Stop`)
    prepares    it is done before other work: nobody looks for one of yesterday in a list of jobs
    """

    title: ClassVar[str] = ""
    result_type: ClassVar[type[Result] | None] = None
    repeatable: ClassVar[bool] = True
    simultaneous: ClassVar[bool] = False
    prepares: ClassVar[bool] = False

    @property
    def commands_kept(self) -> tuple[str, ...]:
        """Returns the commands whose output is kept, whatever else is done."""
        return ()

    def output_of(self, number: int, first_attempt: int) -> str:
        """Returns where the output of the command of that number, from 1, is in the folder of a
        node.

        first_attempt: of the task that runs the command. The outputs of a node that is tried again
        have names of their own, so that a retry replaces nothing that an earlier one has kept.
        """
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.commands_kept[number - 1]).strip("-.")
        attempt = f".attempt-{first_attempt}" if first_attempt > 1 else ""
        return f"{OUTPUT}/{number:03}-{slug[:_LONGEST_SLUG]}{attempt}.txt"

    @property
    def min_seconds(self) -> float:
        """Returns the seconds that it takes on each node at least."""
        return 0.0

    def job_members(self) -> dict[str, Any]:
        """Returns what a job has on the socket for it: members of the wire's `Job`, with values."""
        return {}

    def quota_bytes(self, received: int, result: Result | None, *, earlier: bool) -> int:
        """Returns the bytes of a node that count against the quota of its job.

        received: of its files. result: of a node that has ended. earlier: of a try before the last.
        """
        return 0 if earlier else received

    def explain_failure(self, why: Failure, may_run: tuple[str, ...]) -> Failure:
        """Says why a node failed, as it is shown. may_run: names of what may still run on it."""
        return why

    def lines_if_cancelled(self, may_run: tuple[str, ...]) -> Iterator[str]:
        """Yields what an export's summary says of a node that was cancelled. may_run: as above."""
        yield from ()

    def compare_nodes(self, results: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
        """Yields what an export's summary says that only shows between nodes: a node, and a line.

        results: the name of each node, and what it has been given; None: nothing.
        """
        yield from ()

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        """Yields what was asked for, in the summary of an export: names and values."""
        yield from ()


def format_utc(moment: datetime | None) -> str:
    """Writes a time in UTC as the summary of an export has it, to the nearest second."""
    if moment is None:
        return "-"
    whole = moment.astimezone(UTC) + timedelta(microseconds=500_000)
    return f"{whole:%Y-%m-%d %H:%M:%S} UTC"
