"""PURE. Shows the health of nodes: a verdict with counts, and node by node what is not good.

A state that this version does not know comes from a later daemon. It counts as "look at it", since
calling it good could hide something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Unpack

from msgspec.structs import asdict, replace

from cucmctl.cli import exits
from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.kind_text import KindText, Part, Table
from cucmctl.text.remarks import remarks, short_names
from cucmctl.text.table import paint, wrapped
from cucmd.job.health import BAD, CHECKS, GOOD, LOOK, UNREAD, Finding, compare_nodes
from cucmd.job.node import with_names
from cucmd.protocol.jobs import Job, JobSummary, Node

# State of a finding -> its word for people, and the status of jobs that has the same colour.
WORDS = {
    BAD: ("bad", "failed"),
    LOOK: ("look at it", "partial"),
    UNREAD: ("not read", "partial"),
    GOOD: ("good", "succeeded"),
}
_WIDTH = max(len(word) for word, _ in WORDS.values())
# What a verdict counts, in this order: nodes that have not succeeded by their status, the others by
# their worst finding.
_NOT_CHECKED = "not checked"
_COUNTED = (
    *("failed", "bad", "look at it", "not read", _NOT_CHECKED),
    *("cancelled", "running", "pending", "good"),
)


class HealthText(KindText):
    """The text of health checks."""

    def describe(self, job: Job) -> Iterator[str]:
        yield "checks whether the nodes are well"

    def summarize(self, job: Job | JobSummary) -> str:
        return ""  # a health check always runs the same commands

    def complete(self, job: Job) -> Job:
        return complete(job)

    def parts(self, job: Job) -> Iterator[Part]:
        return parts(job)

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        if any(node.health is not None for node in job.nodes):
            yield from render.paragraphs(lines(job, **layout), [verdict(job)])

    def result(self, job: Job, files: str) -> str:
        return _counts(complete(job))


TEXT = HealthText()


def complete(job: Job) -> Job:
    """Returns the job with the findings that can only be made by comparing its nodes."""
    between: dict[str, list[Finding]] = {}
    names = short_names(job.nodes)
    for name, finding in compare_nodes([(node.node, node.health) for node in job.nodes]):
        says = with_names(finding.says, names)
        between.setdefault(name, []).append(replace(finding, says=says))
    nodes = list(job.nodes)
    for at, node in enumerate(nodes):
        if node.health is not None and (more := between.get(node.node)):
            health = replace(node.health, findings=(*node.health.findings, *more))
            nodes[at] = replace(node, health=health)
    return replace(job, nodes=tuple(nodes))


def _findings(node: Node) -> Sequence[Finding]:
    return () if node.health is None else node.health.findings


def _state(finding: Finding) -> str:
    return finding.state if finding.state in WORDS else LOOK


def not_good(job: Job) -> int:
    """Counts the findings that are not good. The job must be `complete`."""
    return sum(finding.state != GOOD for node in job.nodes for finding in _findings(node))


class NodeFinding(Finding, frozen=True, kw_only=True):
    """Says what one check has found on a node."""

    node: str
    name: str | None


def wrong(job: Job) -> list[NodeFinding]:
    """Returns the findings that are not good, the worst first. The job must be `complete`."""
    found = [
        NodeFinding(node=node.node, name=node.name, **asdict(finding))
        for node in job.nodes
        for finding in _findings(node)
        if finding.state != GOOD
    ]
    order = list(WORDS)
    return sorted(found, key=lambda finding: order.index(_state(finding)))


def missing_parts(job: Job) -> Iterator[str]:
    """Yields a text for everything about which nothing is known. The job must be `complete`."""
    lacks = [node for node in job.nodes if node.status != "succeeded" or node.gaps]
    yield from remarks(replace(job, nodes=tuple(lacks)))
    for node in job.nodes:
        if node.health is None:
            yield visible(f"{node.full_name} has no result")
    for finding in wrong(job):
        if finding.state == UNREAD:
            name = finding.name or finding.node
            yield visible(f"{finding.check} of {name} was not read: {finding.says}")


def exit_code(job: Job) -> int:
    """Returns the exit code of a job that has ended. The job must be `complete`."""
    states = {finding.state for node in job.nodes for finding in _findings(node)}
    if BAD in states or any(node.status == "failed" for node in job.nodes):
        return exits.FAILED
    return exits.PARTIAL if states - {GOOD} else exits.DONE


def verdict(job: Job) -> str:
    """Returns `3 nodes: 1 bad, 2 good`. The job must be `complete`."""
    return f"{render.count_of(len(job.nodes), 'node')}: {_counts(job)}"


def _counts(job: Job) -> str:
    counts = Counter(map(_verdict_of_node, job.nodes))
    return ", ".join(f"{counts[word]} {word}" for word in _COUNTED if counts[word])


def _verdict_of_node(node: Node) -> str:
    if node.status != "succeeded":
        return node.status
    found = _findings(node)
    return worst(found)[0] if found else _NOT_CHECKED


def worst(findings: Sequence[Finding]) -> tuple[str, str]:
    """Returns the word for the worst of the findings, and the status of jobs with its colour."""
    return WORDS[min(map(_state, findings), key=list(WORDS).index)]


def parts(job: Job) -> Iterator[Part]:
    """Yields the verdict, a table with a column for each check, and a table of what is not good.

    The job must be `complete`.
    """
    if all(node.health is None for node in job.nodes):
        return
    yield f"health of {verdict(job)}"
    made = {finding.check for node in job.nodes for finding in _findings(node)}
    checks = [check for check in CHECKS if check in made] + sorted(made - CHECKS.keys())
    rows = []
    for node in job.nodes:
        cells = [node.full_name, _verdict_of_node(node)]
        for check in checks:
            found = [finding for finding in _findings(node) if finding.check == check]
            cells.append(worst(found)[0] if found else "")
        rows.append(tuple(cells))
    yield Table(("NODE", "VERDICT", *checks), rows)
    names = {node.node: node.full_name for node in job.nodes}
    rows = [
        (names[one.node], worst([one])[0], one.check, one.says, one.hint or "")
        for one in wrong(job)
    ]
    if rows:
        yield Table(("NODE", "STATE", "CHECK", "FOUND", "WHAT TO DO"), rows)


def lines(job: Job, *, good: bool = False, **layout: Unpack[Layout]) -> Iterator[str]:
    """Yields the findings of a job, which must be `complete`, below a heading for each node.

    A node without findings to show has no heading.

    good  whether good findings are shown too
    """
    return render.paragraphs(*(_lines_of_node(node, layout, good=good) for node in job.nodes))


def _lines_of_node(node: Node, layout: Layout, *, good: bool) -> Iterator[str]:
    order = list(WORDS)
    found = sorted(_findings(node), key=lambda finding: order.index(_state(finding)))
    shown = [finding for finding in found if good or finding.state != GOOD]
    none_applies = node.health is not None and not found and node.status == "succeeded"
    if shown or none_applies:
        machine = (node.health.product, node.health.version) if node.health else ()
        yield visible(" ".join(filter(None, (node.full_name, *machine))))
    if none_applies:
        yield "  none of these checks applies to this node"
    for finding, after in zip_longest(shown, shown[1:]):
        word, status = worst([finding])
        text = visible(f"{finding.check}: {finding.says}")
        first, *others = _lines(f"  {word:{_WIDTH}}  {text}", layout)
        yield first.replace(word, paint(word, status), 1) if layout.get("colour") else first
        yield from others
        if finding.hint and (after is None or after.hint != finding.hint):
            yield from _lines(f"    hint: {visible(finding.hint)}", layout)


def _lines(text: str, layout: Layout) -> list[str]:
    columns = layout.get("columns")
    return [text] if columns is None else list(wrapped(text, columns))
