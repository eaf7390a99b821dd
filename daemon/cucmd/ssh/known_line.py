"""Reads the lines of a known_hosts file, as sshd(8) describes them under SSH_KNOWN_HOSTS.

asyncssh reads the keys and compares the hosts. A line that asyncssh would refuse is left out,
because it refuses the whole file for it. What is written into the file is decided here, so that
everything else in it stays as a person has written it.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from itertools import pairwise

import asyncssh
import msgspec

from cucmd.node_name import SSH_PORT, address, node_key

# Bytes. A line has a few hundred; with an RSA key of 16384 bits, 2.8 KB.
_LINE_LIMIT = 16_384


class PublicKey(msgspec.Struct, frozen=True):
    """Holds a public key as OpenSSH writes it. `ssh-keygen -l` shows the same fingerprint."""

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
        return self._with_hosts(self.hosts)

    @property
    def for_asyncssh(self) -> str:
        """Returns the line as asyncssh must be given it: it takes case as it finds it, and takes an
        empty name, as in `a,,b`, for every host.
        """
        if self.hosts.startswith("|"):  # a hash, in base64
            return str(self)
        return self._with_hosts(",".join(filter(None, self.hosts.lower().split(","))))

    def hosts_without(self, name: str) -> str:
        """Returns the first field without exactly this name; "" if no other is left."""
        return ",".join(one for one in self.hosts.split(",") if not self._matches(one, name))

    def _matches(self, host: str, name: str) -> bool:
        if not host.startswith("|"):
            return host.lower() == name
        hashed = asyncssh.import_known_hosts(f"{host} {self.algorithm} {self.key}")
        return bool(hashed.match(name, "", None)[0])

    def _with_hosts(self, hosts: str) -> str:
        return " ".join([*["@revoked"] * self.revoked, hosts, self.algorithm, self.key])


def host_name(host: str, port: int) -> str:
    """Writes that host as a known_hosts file does: `[host]:port`, or `host` for port 22.

    OpenSSH and asyncssh take a plain `host` for any port as second best; we do not, because the lab
    and port forwards put many nodes on one address.
    """
    host, port = node_key(host, port)
    return host if port == SSH_PORT else f"[{host}]:{port}"


def node_name(pattern: str) -> str:
    """Returns the node that a name in known_hosts means, as we write nodes; a pattern as it is."""
    host, bracket, port = pattern.removeprefix("[").rpartition("]:")
    if not bracket or not pattern.startswith("["):
        return pattern
    return address(host, port)


def public_key(key: asyncssh.SSHKey) -> PublicKey:
    """Converts a key of asyncssh."""
    algorithm, content = key.export_public_key("openssh").decode("ascii").split()[:2]
    return PublicKey(algorithm, content, key.get_fingerprint())


def parse_key(text: str) -> PublicKey:
    """Reads a key from `TYPE BASE64`, from a .pub file, or a line of known_hosts or ssh-keyscan.

    Raises ValueError with what was expected, without the 500 characters of the key.
    """
    for algorithm, key in pairwise(text.split() if len(text) <= _LINE_LIMIT else []):
        with suppress(asyncssh.KeyImportError):
            return public_key(asyncssh.import_public_key(f"{algorithm} {key}"))
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
    try:
        fingerprint = asyncssh.import_public_key(f"{algorithm} {key}").get_fingerprint()
        line = HostLine(algorithm, key, fingerprint, hosts=hosts, revoked=revoked)
        asyncssh.import_known_hosts(line.for_asyncssh)
    except ValueError:
        return None
    return line
