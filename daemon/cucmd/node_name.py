"""PURE. Reads how a node is named: `host`, `host:port`, `[v6]:port`, or a bare IPv6 address; and
names its folder.

A name that is valid here is safe as a folder's name, in a log line and on a terminal. No other part
checks it again.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Sequence

SSH_PORT = 22

# RFC 1123, and the underscore that real host names have in spite of it.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# Interface names as Linux allows them, without characters that have a meaning in a path.
_ZONE = re.compile(r"[A-Za-z0-9_-]{1,15}")
_PORT = re.compile(r"[0-9]{1,5}")

_LONGEST_HOST = 253  # what DNS can carry
_LONGEST_LABEL = 63  # RFC 1035
_LONGEST_NAME = 255  # what a file system takes as the name of the node's folder

# Names in a job's directory, or in its export, that are ours. Case does not count, since files are
# copied to systems where it does not.
_OURS = frozenset({"manifest.json", "sha256sums", "summary.txt", "transcripts"})
# Before a folder's name. It is in no node's name, and nothing of ours begins with it. A name of 255
# characters has a port, and is never marked: a host without one has 253 at most.
_MARK = "@"


class InvalidNode(ValueError):
    """A text is not a node's name. `str()` is the reason, without the text."""


def parse_node(text: str) -> tuple[str, int]:
    """Splits a node's name into (host, port); the port is 22 unless given. Raises `InvalidNode`."""
    host, port = split_address(text)
    if len(text) > _LONGEST_NAME:
        raise InvalidNode(f"a node's name has at most {_LONGEST_NAME} characters, not {len(text)}")
    if port == 0:
        raise InvalidNode("port 0 is not one of 1 to 65535")
    return host, SSH_PORT if port is None else port


def split_address(text: str) -> tuple[str, int | None]:
    """Splits an address into (host, port or None), port 0 allowed. Raises `InvalidNode`.

    More than one `:` outside of brackets can only be an IPv6 address, so `fe80::1:2022` has no
    port: with one it is written `[fe80::1]:2022`.
    """
    if not text:
        raise InvalidNode("is empty; expected a host, or host:port")
    if text.startswith("["):
        return _split_bracketed(text)
    if text.count(":") > 1:
        return _v6(text), None
    host, colon, port = text.partition(":")
    return check_host(host), _port(port) if colon else None


def _split_bracketed(text: str) -> tuple[str, int | None]:
    inside, bracket, rest = text[1:].partition("]")
    if not bracket or (rest and not rest.startswith(":")):
        raise InvalidNode("expected [address]:port")
    return _v6(inside), _port(rest[1:]) if rest else None


def check_host(host: str) -> str:
    """Returns `host` if it is a host name or an IP address. Raises `InvalidNode`."""
    if ":" in host:
        return _v6(host)
    labels = host.removesuffix(".").split(".")
    if len(host) > _LONGEST_HOST:
        raise InvalidNode(f"a host name has at most {_LONGEST_HOST} characters, not {len(host)}")
    if (longest := max(map(len, labels))) > _LONGEST_LABEL:
        raise InvalidNode(
            f"each part of a host name has at most {_LONGEST_LABEL} characters, not {longest}"
        )
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidNode(
            "expected a host name (letters, digits, '-', '_' and '.') or an IP address"
        )
    if labels[-1].isdigit():  # resolvers read "10.1" as 10.0.0.1
        _v4(host)
    return host


def _v4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise InvalidNode("looks like an IPv4 address, but is not one") from None


def _v6(host: str) -> str:
    address, percent, zone = host.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        raise InvalidNode("expected the name of a network interface after '%'")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise InvalidNode("is neither host:port nor an IPv6 address") from None
    return host


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise InvalidNode("expected a port from 1 to 65535 after ':'")
    return int(text)


def address(host: str, port: int | str) -> str:
    """Returns `host:port`, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def node_key(host: str, port: int) -> tuple[str, int]:
    """Makes one value of every spelling of a node: case, a final dot and `::` do not count."""
    if ":" in host:
        address, percent, zone = host.partition("%")
        return f"{ipaddress.IPv6Address(address)}{percent}{zone}", port
    return host.removesuffix(".").lower(), port


def folder_of(node: str, *, marked: bool) -> str:
    """Returns the name of the node's folder in its job's directory.

    `host:2022` is `host_2022`, or `@host@2022` if marked. `:` is a character that some file
    systems do not take. Different names have different marked folders, but can share a plain one.
    """
    if marked:
        return _MARK + node.replace(":", _MARK)
    return node.replace(":", "_")


def marked_nodes(nodes: Sequence[str]) -> frozenset[str]:
    """Returns those of a job's nodes whose folders must be marked: the plain one would be that of
    another node of the job, or something of ours.
    """
    plain = {node: folder_of(node, marked=False).rstrip(".").lower() for node in nodes}
    count = Counter(plain.values())
    return frozenset(node for node, name in plain.items() if count[name] > 1 or name in _OURS)


def source_of(peer: str) -> str:
    """Returns what counts as one address: an IPv4 address, or the IPv6 network of one link.

    One machine has 2^64 addresses of IPv6, and may use a new one for each connection. Whoever
    limits or shares something by address, asks here.
    """
    address = ipaddress.ip_address(peer)
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
