"""`health`: reports whether nodes are well, using the commands that people use for this by hand.

The exit code is 1 if something is bad or a node failed, and 3 if something needs attention or could
not be read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from cucmctl.cli import exits
from cucmctl.cli.options import Verb, VerbParser, add_targets, comma_separated
from cucmctl.commands.begin import ON_NODES, add_job_options, and_follow, begin_on_nodes
from cucmctl.commands.watch import add_reconnect
from cucmctl.text import health_text, render
from cucmctl.text.views import TableAtTheEnd
from cucmd.job.health import CHECKS
from cucmd.job.work_request import HealthChecks
from cucmd.protocol.jobs import Job

TIMEOUTS = ON_NODES | {"answer": "seconds for each certificate"}


def _arguments(parser: VerbParser) -> None:
    parser.usage = "%(prog)s (TARGET ... | --cluster-of NODE) [--only CHECK,...]"
    add_targets(parser)
    parser.add_argument(
        "--only",
        metavar="CHECK,...",
        type=comma_separated,
        help=f"only these checks: {', '.join(CHECKS)}",
    )
    parser.add_argument("--all", action="store_true", help="print also what is good")
    how = add_job_options(parser, TIMEOUTS)
    add_reconnect(how)


def _health(arguments: argparse.Namespace) -> int:
    worst: list[int] = []
    work = HealthChecks(arguments.only)
    on_start = and_follow(
        lambda job: f"looks at {render.count_of(len(job.nodes), 'node')}",
        lambda: HealthView(worst, good=arguments.all, as_json=arguments.json),
    )
    code = begin_on_nodes(arguments, "health", TIMEOUTS, work, on_start=on_start)
    return max([code, *worst], key=_SERIOUS.index) if code in _SERIOUS else code


# The exit codes for the end of a job and for findings; the most serious one is last.
_SERIOUS = (exits.DONE, exits.PARTIAL, exits.FAILED)


class HealthView(TableAtTheEnd):
    """Prints the findings and the verdict, and appends their exit code to `worst`."""

    def __init__(self, worst: list[int], *, good: bool, as_json: bool) -> None:
        super().__init__(partial(health_text.lines, good=good), as_json=as_json)
        self._worst = worst

    def conclude(self, job: Job) -> None:
        job = health_text.complete(job)
        self._worst.append(health_text.exit_code(job))
        super().conclude(job)

    def _lines(self, job: Job) -> Iterator[str]:
        return render.paragraphs(super()._lines(job), [health_text.verdict(job)])


COMMANDS = {
    "health": Verb(
        "Checks whether every TARGET is well. Prints what is bad, needs attention or was not\n"
        "read, with what to do, and ends with counts. The commands only read; their output\n"
        "is kept in the job.",
        "  cucmctl health berlin --only services,replication\n"
        "  cucmctl --json health berlin | jq '.nodes[].health.findings[]'",
        "0 all is good, 1 something is bad or a node failed, 3 something needs attention or was\n"
        "not read, 4 cancelled",
        _arguments,
        _health,
    )
}
