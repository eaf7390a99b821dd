"""PURE. Checks paths, patterns, locations, windows, names and addresses of users.

The configuration and the requests are both checked with these functions. Each returns the value, or
raises `ValueError` with a message that says what was expected and does not repeat the value. What
may be typed to a node as one word is decided in `vos`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from os import fsencode
from pathlib import Path

from cucmd.job.duration import parse_last, parse_written_for
from cucmd.job.work_request import LOCATIONS
from cucmd.node_name import InvalidNode, check_host, split_address
from cucmd.paths import LONGEST_SOCKET
from cucmd.vos.arguments import InvalidArgument, check_word, is_path

# Each path is a command on every node, so a request with more paths is probably a mistake.
MOST_PATHS = 100
MOST_CONCURRENCY = 1000  # nodes that one job works on at the same time
_LONGEST_DESCRIPTION = 500

_GROUP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
_USER = re.compile(r"[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_PROFILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_WITH_LOCATION = re.compile(rf"(?P<location>{'|'.join(LOCATIONS)})(?: +|(?=/))(?P<path>[^ ].*)")
# A path on the disk of the node, as the node's own messages show it.
_ON_DISK = re.compile(r"/var/log/(?P<location>active|inactive)(?:/+(?P<path>.*))?")
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


def check_argument(text: str) -> str:
    """Checks one word of a command to the node, such as a pattern for file names (`match`)."""
    try:
        return check_word("", text)
    except InvalidArgument as error:
        raise ValueError(error.reason) from None


def check_path(text: str) -> str:
    """Checks a path below a location. `*` stands for any text, in the last component only."""
    check_argument(text)
    if not text.strip("/"):
        raise ValueError("expected a path below the location")
    *folders, _ = text.rstrip("/").split("/")
    if ".." in text.split("/"):
        raise ValueError("holds '..'; expected a path below the location")
    if any("*" in folder for folder in folders):
        raise ValueError("has '*' in a folder; the node takes it in the last component only")
    if not is_path(re.sub("/+", "/", text)):
        raise ValueError("expected letters, digits and _.+- in names that do not begin with + or -")
    return text


def read_placed_path(text: str) -> tuple[str | None, str]:
    """Returns (location, path) of a path. The location is None if the text does not name it.

    The text may be written as after `file get` (`activelog cm/trace`, `activelog /cm/trace` or
    `activelog/cm/trace`), as on the disk of the node (`/var/log/active/cm/trace`), or without a
    location (`cm/trace`, `/cm/trace`).
    """
    if on_disk := _ON_DISK.fullmatch(text):
        return f"{on_disk['location']}log", check_path(on_disk["path"] or "/")
    written = _WITH_LOCATION.fullmatch(text)
    if written is None:
        return None, check_path(text)
    return written["location"], check_path(written["path"].lstrip("/"))


def common_location(
    named: str | None, default: str, owns: Sequence[str | None]
) -> tuple[str, int | None]:
    """Returns the location of all paths, and the position of the first path that is not below it,
    or None.

    named    the location that was given for all paths, or None
    default  the location if neither `named` nor a path names one
    owns     for each path the location that the path itself names, or None
    """
    location = named or next((own for own in owns if own is not None), None) or default
    elsewhere = (at for at, own in enumerate(owns) if (own or named or default) != location)
    return location, next(elsewhere, None)


def location_mismatch(location: str) -> str:
    """Returns the reason for refusing the path whose position `common_location` returns."""
    return (
        f"is not below {location} like the others; all paths must be below one location"
        " (write '/' before a folder that has the name of a location)"
    )


def distinct_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Returns each path once, in its first spelling. For a node `X`, `/X` and `X/` are the same."""
    first: dict[str, str] = {}
    for written in paths:
        first.setdefault("/".join(part for part in written.split("/") if part), written)
    return tuple(first.values())


def check_location(text: str) -> str:
    if text not in LOCATIONS:
        raise ValueError(f"expected one of {', '.join(LOCATIONS)}")
    return text


def check_window(text: str) -> str:
    """Checks a window that ends now: "30m", "2h", "3d" or "1w"."""
    parse_last(text)
    return text


def check_written_for(text: str) -> str:
    """Checks how long a node writes to one file: "1h", "2d" or "always"."""
    parse_written_for(text)
    return text


def check_profile_name(text: str) -> str:
    """Checks the name of a profile or a cluster."""
    if not _PROFILE_NAME.fullmatch(text):
        raise ValueError("expected a name of letters, digits, '-', '_' and '.' (64 at most)")
    return text


def check_credential_name(text: str) -> str:
    """Checks the name of a credential. It begins a file name, so it has no `/` or leading dot."""
    if not is_credential_name(text):
        raise ValueError("expected a name of letters, digits, '-', '_', '.' and '@' (64 at most)")
    return text


def is_credential_name(text: str) -> bool:
    return _CREDENTIAL_NAME.fullmatch(text) is not None


def check_group_name(text: str) -> str:
    if not _GROUP_NAME.fullmatch(text):
        raise ValueError("expected the name of a group")
    return text


def check_user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError("expected the name of a user, or a uid as a string")
    return text


def check_description(text: str) -> str:
    if len(text) > _LONGEST_DESCRIPTION or not text.isprintable():
        raise ValueError(
            f"expected one line of at most {_LONGEST_DESCRIPTION} printable characters"
        )
    return text


def check_socket_path(path: Path) -> None:
    if len(fsencode(path)) > LONGEST_SOCKET:
        raise ValueError(f"expected at most {LONGEST_SOCKET} bytes, the limit for a socket's path")


def check_listen_address(text: str) -> str:
    try:
        _, port = split_address(text)
        problem = "has no port" if port is None else None
    except InvalidNode as error:
        problem = str(error)
    if problem is not None:
        raise ValueError(f'{problem}; expected "address:port", such as "0.0.0.0:2222"')
    return text


def check_advertised_host(text: str) -> str:
    try:
        host = check_host(text)
    except InvalidNode:
        raise ValueError("expected an IP address or a host name, without a port") from None
    if host in ("0.0.0.0", "::"):  # noqa: S104  # refused here, not bound to
        raise ValueError("expected an address that a node can connect to")
    return host
