"""PURE. Reads a node's answers about its cluster: nodes, version, replication, high availability.

These are the answers to `show network cluster`, `show version active`, `utils dbreplication
runtimestate` and `utils ha status`. vos/NODES.md, sections 6.2, 6.3, 6.11 and 6.17, has the known
forms of their lines. Lines of another form are kept in `others`, except for empty ones.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

import msgspec

from cucmd.node_name import InvalidNode, check_host
from cucmd.vos import texts
from cucmd.vos.texts import match_line, read_field

# `10.0.0.2 cucm-sub1.example.org cucm-sub1 Subscriber callmanager DBSub authenticated using TCP
# since ...`. A node without a domain has only one name. The product may be any word. Old releases
# print neither the product nor `DBSub`; the line must then have a known state.
_NODE = re.compile(
    r"\s*(?P<address>[0-9A-Fa-f:.]{2,45})\s+(?P<first>\S{1,255})(?:\s+(?P<second>\S{1,255}))?\s+"
    r"(?P<role>Publisher|Subscriber)\s+"
    r"(?:(?P<product>[A-Za-z][\w.+-]{0,31})\s+DB(?:Pub|Sub)\b|(?=(?:not\s+)?authenticated\b))"
    r"(?P<state>.*)"
)
_SINCE = re.compile(r"\bsince\b")
_VERSION = re.compile(r"\s*Active Master Version\s*:\s*(?P<version>[0-9A-Za-z][\w.+-]{0,63})")

_REPLICATION = {
    "server time": "server_time",
    "ddb and replication services": "services",
    "db and replication services": "services",
    "db cli status": "cli_status",
    "cluster replication state": "state",
    "db version": "version",
    "number of replicated tables": "tables",
    "repltimeout set to": "repltimeout",
    "process option set to": "process_option",
}
_SINGLE = re.compile(
    r"\s*Runtime state cannot be performed on a cluster with a single active node\b.*"
)
_VIEW = re.compile(
    r"\s*Cluster Detailed View from (?P<name>\S{1,255}) \((?P<count>\d{1,4}) Servers?\)\s*:?"
)
_NAMED = (
    r"\s*(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})\s+(?P<address>[0-9A-Fa-f:.]{2,45})\s+"
    r"(?:(?P<ping>\d{1,9}\.\d{1,6})|\S{1,20})\s+"
)
_SETUP = r"\((?P<code>\d{1,2})\)(?:\s*(?P<details>\S.{0,100}))?"
# A line since release 10, with `Y/Y/Y` if database, RPC and monitor answer. The first releases of
# 10 print `Yes` for RPC alone, and no queue.
_SERVER = re.compile(
    _NAMED + r"(?P<checks>[A-Za-z-]{1,3}/[A-Za-z-]{1,3}/[A-Za-z-]{1,3}|Yes|No)\s+"
    r"(?:(?P<queue>\d{1,12}|-{1,3})\s+)?\((?P<group>[A-Za-z0-9_-]{1,20})\)\s+" + _SETUP
)
# A line of release 9 and before: `Yes  Connected   0     match  Yes   (2) Setup Completed`.
_OLD_SERVER = re.compile(
    _NAMED + r"(?P<rpc>Yes|No)\s+(?P<status>\S{1,20})\s+(?P<queue>\d{1,12}|-{1,3})\s+"
    r"(?P<match>\S{1,12})\s+(?P<loop>Yes|No)\s+" + _SETUP
)
# `Node 1 Name : cup1 State: Normal`, `... State: Failed Reason: Critical Service Down`.
_AVAILABILITY = re.compile(
    r"(?:^\s*(?:Node\s{1,9}\d{1,4}\s{1,9})?|\s)(?P<label>Name|State|Reason)\s{0,9}:"
)
_GROUP = re.compile(r"\s*Subcluster Name\s{0,9}:.*")
_HEADINGS = ("PING ", "SERVER-NAME ")
_SHORTEST_RULE = 10


class ListedNode(msgspec.Struct, frozen=True):
    """Describes a node of the table. `role` and `product` are the node's own words.

    fqdn     None if the node has no domain
    product  "" if the node does not say it
    here     the table shows no connection to this node, usually because this node was asked
    unauthenticated  the words in place of `authenticated` if the node is down or new, else None
    """

    address: str
    name: str
    fqdn: str | None
    role: str
    product: str
    here: bool
    unauthenticated: str | None = None


class ClusterTable(msgspec.Struct, frozen=True):
    """Holds the nodes of the first table, and in `others` the other lines of this table."""

    nodes: tuple[ListedNode, ...]
    others: tuple[str, ...]


class ActiveVersion(msgspec.Struct, frozen=True):
    """Holds the answer to `show version active`. `version` is None if no line names it."""

    version: str | None
    others: tuple[str, ...]


class ReplicationServer(msgspec.Struct, frozen=True):
    """Holds a line of the replication table.

    ping_ms  None if the node prints no number; `queue` too
    checks   the node's own words: `Y/Y/Y` for database, RPC and monitor; `Yes` for RPC alone; or
             the words of the columns of release 9 and before
    group    such as `g_2`, or None in release 9 and before
    code     the state of the setup; 2 is good. `details` has the node's own words for the state.
    """

    name: str
    address: str
    ping_ms: float | None
    checks: str
    queue: int | None
    group: str | None
    code: int
    details: str | None


class ReplicationState(msgspec.Struct, frozen=True):
    """Holds the answer to `utils dbreplication runtimestate`, in the node's own words.

    A field is None if the node does not say it.

    single     the node says that it is the only active node of its cluster, and nothing else
    details    the indented lines below `state`
    seen_from  the node whose view the table shows
    count      how many servers the table should have
    """

    single: bool = False
    server_time: str | None = None
    services: str | None = None
    cli_status: str | None = None
    state: str | None = None
    details: tuple[str, ...] = ()
    version: str | None = None
    tables: str | None = None
    repltimeout: str | None = None
    process_option: str | None = None
    seen_from: str | None = None
    count: int | None = None
    servers: tuple[ReplicationServer, ...] = ()
    others: tuple[str, ...] = ()


def parse_network_cluster(lines: Iterable[str]) -> ClusterTable:
    """Reads the answer to `show network cluster`. If an address comes twice, the first counts."""
    nodes: dict[str, ListedNode] = {}
    others: list[str] = []
    for line in lines:
        if line.strip() == texts.SERVER_TABLE:  # the second table has the same nodes again
            break
        node = _node(line)
        if node is not None:
            nodes.setdefault(node.address, node)
        elif line.strip():
            others.append(line)
    return ClusterTable(tuple(nodes.values()), tuple(others))


def find_asked_node(nodes: Sequence[ListedNode], host: str, peer: str) -> ListedNode | None:
    """Returns the node that has printed the table, or None if the node cannot be identified.

    The node is identified by the address to which we are connected, or else by its name, or else as
    the only node without a connection.
    """
    names = {host.lower(), host.lower().removesuffix(".")}
    for fits in (
        [node for node in nodes if node.address in (peer, host)],
        [node for node in nodes if names & {node.name.lower(), (node.fqdn or "").lower()}],
        [node for node in nodes if node.here],
    ):
        if len(fits) == 1:
            return fits[0]
    return None


def parse_version_active(lines: Iterable[str]) -> ActiveVersion:
    """Reads the answer to `show version active`. If two lines name a version, the first counts."""
    version: str | None = None
    others: list[str] = []
    for line in lines:
        if version is None and (found := match_line(_VERSION, line)):
            version = found["version"]
        elif line.strip():
            others.append(line)
    return ActiveVersion(version, tuple(others))


def parse_runtimestate(lines: Iterable[str]) -> ReplicationState:
    """Reads the answer to `utils dbreplication runtimestate`.

    If a field comes twice, the first counts.
    """
    fields: dict[str, str] = {}
    details: list[str] = []
    view: re.Match[str] | None = None
    servers: list[ReplicationServer] = []
    others: list[str] = []
    single = False
    for line in lines:
        if not line.strip():
            continue
        if match_line(_SINGLE, line):
            single = True
        elif view is not None:
            server = _server(line)
            if server is not None:
                servers.append(server)
            elif not line.lstrip().startswith(_HEADINGS) and not (
                len(line) >= _SHORTEST_RULE and not line.strip("- \t")  # the rule below a heading
            ):
                others.append(line)
        elif (view := match_line(_VIEW, line)) is not None:
            continue
        elif "state" in fields and "version" not in fields and line.startswith("  "):
            details.append(line.strip())
        elif line[0].isspace() or not read_field(line, _REPLICATION, fields):
            others.append(line)
    return ReplicationState(
        **fields,
        single=single,
        details=tuple(details),
        seen_from=view and view["name"],
        count=view and int(view["count"]),
        servers=tuple(servers),
        others=tuple(others),
    )


def _node(line: str) -> ListedNode | None:
    found = match_line(_NODE, line)
    if found is None:
        return None
    first, second = found["first"], found["second"]
    try:
        address = ipaddress.ip_address(found["address"])
        for name in filter(None, (first, second)):
            check_host(name)
    except (ValueError, InvalidNode):
        return None
    # ::ffff:192.0.2.9 is the same node as 192.0.2.9.
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_unspecified or address.is_multicast:  # no node has such an address
        return None
    state = " ".join(found["state"].split())
    authenticated = state.startswith("authenticated")
    return ListedNode(
        str(address),
        first if second is None else second,
        None if second is None else first,
        found["role"],
        found["product"] or "",
        here=not state or (authenticated and not _SINCE.search(state)),
        unauthenticated=state if state and not authenticated else None,
    )


def _server(line: str) -> ReplicationServer | None:
    found = match_line(_SERVER, line) or match_line(_OLD_SERVER, line)
    if found is None:
        return None
    columns = found.groupdict()
    old = (columns[name] for name in ("rpc", "status", "match", "loop")) if "rpc" in columns else ()
    return ReplicationServer(
        found["name"],
        found["address"],
        float(found["ping"]) if found["ping"] else None,
        columns.get("checks") or " ".join(old),
        int(found["queue"]) if (found["queue"] or "").isdigit() else None,
        columns.get("group"),
        int(found["code"]),
        found["details"],
    )


class AvailableNode(msgspec.Struct, frozen=True):
    """Describes a node of a redundancy group. A field is None if the node does not say it."""

    name: str
    state: str | None = None
    reason: str | None = None


class HighAvailability(msgspec.Struct, frozen=True):
    """Holds the nodes of all groups, in the order in which the node prints them."""

    nodes: tuple[AvailableNode, ...]
    others: tuple[str, ...] = ()


def parse_ha_status(lines: Iterable[str]) -> HighAvailability:
    """Reads the answer to `utils ha status` of IM and Presence.

    A reason may be on a line of its own, after a line that ends with `Reason:`.
    """
    nodes: list[AvailableNode] = []
    others: list[str] = []
    for line in lines:
        if not line.strip() or match_line(_GROUP, line):
            continue
        labels = _labelled(line)
        if labels.get("name"):
            nodes.append(AvailableNode(**labels))
        elif nodes and nodes[-1].reason == "" and not labels and len(line) <= texts.LONGEST:
            nodes[-1] = msgspec.structs.replace(nodes[-1], reason=line.strip())
        else:
            others.append(line)
    return HighAvailability(tuple(nodes), tuple(others))


def _labelled(line: str) -> dict[str, str]:
    """Returns the labelled values of a line, such as `{"name": "cup1", "state": "Normal"}`.

    The result is empty if the line does not begin with a label.
    """
    found = list(_AVAILABILITY.finditer(line)) if len(line) <= texts.LONGEST else []
    if not found or line[: found[0].start()].strip():
        return {}
    ends = [*(label.start() for label in found[1:]), len(line)]
    values = [line[label.end() : end].strip() for label, end in zip(found, ends, strict=True)]
    return {label["label"].lower(): value for label, value in zip(found, values, strict=True)}
