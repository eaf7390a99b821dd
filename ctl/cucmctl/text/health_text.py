"""PURE. Shows the health of nodes, node by node.

Findings that are bad, need attention or were not read come first, with what to do. The good ones
follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Unpack

from msgspec.structs import replace

from cucmctl.cli import exits
from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.kind_text import KindText
from cucmctl.text.remarks import wrapped
from cucmctl.text.table import paint
from cucmd.job.health import BAD, GOOD, LOOK, UNREAD, Finding, compare_nodes
from cucmd.protocol.jobs import Job, JobSummary, Node

# State of a finding -> its word for people, and the status of jobs that has the same colour.
_WORDS = {
    BAD: ("bad", "failed"),
    LOOK: ("look at it", "partial"),
    UNREAD: ("not read", "partial"),
    GOOD: ("good", "succeeded"),
}
_WIDTH = max(len(word) for word, _ in _WORDS.values())


class HealthText(KindText):
    """The text of health checks."""

    def describe(self, job: Job) -> Iterator[str]:
        yield "checks whether the nodes are well"

    def summarize(self, job: Job | JobSummary) -> str:
        return ""  # a health check always runs the same commands

    def complete(self, job: Job) -> Job:
        return complete(job)

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        return lines(job, **layout) if any(node.health is not None for node in job.nodes) else ()

    def result(self, job: Job, files: str) -> str:
        of_all = [len(node.health.findings) for node in job.nodes if node.health]
        found, nodes = sum(of_all), len(of_all)
        return f"{render.count_of(found, 'finding')} of {render.count_of(nodes, 'node')}"


TEXT = HealthText()


def complete(job: Job) -> Job:
    """Returns the job with the findings that can only be made by comparing its nodes."""
    between: dict[str, list[Finding]] = {}
    for name, finding in compare_nodes([(node.node, node.health) for node in job.nodes]):
        between.setdefault(name, []).append(finding)
    nodes = list(job.nodes)
    for at, node in enumerate(nodes):
        if node.health is not None and (more := between.get(node.node)):
            health = replace(node.health, findings=(*node.health.findings, *more))
            nodes[at] = replace(node, health=health)
    return replace(job, nodes=tuple(nodes))


def _findings(node: Node) -> Sequence[Finding]:
    return () if node.health is None else node.health.findings


def not_good(job: Job) -> int:
    """Counts the findings that are not good. The job must be `complete`."""
    return sum(finding.state != GOOD for node in job.nodes for finding in _findings(node))


def exit_code(job: Job) -> int:
    """Returns the exit code of a job that has ended. The job must be `complete`."""
    states = {finding.state for node in job.nodes for finding in _findings(node)}
    if BAD in states or any(node.status == "failed" for node in job.nodes):
        return exits.FAILED
    return exits.PARTIAL if states - {GOOD} else exits.DONE


def lines(job: Job, **layout: Unpack[Layout]) -> Iterator[str]:
    """Yields the lines of a job, which must be `complete`.

    Each node has a heading. There is nothing below the heading of a node that was not reached.
    """
    for number, node in enumerate(job.nodes):
        of_node = _findings(node)
        if number:
            yield ""
        machine = (node.health.product, node.health.version) if node.health else ()
        yield visible(" ".join(filter(None, (node.node, *machine))))
        if node.health is not None and not of_node and node.status == "succeeded":
            yield "  none of these checks applies to this node"
        in_turn = [finding for state in _WORDS for finding in of_node if finding.state == state]
        for finding, after in zip_longest(in_turn, in_turn[1:]):
            word, status = _WORDS[finding.state]
            text = visible(f"{finding.check}: {finding.says}")
            first, *others = _lines(f"  {word:{_WIDTH}}  {text}", layout)
            yield first.replace(word, paint(word, status), 1) if layout.get("colour") else first
            yield from others
            if finding.hint and (after is None or after.hint != finding.hint):
                yield from _lines(f"    hint: {visible(finding.hint)}", layout)


def _lines(text: str, layout: Layout) -> list[str]:
    columns = layout.get("columns")
    return [text] if columns is None else list(wrapped(text, columns))
