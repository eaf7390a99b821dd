"""Parses the lines of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

asyncssh parses the keys and matches the hosts. If it cannot parse a single line, it refuses the
whole file, so this module finds such lines and does not pass them to asyncssh.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from itertools import pairwise

import asyncssh
import msgspec

from cucmd.node_name import SSH_PORT, address, node_key

# Characters of a line. Usual lines have a few hundred; with an RSA key of 16384 bits, 2,800.
_LINE_LIMIT = 16_384


class PublicKey(msgspec.Struct, frozen=True):
    """Holds a public key as OpenSSH writes it. `ssh-keygen -l` prints the same fingerprint."""

    algorithm: str
    key: str  # base64
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.algorithm} {self.key}"


class HostLine(PublicKey, frozen=True, kw_only=True):
    """Holds a line of known_hosts: a key of one or several hosts.

    hosts: the first field, exactly as it is in the file.
    revoked: whether the line begins with `@revoked`.
    """

    hosts: str
    revoked: bool = False

    def __str__(self) -> str:
        return self._with_hosts(self.hosts)

    @property
    def for_asyncssh(self) -> str:
        """Returns the line for asyncssh, with lower-case names and no empty name.

        asyncssh compares names with their case, and takes an empty name, as in `a,,b`, for a
        pattern that matches every host.
        """
        if self.hosts.startswith("|"):  # a hashed name, in base64, where the case matters
            return str(self)
        return self._with_hosts(",".join(filter(None, self.hosts.lower().split(","))))

    def hosts_without(self, name: str) -> str:
        """Returns the first field without exactly this name, or "" if no other name is left."""
        return ",".join(one for one in self.hosts.split(",") if not self._matches(one, name))

    def _matches(self, host: str, name: str) -> bool:
        if not host.startswith("|"):
            return host.lower() == name
        hashed = asyncssh.import_known_hosts(f"{host} {self.algorithm} {self.key}")
        return bool(hashed.match(name, "", None)[0])

    def _with_hosts(self, hosts: str) -> str:
        return " ".join([*["@revoked"] * self.revoked, hosts, self.algorithm, self.key])


def host_name(host: str, port: int) -> str:
    """Returns the name of a node in a known_hosts file: `[host]:port`, or `host` for port 22.

    If OpenSSH and asyncssh find no `[host]:port`, they take the key of a plain `host`. We do not,
    because the lab and port forwards put many nodes on one address.
    """
    host, port = node_key(host, port)
    return host if port == SSH_PORT else f"[{host}]:{port}"


def node_name(pattern: str) -> str:
    """Returns the node for a name in known_hosts, as we write nodes: `host` or `host:port`.

    Returns a pattern or a hashed name unchanged.
    """
    host, bracket, port = pattern.removeprefix("[").rpartition("]:")
    if not bracket or not pattern.startswith("["):
        return pattern
    return address(host, port)


def public_key(key: asyncssh.SSHKey) -> PublicKey:
    algorithm, content = key.export_public_key("openssh").decode("ascii").split()[:2]
    return PublicKey(algorithm, content, key.get_fingerprint())


def parse_key(text: str) -> PublicKey:
    """Returns the key in a text: `TYPE BASE64`, the content of a .pub file, or a line of
    known_hosts or ssh-keyscan.

    Raises ValueError. The message does not repeat the text, because a key has 500 characters.
    """
    for algorithm, key in pairwise(text.split() if len(text) <= _LINE_LIMIT else []):
        with suppress(asyncssh.KeyImportError):
            return public_key(asyncssh.import_public_key(f"{algorithm} {key}"))
    raise ValueError('expected a public key, such as "ssh-rsa AAAAB3NzaC1yc2E..."')


# The results are cached, because after every change of the file all lines are parsed again.
@functools.lru_cache(maxsize=8192)
def parse_line(text: str) -> HostLine | None:
    """Returns the parsed line. Returns None for a comment, an empty line, a @cert-authority line,
    or anything that asyncssh cannot parse.
    """
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
