"""PURE. What a node says of its cluster and its version, in two answers.

`show network cluster` lists the nodes, `show version active` has the version of the one asked.

A line that has not the known form of a node is kept as it is, and never half read. The forms, and
where they were seen, stand in `vos/NODES.md`, sections 6.2 and 6.3.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import msgspec

from cucmd.node_name import InvalidNode, check_host
from cucmd.vos import texts
from cucmd.vos.lines import whole

# `10.0.0.2 cucm-sub1.example.org cucm-sub1 Subscriber callmanager DBSub authenticated using TCP
# since ...`. Without a domain there is one name and not two. The product is any word.
_NODE = re.compile(
    r"\s*(?P<address>[0-9A-Fa-f:.]{2,45})\s+(?P<first>\S{1,255})(?:\s+(?P<second>\S{1,255}))?\s+"
    r"(?P<role>Publisher|Subscriber)\s+(?P<product>[A-Za-z][\w.+-]{0,31})\s+DB(?:Pub|Sub)\b"
    r"(?P<rest>.*)"
)
_SINCE = re.compile(r"\bsince\b")
_VERSION = re.compile(r"\s*Active Master Version\s*:\s*(?P<version>[0-9A-Za-z][\w.+-]{0,63})")


class ListedNode(msgspec.Struct, frozen=True):
    """A node as the table has it. `role` and `product` are the node's own words.

    fqdn  None where the node has no domain
    here  no connection to it is shown: as a rule it is the node that was asked
    """

    address: str
    name: str
    fqdn: str | None
    role: str
    product: str
    here: bool


class ClusterTable(msgspec.Struct, frozen=True):
    """`others`: lines that are no node, up to the second table, without the empty ones."""

    nodes: tuple[ListedNode, ...]
    others: tuple[str, ...]


class ActiveVersion(msgspec.Struct, frozen=True):
    """`version` None: no line names it. `others`: all other lines, without the empty ones."""

    version: str | None
    others: tuple[str, ...]


def parse_network_cluster(lines: Iterable[str]) -> ClusterTable:
    """Reads the answer to `show network cluster`. A node that comes twice is taken once."""
    nodes: dict[str, ListedNode] = {}
    others: list[str] = []
    for line in lines:
        if line.strip() == texts.SERVER_TABLE:  # the same nodes once more, by one name
            break
        node = _node(line)
        if node is not None:
            nodes.setdefault(node.address, node)
        elif line.strip():
            others.append(line)
    return ClusterTable(tuple(nodes.values()), tuple(others))


def parse_version_active(lines: Iterable[str]) -> ActiveVersion:
    """Reads the answer to `show version active`. The first line that names a version counts."""
    version: str | None = None
    others: list[str] = []
    for line in lines:
        if version is None and (found := whole(_VERSION, line)):
            version = found["version"]
        elif line.strip():
            others.append(line)
    return ActiveVersion(version, tuple(others))


def _node(line: str) -> ListedNode | None:
    found = whole(_NODE, line)
    if found is None:
        return None
    address, first, second = _address(found["address"]), found["first"], found["second"]
    if address is None or not _are_names(first, second):
        return None
    return ListedNode(
        address,
        first if second is None else second,
        None if second is None else first,
        found["role"],
        found["product"],
        here=not _SINCE.search(found["rest"]),
    )


def _address(text: str) -> str | None:
    """The address in its usual spelling; None for one at which no node can be."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.9 reaches the node at 192.0.2.9, and would be a second one.
    address = getattr(address, "ipv4_mapped", None) or address
    return None if address.is_unspecified or address.is_multicast else str(address)


def _are_names(*names: str | None) -> bool:
    try:
        return all(check_host(name) for name in names if name is not None)
    except InvalidNode:
        return False
