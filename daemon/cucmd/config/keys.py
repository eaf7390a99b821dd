"""PURE. Every key of the file, and what it accepts.

A key exists only if it is listed here. A *kind* is given a value of TOML and returns the value of
the configuration, or raises `ValueError` with what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import fsencode
from pathlib import Path
from typing import TypeAlias, get_args

from msgspec import Struct

from cucmd.config import rules
from cucmd.config.model import (
    Access,
    CredentialSettings,
    Daemon,
    Limits,
    ReceiverSettings,
    Retention,
    RetrySettings,
    Ssh,
)
from cucmd.job.job import HostKeyPolicy
from cucmd.job.timeouts import MOST_SECONDS, Timeouts
from cucmd.node_name import InvalidNode, check_host, parse_node, split_address

Kind: TypeAlias = Callable[[object], object]

# A hundred years, so that no date is out of range.
MOST_DAYS = 36_500

# A Unix socket's address has 108 bytes in the kernel, the last of them a NUL.
_LONGEST_SOCKET = 107


class WrongElements(ValueError):
    """Elements of a list that are wrong: (position, element, reason) each."""

    def __init__(self, wrong: Sequence[tuple[int, object, str]]) -> None:
        super().__init__("has wrong elements")
        self.wrong = tuple(wrong)


def expected(what: str) -> ValueError:
    return ValueError(f"expected {what}")


def text(rule: Callable[[str], object]) -> Kind:
    """A string that the rule accepts."""

    def accept(value: object) -> object:
        if not isinstance(value, str):
            raise expected("a string")
        return rule(value)

    return accept


def texts(rule: Callable[[str], object]) -> Kind:
    """A list of strings, each of which the rule accepts."""
    element = text(rule)

    def accept(value: object) -> object:
        if not isinstance(value, list):
            raise expected("a list of strings")
        accepted: list[object] = []
        wrong: list[tuple[int, object, str]] = []
        for position, item in enumerate(value):
            try:
                accepted.append(element(item))
            except ValueError as error:
                wrong.append((position, item, str(error)))
        if wrong:
            raise WrongElements(wrong)
        return tuple(accepted)

    return accept


def text_or_texts(rule: Callable[[str], object]) -> Kind:
    """A string that the rule accepts, or a list of them."""
    one, several = text(rule), texts(rule)
    return lambda value: several(value) if isinstance(value, list) else one(value)


def or_empty(rule: Callable[[str], object], empty: object = "") -> Callable[[str], object]:
    """The rule, for a key where "" stands for the default behaviour."""
    return lambda value: rule(value) if value else empty


def one_of(*choices: str) -> Kind:
    def accept(value: object) -> object:
        if value not in choices:
            raise expected(f"one of {', '.join(choices)}")
        return value

    return accept


def flag(value: object) -> object:
    if not isinstance(value, bool):
        raise expected("true or false")
    return value


def count(least: int, most: int = 2**53) -> Kind:
    """A whole number. The default maximum is the largest that JSON numbers keep exact."""

    def accept(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            bound = f"of at least {least}" if most == 2**53 else f"from {least} to {most}"
            raise expected(f"a whole number {bound}")
        return value

    return accept


def percent(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 99:
        raise expected("a number from 0 to 99")
    return float(value)


def seconds(value: object) -> float:
    # Checks one number. How timeouts must relate to each other is checked by `Timeouts`.
    if (
        not isinstance(value, bool)
        and isinstance(value, (int, float))
        and 0 < value <= MOST_SECONDS
    ):
        return float(value)
    raise expected("a positive number of seconds (at most a year)")


def seconds_of_a_node(value: object) -> float:
    """The timeout `node` in the table of a cluster, where `nodes` is a key too."""
    if isinstance(value, (list, str)):
        reason = "did you mean 'nodes'? 'node' is a timeout, in seconds"
        raise ValueError(reason)  # noqa: TRY004  as every kind does
    return seconds(value)


def absolute(value: str) -> Path:
    path = Path(value)
    if not path.is_absolute() or "\0" in value:
        raise expected("an absolute path")
    return path


def socket_path(value: str) -> Path:
    if len(fsencode(value)) > _LONGEST_SOCKET:
        raise ValueError(f"has more than the {_LONGEST_SOCKET} bytes that a socket's path may have")
    return absolute(value)


def node(value: str) -> str:
    parse_node(value)
    return value


def listen(value: str) -> str:
    try:
        _, port = split_address(value)
    except InvalidNode as error:
        raise ValueError(f'{error}; expected "address:port", such as "0.0.0.0:2222"') from None
    if port is None:
        raise ValueError('has no port; expected "address:port", such as "0.0.0.0:2222"')
    return value


def advertise(value: str) -> str:
    try:
        host = check_host(value)
    except InvalidNode:
        raise expected("an IP address or a host name, without a port") from None
    if host in ("0.0.0.0", "::"):  # noqa: S104  # refused here, not bound to
        raise ValueError("is no address that a node could connect to")
    return host


_TIMEOUTS: dict[str, Kind] = dict.fromkeys(Timeouts.__struct_fields__, seconds)

_SSH: dict[str, Kind] = {
    "host_keys": one_of(*get_args(HostKeyPolicy)),
    "legacy_algorithms": flag,
}

# Limits of a cluster or of the whole daemon.
_LIMITS: dict[str, Kind] = {
    "concurrency": count(1, rules.MOST_AT_ONCE),
    "connections": count(1, 100_000),
    "jobs": count(1, 10_000),
    "sessions_per_node": count(1, 10),  # a node allows 10 SSH sessions (vos/NODES.md, section 1)
    "job_bytes": count(0),
    "node_bytes": count(0),
}

# Limits of the whole daemon alone.
_DAEMON_LIMITS: dict[str, Kind] = {
    "queued": count(0, 1_000_000),
    "queued_per_uid": count(1, 1_000_000),
    "free_space_percent": percent,
    "free_space_bytes": count(0),
    "connections_per_uid": count(1, 100_000),
    "requests_per_uid": count(1, 100_000),
    "watchers_per_uid": count(1, 100_000),
}

SECTIONS: dict[str, tuple[type[Struct], dict[str, Kind]]] = {
    "daemon": (Daemon, {"socket": text(socket_path), "state_directory": text(absolute)}),
    "access": (
        Access,
        {
            "operate_group": text(or_empty(rules.group_name)),
            "view_group": text(or_empty(rules.group_name)),
            "view_reads_files": flag,
        },
    ),
    "timeouts": (Timeouts, _TIMEOUTS),
    "limits": (Limits, _LIMITS | _DAEMON_LIMITS),
    "retention": (
        Retention,
        {"days": count(0, MOST_DAYS), "jobs": count(0, 1_000_000), "bytes": count(0)},
    ),
    "retry": (RetrySettings, {"attempts": count(1, 100), "base": seconds, "cap": seconds}),
    "ssh": (Ssh, _SSH),
    "receiver": (
        ReceiverSettings,
        {"listen": text(listen), "advertise": text(or_empty(advertise))},
    ),
    "credentials": (CredentialSettings, {"directory": text(or_empty(absolute, None))}),
}

# The three sections that a cluster overrides, with the keys of each. In the cluster's table they
# have no section of their own: no two have the same name. (`node` is a timeout and `nodes` the
# nodes; `job` is a timeout and `jobs` a limit.)
OVERRIDES: dict[str, dict[str, Kind]] = {
    "ssh": _SSH,
    "timeouts": _TIMEOUTS,
    "limits": _LIMITS,
}

CLUSTER: dict[str, Kind] = {
    "publisher": text(node),
    "nodes": texts(node),
    "credential": text(rules.credential_name),
    **_SSH,
    **_TIMEOUTS,
    "node": seconds_of_a_node,
    **_LIMITS,
}

CREDENTIAL: dict[str, Kind] = {"nodes": texts(node), "clusters": texts(rules.profile_name)}

PROFILE: dict[str, Kind] = {
    "description": text(rules.description),
    "paths": texts(rules.placed_path),
    "location": text(rules.location),
    "match": text(or_empty(rules.match, None)),
    "recurs": flag,
    "compress": flag,
    "last": text(or_empty(rules.last, None)),
    "written_for": text_or_texts(rules.written_for),
    "products": texts(rules.description),
    "leaves_out": text(rules.description),
    "snapshot": flag,
}
