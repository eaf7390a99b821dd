"""PURE. Declares what every kind of work says about itself: what is asked, stored and returned.

A kind of work has three structs: a subclass of `WorkRequest` in work_request.py, which a request
contains; a subclass of `Kind`, which is planned and stored; and a subclass of `Result`, if the work
returns something for a node besides files. Jobs, store and socket use the attributes and methods
below, and know no kind by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec

from cucmd.job.failure import Failure

# The folder, within the folder of a node, for the outputs of commands.
OUTPUT = "output"
_LONGEST_SLUG = 60


class WorkRequest(msgspec.Struct, frozen=True):
    """Holds what a caller asks to be done. This is the base of all such structs.

    one_node  the work is about one node; if a cluster is named, about its publisher
    """

    one_node: ClassVar[bool] = False


class Result(msgspec.Struct, frozen=True):
    """Holds what a kind of work returns for a node besides files. This is the base of such structs.

    changes_after_end  the result may change after the node has settled
    """

    changes_after_end: ClassVar[bool] = False

    def abandoned(self) -> Result:
        """Returns this result as it is after a restart: nobody has seen how the work ended."""
        return self

    def name_if_running(self, *, given_up: bool) -> str | None:
        """Returns the name of a capture that may still run on the node, or None.

        given_up  the job is over. Until then, a capture that was not given up is not named.
        """
        return None

    def summary_lines(self) -> Iterator[str]:
        """Yields the lines about this result for the summary of an export."""
        yield from ()


class Kind(msgspec.Struct, frozen=True):
    """Declares what every kind of work says about itself.

    title         what was done, for the summary of an export
    result_type   the type of the `result` of a node; None if there is no result
    repeatable    the work may be done again after a restart of the daemon
    simultaneous  all nodes are worked on at the same time, and one call (`Stop`) ends all of them
    prepares      the work prepares other work, so old jobs of this kind can be left out of a list
    keeps_files   the work is done for the files, or the outputs of commands, that the job keeps
    adds_up       the outputs of a node's earlier attempts count too, since no attempt repeats them
    """

    title: ClassVar[str] = ""
    result_type: ClassVar[type[Result] | None] = None
    repeatable: ClassVar[bool] = True
    simultaneous: ClassVar[bool] = False
    prepares: ClassVar[bool] = False
    keeps_files: ClassVar[bool] = True
    adds_up: ClassVar[bool] = False

    @property
    def commands_kept(self) -> tuple[str, ...]:
        """Returns the commands whose output is kept, whatever else the work does."""
        return ()

    def output_of(self, number: int, first_attempt: int) -> str:
        """Returns the path of the output of a command, within the folder of a node.

        number         of the command, counted from 1
        first_attempt  the number of the first attempt of the task that runs the command. The
                       outputs of a node that is tried again have names of their own, so that a
                       retry replaces no output that was kept before.
        """
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.commands_kept[number - 1]).strip("-.")
        attempt = f".attempt-{first_attempt}" if first_attempt > 1 else ""
        return f"{OUTPUT}/{number:03}-{slug[:_LONGEST_SLUG]}{attempt}.txt"

    @property
    def min_seconds(self) -> float:
        """Returns the seconds that the work takes at least on each node."""
        return 0.0

    def job_members(self) -> dict[str, Any]:
        """Returns the members, with their values, that this work adds to a `Job` on the socket."""
        return {}

    def quota_bytes(self, received: int, result: Result | None, *, earlier: bool) -> int:
        """Returns how many bytes of a node count against the quota of its job.

        received  the bytes of its files
        result    the result of the node if it has ended, else None
        earlier   the node was not tried again when its job was tried last
        """
        return 0 if earlier else received

    def explain_failure(self, why: Failure, may_run: tuple[str, ...]) -> Failure:
        """Returns why a node failed, as it is shown to people.

        may_run  names of captures that may still run on the node
        """
        return why

    def lines_if_cancelled(self, may_run: tuple[str, ...]) -> Iterator[str]:
        """Yields lines for the summary of an export about captures left on a cancelled node."""
        yield from ()

    def compare_nodes(self, results: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
        """Yields (node, line) for the summary of an export, from a comparison of the nodes.

        results  (name, result) of each node; the result may be None
        """
        yield from ()

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        """Yields the facts of the request as (name, value), for the summary of an export."""
        yield from ()


def format_utc(moment: datetime | None) -> str:
    """Formats a time in UTC for the summary of an export, to the nearest second."""
    if moment is None:
        return "-"
    whole = moment.astimezone(UTC) + timedelta(microseconds=500_000)
    return f"{whole:%Y-%m-%d %H:%M:%S} UTC"
