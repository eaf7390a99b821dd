"""Lists the algorithms that we offer to nodes, and accept from them as SFTP clients, best first.

SHA-1 in key exchange or signatures, CBC, and the group exchange only where the configuration opts
in.
"""

from __future__ import annotations

import msgspec


class Algorithms(msgspec.Struct, frozen=True):
    """Holds names as on the wire, in order of preference."""

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]  # signature algorithms of host keys

    def options(self) -> dict[str, list[str]]:
        """Returns what `asyncssh.connect` and `asyncssh.listen` take alike.

        A client passes `server_host_key_algs=list(host_keys)` besides; a server's are given by
        its keys and `signature_algs`. Compression is off: it costs CPU on the node, and logs
        travel gzipped already.
        """
        return {
            "kex_algs": list(self.kex),
            "encryption_algs": list(self.ciphers),
            "mac_algs": list(self.macs),
            "compression_algs": ["none"],
            "signature_algs": list(self.host_keys),
        }


# curve25519 for servers that have it; the rest is what 12.5SU5 lists (vos/NODES.md, section 1)
# without SHA-1. ECDH comes before finite-field groups: group16 costs a node's CPU some 20 times as
# much.
_KEX = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
)
# In a group exchange the client names the size, of a group that the server has to compute with.
# Only releases before 12 have nothing better (vos/NODES.md, section 1).
_LEGACY_KEX = (
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group1-sha1",
)

# GCM first: with AES in hardware it is the quickest in OpenSSL, and it needs no MAC.
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "chacha20-poly1305@openssh.com",
)
_LEGACY_CIPHERS = ("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc")

# hmac-sha1 is not a signature: collisions of SHA-1 do not weaken it, and a node with OpenSSH 5.3
# has nothing else but MD5. So it stays among the defaults, last.
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
)

# A node has an RSA key; the others are for servers that are no CUCM (tests, jump hosts).
_HOST_KEYS = (
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-ed25519",
)
_LEGACY_HOST_KEYS = ("ssh-rsa",)

_MODERN = Algorithms(_KEX, _CIPHERS, _MACS, _HOST_KEYS)
_ALL = Algorithms(
    _KEX + _LEGACY_KEX,
    _CIPHERS + _LEGACY_CIPHERS,
    _MACS,
    _HOST_KEYS + _LEGACY_HOST_KEYS,
)


def usual_algorithms(*, legacy: bool = False) -> Algorithms:
    """Returns what we offer to a node's SSH server, and the receiver accepts from its SFTP client.

    A node has the same libraries in both directions, and in SSH the client's order decides.
    """
    return _ALL if legacy else _MODERN


def host_key_order(algorithms: Algorithms, known: frozenset[str]) -> list[str]:
    """Orders the host key algorithms, those of key types that are known for a node first.

    As in OpenSSH: a node with several keys then shows the one that can be compared.
    """
    return sorted(algorithms.host_keys, key=lambda name: key_type(name) not in known)


def key_type(signature: str) -> str:
    """Returns the type that a known_hosts line gives to keys which sign so."""
    return "ssh-rsa" if signature.startswith("rsa-sha2-") else signature
