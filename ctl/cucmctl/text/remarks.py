"""Yields remarks about nodes: failures and what to do, notes, and what their files cover.

A remark about several nodes is one line. A line says nothing twice: the name of the node is removed
from the message, and the failure's code is left out if the message has the same words.

On a terminal a failure is marked, shortened to one clause, and wrapped between words. A pipe gets
the whole message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from cucmctl.cli.printer import visible
from cucmctl.text.kind_text import KindText, text_of
from cucmctl.text.table import wrapped
from cucmctl.text.window import minute, window
from cucmd.job.coverage import format_missing
from cucmd.job.duration import longest_written_for
from cucmd.job.node import with_names
from cucmd.protocol.cases import MissingLog
from cucmd.protocol.jobs import Job, Node

# The number of nodes that are named on a terminal; a pipe gets all names.
NAMED = 3
# Begins a remark about a part of the window that is missing.
GAP = "GAP  "
# The words for a gap, by `Gap.missing`: those before its time, and those if that is not certain.
_WORDS = {
    "begin": ("begins", "late"),
    "middle": ("has nothing", "in the middle"),
    "end": ("ends", "early"),
}
# The daemon may name a node that uses this port with or without ":22".
SSH_PORT = 22
# These patterns are the same for all nodes. A job can have a thousand nodes, and to compile a
# pattern for each of them takes longer than everything else.
# What follows the node at the beginning of a message.
_AFTER_NODE = re.compile(rf"(?::{SSH_PORT}(?!\d))?(?:[:,]\s*|\s+)")
# A preposition with a word that can be the node of the message.
_OF_WORD = re.compile(r"(?<=\w) (?:to|of|from|at|on) (\S+?)(?=[\s,;)]|:\s|$)")


def remarks(
    job: Job,
    *,
    columns: int | None = None,
    ascii_only: bool = False,
    may_operate: bool = True,
    gaps: bool = True,
) -> Iterator[str]:
    """Yields remarks about the nodes of a job, ordered by the first node of each remark.

    Remarks about missing parts of the window come first.

    columns      width of the terminal; None if lines may have any length
    may_operate  whether the reader may do what the hints say; otherwise they name who may
    gaps         whether there are remarks about missing parts of the window
    """
    mark = "" if columns is None else "x " if ascii_only else "✗ "
    all_names = columns is None
    text, names = text_of(job), short_names(job.nodes)
    by_node = chain(
        ((node, _gaps_of(node, all_names=all_names)) for node in job.nodes if gaps),
        ((node, _remarks_of(node, text, mark)) for node in job.nodes),
    )
    named = (
        (node, [(with_names(said, names), hint) for said, hint in of_node])
        for node, of_node in by_node
    )
    label = "hint" if may_operate else "hint for an operator"
    for line in _grouped(named, all_names=all_names, marks=(GAP, mark), label=label):
        yield from wrapped(line, columns)


def notes(nodes: Iterable[Node]) -> Iterator[str]:
    """Yields only the notes of nodes."""
    yield from _grouped(((node, _notes_of(node)) for node in nodes), all_names=True)


def waiting_lines(nodes: Sequence[Node]) -> Iterator[str]:
    """Yields which nodes wait for the login on other nodes."""
    names = short_names(nodes)
    lines = ((node, with_names(describe_waiting(node), names)) for node in nodes)
    by_node = ((node, [(line, "")] if line else []) for node, line in lines)
    yield from _grouped(by_node, all_names=False)


def _grouped(
    by_node: Iterable[tuple[Node, Iterable[tuple[str, str]]]],
    *,
    all_names: bool,
    marks: tuple[str, ...] = (),
    label: str = "hint",
) -> Iterator[str]:
    """Yields each text once, with its nodes. `marks`: prefixes that move to the start of a line."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for node, of_node in by_node:
        for text, hint in of_node:
            # A hint may contain the node, as in `hostkeys forget NODE`, and still be the same.
            same = text, " ".join("NODE" if word == node.node else word for word in hint.split(" "))
            groups.setdefault(same, []).append((visible(node.short_name), visible(hint)))
    for (text, same_hint), of_nodes in groups.items():
        before = next((mark for mark in marks if text.startswith(mark)), "")
        names = join_names([name for name, _ in of_nodes], all_names=all_names)
        yield f"{before}{names}: {text.removeprefix(before)}"
        hint = of_nodes[0][1] if len(of_nodes) == 1 else visible(same_hint)
        if hint:
            yield f"  {label}: {hint}"


def _remarks_of(node: Node, kind: KindText, mark: str) -> Iterator[tuple[str, str]]:
    """Yields each remark about a node, without its name, with its hint or "".

    mark  precedes a failure, which is then shortened to one clause; "" to show the whole message
    """
    failure = node.failure
    if failure is not None:
        text = visible(without_node_name(node, node.error or failure.message))
        details = [] if failure.code.replace("_", " ") in text.lower() else [visible(failure.code)]
        if failure.retryable:
            details.append("a retry can help")
        first, *others = text.split("; ")
        # For `PATH: why; PATH: why`, show the first path and the number of the others.
        if mark and others and all(re.match(r"\S+: ", part) for part in (first, *others)):
            text = f"{first}, and {len(others)} more {'path' if len(others) == 1 else 'paths'}"
        text += f" ({'; '.join(details)})" if details else ""
        yield mark + text.strip(), failure.hint or ""
    elif node.error:
        yield mark + visible(without_node_name(node, node.error)), ""
    for earlier in node.earlier or ():
        phase = f" in phase {earlier.phase}" if earlier.phase else ""
        ended = f"{earlier.completed_at.astimezone():%Y-%m-%d %H:%M}{phase}"
        why = f"{without_node_name(node, earlier.message or '')} ({earlier.failure})"
        text = f"attempt {earlier.attempt} ended {ended}: {why if earlier.failure else 'cancelled'}"
        yield visible(text), ""
    if waiting := describe_waiting(node):
        yield waiting, ""
    yield from _notes_of(node)
    for still in kind.may_still_run(node):
        yield still, ""
    if node.coverage and not node.gaps:  # gaps come before everything else (`_gaps_of`)
        yield visible(node.coverage), ""


def _gaps_of(node: Node, *, all_names: bool) -> Iterator[tuple[str, str]]:
    """Yields a line for each missing part of the window. The last line has the hint how to get
    them.
    """
    gaps = node.gaps or ()
    texts = []
    for gap in gaps:
        if gap.missing == "all":
            continue
        what, lacks = gap.trace or gap.path, f"{format_missing(gap.seconds or 0)} missing"
        verb, adverb = _WORDS.get(gap.missing, ("lacks time", "elsewhere"))
        if gap.at is not None and gap.until is not None:
            since, until = (end.replace(second=0).isoformat() for end in (gap.at, gap.until))
            texts.append(f"{what} {verb} {window(since, until, node.zone)}, {lacks}")
        elif gap.at is None:
            texts.append(f"{what} {verb} {adverb}, at least {lacks}")
        else:
            texts.append(f"{what} {verb} {minute(gap.at, node.zone)}, {lacks}")
    if nothing := [gap.path for gap in gaps if gap.missing == "all"]:
        texts.append(f"nothing came of {join_names(nothing, all_names=all_names)}")
    hint = ""
    if options := [gap.written_for for gap in gaps if gap.written_for is not None]:
        with suppress(ValueError, OverflowError):  # a later daemon may have other words
            option = f"start --written-for {longest_written_for(options)}"
            hint = f"files that are written to for longer come with {option}"
    for at, text in enumerate(texts, 1):
        yield GAP + visible(text), hint if at == len(texts) else ""


def short_names(nodes: Iterable[Node]) -> dict[str, str]:
    """Returns the short name of each node, by `node`, for `with_names`."""
    return {node.node: visible(node.short_name) for node in nodes}


def describe_waiting(node: Node) -> str:
    """Returns `waits for the login on 127.1.1.1`, or "" if the node does not wait."""
    names = [visible(name) for name in node.waits_for or ()]
    return f"waits for the login on {join_names(names, all_names=False)}" if names else ""


def _notes_of(node: Node) -> Iterator[tuple[str, str]]:
    for note in node.notes:
        yield f"note: {visible(note)}", ""


def join_names(names: list[str], *, all_names: bool) -> str:
    """Joins names: `a, b, c`. Shortens many to `a, b, c and 5 more`, unless `all_names`."""
    if all_names or len(names) <= NAMED + 1:  # `and 1 more` would be as long as the name
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def without_node_name(node: Node | MissingLog, text: str) -> str:
    """Removes the node's name from a text, together with a preposition before it.

    Also removes the name of an exception, which is meant for programs.
    `ccm-pub refused ...` becomes `refused ...`; `cannot connect to ccm-pub: ...` becomes `cannot
    connect: ...`.
    """
    text = text.removeprefix("TimeoutError: ")
    if node.node not in text:
        return text
    if text.startswith(node.node) and (after := _AFTER_NODE.match(text, len(node.node))):
        text = text[after.end() :]
    named = node.node, f"{node.node}:{SSH_PORT}"
    return _OF_WORD.sub(lambda found: "" if found[1] in named else found[0], text)


def fold_equal_failures(nodes: Iterable[Node]) -> tuple[list[Node], dict[str, int]]:
    """Returns the nodes, but only the first of those that failed with the same message.

    Also returns how many other nodes each of these first nodes stands for, by its name.
    """
    kept: list[Node] = []
    others: dict[str, int] = {}
    first: dict[str, str] = {}  # message -> the first node that has it
    for node in nodes:
        message = without_node_name(node, node.error or "") if node.status == "failed" else ""
        if message and message in first:
            others[first[message]] = others.get(first[message], 0) + 1
            continue
        if message:
            first[message] = node.node
        kept.append(node)
    return kept, others
