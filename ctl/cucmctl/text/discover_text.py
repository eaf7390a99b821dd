"""PURE. Shows the nodes that a discovery has found: as a table, or as a block for the
configuration of the daemon.

Names and products come from a node. They are made `visible`, so they cannot end the comment or the
string in which they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from cucmctl.cli.printer import visible
from cucmctl.text import render
from cucmctl.text.kind_text import KindText, Part, Table
from cucmd.job.discover import Found, Member
from cucmd.protocol.jobs import Job

PUBLISHER = "Publisher"


class DiscoverText(KindText):
    """The text of discoveries."""

    def describe(self, job: Job) -> Iterator[str]:
        yield "asks a node which nodes its cluster has"

    def parts(self, job: Job) -> Iterator[Part]:
        for node in job.nodes:  # a discovery has one node
            if node.found is not None and node.found.members:
                yield from members(node.found)

    def result(self, job: Job, files: str) -> str:
        found = [len(node.found.members) for node in job.nodes if node.found]
        return f"{render.count_of(sum(found), 'node')} found" if found else files


TEXT = DiscoverText()


def members(found: Found) -> Iterator[Part]:
    """Yields a table of the nodes of a cluster, and the version of the node that was asked."""
    rows = [
        (each.node, each.name, each.role, each.product, each.address) for each in in_order(found)
    ]
    yield Table(("NODE", "NAME", "ROLE", "PRODUCT", "ADDRESS"), rows)
    if found.version is not None:
        yield f"version {found.version}"


def in_order(found: Found) -> list[Member]:
    """Returns the publisher first, then the other nodes in the order in which the asked node listed
    them.
    """
    return sorted(found.members, key=lambda member: member.role != PUBLISHER)


def block(
    name: str, asked: str, found: Found, *, credential: str | None, at: datetime
) -> Iterator[str]:
    """Yields the block `[clusters.NAME]` with these nodes, for the configuration.

    asked       the node that was asked
    credential  the name of the credential that was used, or None
    """
    yield f"# as {visible(asked)} named its nodes, {at.astimezone():%Y-%m-%d %H:%M}"
    # Without quotes, TOML would read a name with dots as nested tables.
    yield f"[clusters.{_text(name) if '.' in name else name}]"
    named = in_order(found)
    publishers = [member for member in named if member.role == PUBLISHER]
    first = publishers[0] if publishers else None
    if first is not None:
        yield f"publisher = {_text(first.node)}  # {_about(first)}"
    if others := [member for member in named if member is not first]:
        yield "nodes = ["
        for member in others:
            yield f"    {_text(member.node)},  # {_about(member)}"
        yield "]"
    if credential is not None:
        yield f"credential = {_text(credential)}"


def _about(member: Member) -> str:
    return visible(f"{member.name}, {member.about}")


def _text(value: str) -> str:
    """Returns the text as a JSON string, which is a valid TOML string too."""
    return msgspec.json.encode(visible(value)).decode()
