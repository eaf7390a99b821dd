"""PURE. Reads the name of a node, and names the node and its folder within a job.

A node is named `host`, `host:port`, `[v6]:port`, or by a bare IPv6 address. A name that is valid
here is safe as the name of a folder, in a log line and on a terminal, so that no other part checks
it again.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping, Sequence

SSH_PORT = 22

# The parts of a host name as RFC 1123 has them (63 characters at most), and with the underscore,
# which real host names contain all the same.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# Interface names as Linux allows them, without characters that have a meaning in a path.
_ZONE = re.compile(r"[A-Za-z0-9_-]{1,15}")
_PORT = re.compile(r"[0-9]{1,5}")

_LONGEST_HOST = 253  # what DNS can carry
_LONGEST_NAME = 255  # what a file system takes as the name of the node's folder

# Names in a job's directory or export that cucmd uses itself. Case is ignored, because files are
# copied to systems that ignore case.
_RESERVED = frozenset({"manifest.json", "sha256sums", "summary.txt", "transcripts"})
# The first character of a marked folder. Neither a node's name nor a reserved name begins with it.
# The mark adds one character, but no marked folder is longer than 255 characters. A name of 255
# characters is an address with a port. Its folder would be marked only if a bare host had the same
# plain folder, and a bare host has at most 253 characters.
_MARK = "@"


class InvalidNode(ValueError):
    """A text is not the name of a node. `str()` is the reason, without the text."""


def parse_node(text: str) -> tuple[str, int]:
    """Returns (host, port) of a node's name. The default port is 22. Raises `InvalidNode`."""
    host, port = split_address(text)
    if len(text) > _LONGEST_NAME:
        raise InvalidNode(f"a node's name has at most {_LONGEST_NAME} characters, not {len(text)}")
    if port == 0:
        raise InvalidNode("port 0 is not one of 1 to 65535")
    return host, SSH_PORT if port is None else port


def split_address(text: str) -> tuple[str, int | None]:
    """Returns (host, port) of an address. The port is None if it is missing, and may be 0.

    Text with more than one `:` and without brackets is an IPv6 address without a port:
    `fe80::1:2022` has none, `[fe80::1]:2022` has one. Raises `InvalidNode`.
    """
    if not text:
        raise InvalidNode("is empty; expected a host, or host:port")
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidNode("expected [address]:port")
        return _v6(inside), _port(rest[1:]) if rest else None
    if text.count(":") > 1:
        return _v6(text), None
    host, colon, port = text.partition(":")
    return check_host(host), _port(port) if colon else None


def check_host(host: str) -> str:
    """Returns `host`, which is a host name or an IP address. Raises `InvalidNode` if not."""
    if ":" in host:
        return _v6(host)
    labels = host.removesuffix(".").split(".")
    if len(host) > _LONGEST_HOST:
        raise InvalidNode(f"a host name has at most {_LONGEST_HOST} characters, not {len(host)}")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidNode(
            "expected a host name (letters, digits, '-', '_' and '.', "
            "with at most 63 characters between two dots) or an IP address"
        )
    if labels[-1].isdigit():  # refuse "10.1", which resolvers read as 10.0.0.1
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise InvalidNode("looks like an IPv4 address, but is not one") from None
    return host


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
    """Returns `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def node_key(host: str, port: int) -> tuple[str, int]:
    """Returns the same value for every spelling of a node: in any case, with or without a final
    dot, with any abbreviation of an IPv6 address.
    """
    if ":" in host:
        address, percent, zone = host.partition("%")
        return f"{ipaddress.IPv6Address(address)}{percent}{zone}", port
    return host.removesuffix(".").lower(), port


def folder_of(node: str, *, marked: bool) -> str:
    """Returns the name of the node's folder in its job's directory.

    The folder of `host:2022` is `host_2022`, or `@host@2022` if it is marked, because some file
    systems do not accept `:`. Two nodes can have the same plain folder, but never the same marked
    folder.
    """
    if marked:
        return _MARK + node.replace(":", _MARK)
    return node.replace(":", "_")


def marked_nodes(nodes: Sequence[str]) -> frozenset[str]:
    """Returns the nodes of a job whose folders must be marked, because their plain folder is also
    that of another node, or is a name that cucmd uses itself.
    """
    plain = {node: folder_of(node, marked=False).rstrip(".").lower() for node in nodes}
    count = Counter(plain.values())
    return frozenset(node for node, name in plain.items() if count[name] > 1 or name in _RESERVED)


def short_names(host_names: Mapping[str, str | None]) -> dict[str, str | None]:
    """Returns a short name for each node of a job, or None if nothing is shorter than the node.

    host_names  node -> its host name, as its cluster knows it. The host name comes from a node, so
                it is only used if it is a single label of a host name.

    Without regard to case, a short name differs from all nodes, hosts and folders of the job, and
    from the other short names. If a host name does not, the node is added: `cucm-pub+10.0.0.1`.
    """
    used = Counter(name.lower() for name in host_names.values() if name)
    hosts = {node: split_address(node)[0].lower() for node in host_names}
    used.update((*_RESERVED, *hosts.values()))
    used.update(folder_of(node, marked=False).lower() for node in host_names)
    names: dict[str, str | None] = {}
    for node, name in host_names.items():
        usable = name and _LABEL.fullmatch(name) and not name.isdigit()
        if not name or not usable or name.lower() == hosts[node]:
            names[node] = None
        else:
            unique = used[name.lower()] == 1
            names[node] = name if unique else f"{name}+{folder_of(node, marked=False)}"
    return names


def source_of(peer: str) -> str:
    """Returns the address by which limits count a peer: an IPv4 address, or an IPv6 network (/64).

    One machine has 2^64 IPv6 addresses and can use a new one for each connection, so a limit for
    each IPv6 address would limit nothing.
    """
    address = ipaddress.ip_address(peer)
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
