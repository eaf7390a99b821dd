"""PURE. Reads the lines of a known_hosts file, as sshd(8) describes them under SSH_KNOWN_HOSTS.

A line that cannot be parsed is None, never an error.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from cucmd.node_name import SSH_PORT, address, node_key

# Bytes. A line has a few hundred; with an RSA key of 16384 bits, 2.8 KB.
_LINE_LIMIT = 16_384


class PublicKey(msgspec.Struct, frozen=True):
    """Is a public key, as OpenSSH writes it. `fingerprint` is what `ssh-keygen -l` shows of it."""

    algorithm: str
    key: str  # base64
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.algorithm} {self.key}"


class HostLine(PublicKey, frozen=True, kw_only=True):
    """Holds a key of one or several hosts. `hosts` is the first field as it stands in the file."""

    hosts: str
    revoked: bool = False

    def __str__(self) -> str:
        return " ".join([*["@revoked"] * self.revoked, self.hosts, self.algorithm, self.key])

    def matches(self, name: str) -> bool:
        """Says whether this line is about the host of that name; `!pattern` excludes."""
        patterns = self.hosts.split(",")
        if any(_matches(one[1:], name) for one in patterns if one.startswith("!")):
            return False
        return any(_matches(one, name) for one in patterns if not one.startswith("!"))

    def hosts_without(self, name: str) -> str:
        """Returns the first field without exactly this name; "" if no other is left."""
        return ",".join(one for one in self.hosts.split(",") if not _is_name(one, name))


class HostLines:
    """Holds lines in the order of a file, found by the names that they are about.

    Most lines have plain names: every login looks for its node several times, and looked through
    all lines that would cost as much for a thousand nodes as the rest of it.
    """

    def __init__(self, lines: Iterable[HostLine] = ()) -> None:
        self.all: list[HostLine] = []
        self._named: dict[str, list[int]] = {}  # name -> positions in `all`
        self._others: list[int] = []  # of those with a pattern, or a name as a hash
        for line in lines:
            self.add(line)

    def add(self, line: HostLine) -> None:
        """Adds the line at the end."""
        position, hosts = len(self.all), line.hosts
        self.all.append(line)
        if any(sign in hosts for sign in "*?!|"):
            self._others.append(position)
            return
        for name in set(hosts.lower().split(",")):
            self._named.setdefault(name, []).append(position)

    def about(self, name: str) -> tuple[HostLine, ...]:
        """Returns those about the host of that name."""
        others = (position for position in self._others if self.all[position].matches(name))
        found = sorted((*self._named.get(name, ()), *others))
        return tuple(self.all[position] for position in found)


def host_name(host: str, port: int) -> str:
    """Writes that host as a known_hosts file does: `[host]:port`, or `host` for port 22.

    OpenSSH takes a plain `host` for any port as second best; we do not, because the lab and
    port forwards put many nodes on one address.
    """
    host, port = node_key(host, port)
    return host if port == SSH_PORT else f"[{host}]:{port}"


def node_name(pattern: str) -> str:
    """Returns the node that a name in known_hosts means, as we write nodes; a pattern as it is."""
    host, bracket, port = pattern.removeprefix("[").rpartition("]:")
    if not bracket or not pattern.startswith("["):
        return pattern
    return address(host, port)


def parse_key(text: str) -> PublicKey:
    """Reads a key from `TYPE BASE64`, from a .pub file, or a line of known_hosts or ssh-keyscan.

    Raises ValueError with what was expected, without the 500 characters of the key.
    """
    fields = text.split() if len(text) <= _LINE_LIMIT else []
    for algorithm, key in pairwise(fields):
        blob = _decoded(key)
        if blob and blob.startswith(_length_prefixed(algorithm)) and _is_whole(blob):
            return PublicKey(algorithm, key, _fingerprint(blob))
    raise ValueError('expected a public key, such as "ssh-rsa AAAAB3NzaC1yc2E..."')


# Cached: every change of the file parses all its lines again.
@functools.lru_cache(maxsize=8192)
def parse_line(text: str) -> HostLine | None:
    """Returns the line, or None for a comment, a blank, a @cert-authority, or anything unknown."""
    fields = text.split() if len(text) <= _LINE_LIMIT else []
    revoked = fields[:1] == ["@revoked"]
    if revoked:
        fields = fields[1:]
    if len(fields) < 3 or fields[0].startswith(("#", "@")):
        return None
    hosts, algorithm, key = fields[:3]
    blob = _decoded(key)
    # The key contains its own type; the field before it must be the same.
    if blob is None or not blob.startswith(_length_prefixed(algorithm)):
        return None
    return HostLine(algorithm, key, _fingerprint(blob), hosts=hosts, revoked=revoked)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_whole(blob: bytes) -> bool:
    """Says whether it is strings from end to end, two at least: a key that was cut off is not."""
    strings = 0
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            return False
        blob, strings = blob[4 + size :], strings + 1
    return strings >= 2


def _length_prefixed(algorithm: str) -> bytes:
    name = algorithm.encode("utf-8", "surrogateescape")
    return len(name).to_bytes(4, "big") + name


def _fingerprint(blob: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def _matches(pattern: str, name: str) -> bool:
    if "*" in pattern or "?" in pattern:
        # Not fnmatch: a bracket is part of the name here.
        form = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(form, name) is not None
    return _is_name(pattern, name)


def _is_name(pattern: str, name: str) -> bool:
    return _hash_fits(pattern, name) if pattern.startswith("|1|") else pattern.lower() == name


def _hash_fits(pattern: str, name: str) -> bool:
    """Compares a name with `|1|salt|hash`: base64 of a salt, and of the HMAC-SHA1 of the name with
    it.
    """
    parts = pattern.split("|")
    salt, digest = (_decoded(part) for part in (parts[2:4] if len(parts) == 4 else ("-", "-")))
    if salt is None or digest is None:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
