"""PURE. What `utils dbreplication runtimestate` says of the replication of a cluster's database.

A line that has not a form of `vos/NODES.md`, section 6.11, is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from cucmd.vos.lines import labelled, whole

_LABELS = {
    "server time": "server_time",
    "ddb and replication services": "services",
    "db cli status": "cli_status",
    "cluster replication state": "state",
    "db version": "version",
    "number of replicated tables": "tables",
    "repltimeout set to": "repltimeout",
    "process option set to": "process_option",
}
_LONGEST_VALUE = 301
_VIEW = re.compile(
    r"\s*Cluster Detailed View from (?P<name>\S{1,255}) \((?P<count>\d{1,4}) Servers?\)\s*:?"
)
_NAMED = (
    r"\s*(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})\s+(?P<address>[0-9A-Fa-f:.]{2,45})\s+"
    r"(?P<ping>\d{1,9}\.\d{1,6}|\S{1,20})\s+"
)
_SETUP = r"\((?P<code>\d{1,2})\)(?:\s*(?P<details>\S.{0,100}))?"
# Since 10: whether database, RPC and monitor answer, as `Y/Y/Y`.
_SERVER = re.compile(
    _NAMED + r"(?P<checks>[A-Za-z-]{1,3}/[A-Za-z-]{1,3}/[A-Za-z-]{1,3})\s+"
    r"(?P<queue>\d{1,12}|-{1,3})\s+\((?P<group>[A-Za-z0-9_-]{1,20})\)\s+" + _SETUP
)
# Of 9 and before: `Yes  Connected   0     match  Yes   (2) Setup Completed`.
_OLD_SERVER = re.compile(
    _NAMED + r"(?P<rpc>Yes|No)\s+(?P<status>\S{1,20})\s+(?P<queue>\d{1,12}|-{1,3})\s+"
    r"(?P<match>\S{1,12})\s+(?P<loop>Yes|No)\s+" + _SETUP
)
_HEADINGS = ("PING ", "SERVER-NAME ")
_SHORTEST_RULE = 10


class ReplicationServer(msgspec.Struct, frozen=True):
    """A line of the table.

    ping_ms  None: no number stands there
    checks   the node's own words: `Y/Y/Y` of database, RPC and monitor; of an old release the
             words of its columns
    queue    None: no number stands there
    group    `g_2`; None of an old release
    code     2 is good; `details` is the node's own word for it
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
    """What is None, the node has not said. Texts are in its words.

    details  the indented lines below `state`
    seen_from, count  whose view the table is, and how many servers it is said to have
    others   lines in no known form, without the empty ones
    """

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


def parse_runtimestate(lines: Iterable[str]) -> ReplicationState:
    """Reads the answer to `utils dbreplication runtimestate`. The first of each field counts."""
    fields: dict[str, str] = {}
    details: list[str] = []
    view: re.Match[str] | None = None
    servers: list[ReplicationServer] = []
    others: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        if view is not None:
            server = _server(line)
            if server is not None:
                servers.append(server)
            elif not _is_heading(line):
                others.append(line)
        elif (view := whole(_VIEW, line)) is not None:
            continue
        elif "state" in fields and "version" not in fields and line.startswith("  "):
            details.append(line.strip())
        elif not _took_field(line, fields):
            others.append(line)
    return ReplicationState(
        **fields,
        details=tuple(details),
        seen_from=view and view["name"],
        count=view and int(view["count"]),
        servers=tuple(servers),
        others=tuple(others),
    )


def _took_field(line: str, fields: dict[str, str]) -> bool:
    label, value = labelled(line)
    name = None if line[:1].isspace() else _LABELS.get(label.lower())
    if not name or name in fields or not 0 < len(value) <= _LONGEST_VALUE:
        return False
    fields[name] = value
    return True


def _is_heading(line: str) -> bool:
    """Of the table, or the dashes below."""
    return line.lstrip().startswith(_HEADINGS) or (
        len(line) >= _SHORTEST_RULE and not line.strip("- \t")
    )


def _server(line: str) -> ReplicationServer | None:
    found = whole(_SERVER, line) or whole(_OLD_SERVER, line)
    if found is None:
        return None
    columns = found.groupdict()
    old = (columns[name] for name in ("rpc", "status", "match", "loop")) if "rpc" in columns else ()
    return ReplicationServer(
        found["name"],
        found["address"],
        _number(found["ping"]),
        columns.get("checks") or " ".join(old),
        int(found["queue"]) if found["queue"].isdigit() else None,
        columns.get("group"),
        int(found["code"]),
        found["details"],
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None  # neither nan nor inf
