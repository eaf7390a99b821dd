"""Lists the SSH algorithms that we offer to nodes, and that the receiver offers to their clients.

The best algorithm comes first. SHA-1 in key exchange and signatures, CBC ciphers and the group
exchange are used only if the configuration allows legacy algorithms.
"""

from __future__ import annotations

import msgspec


class Algorithms(msgspec.Struct, frozen=True):
    """Holds the names of algorithms, as SSH sends them, in order of preference."""

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]  # signature algorithms of host keys

    def options(self) -> dict[str, list[str]]:
        """Returns the options of asyncssh that a client and a server have in common.

        A client also needs `server_host_key_algs=list(host_keys)`. A server's host key algorithms
        follow from its keys and from `signature_algs`. Compression is off, because it costs
        processor time on the node, and a node's logs are compressed already.
        """
        return {
            "kex_algs": list(self.kex),
            "encryption_algs": list(self.ciphers),
            "mac_algs": list(self.macs),
            "compression_algs": ["none"],
            "signature_algs": list(self.host_keys),
        }


# curve25519 is for servers that have it. The others are the algorithms that release 12.5SU5 lists
# (vos/NODES.md, section 1), without SHA-1. ECDH comes before the finite-field groups, because
# group16 takes about 20 times as much processor time on the node.
_KEX = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
)
# In a group exchange the client chooses the size of the group, and a large group costs the server
# much processor time. Only releases before 12 have nothing better (vos/NODES.md, section 1).
_LEGACY_KEX = (
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group1-sha1",
)

# GCM comes first: with AES in hardware it is the quickest in OpenSSL, and it needs no MAC.
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "chacha20-poly1305@openssh.com",
)
_LEGACY_CIPHERS = ("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc")

# hmac-sha1 is a MAC and no signature, so collisions of SHA-1 do not weaken it. It stays among the
# defaults, as the last, because a node with OpenSSH 5.3 has only hmac-sha1 and MD5.
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
)

# A node has an RSA key. The other types are for servers that are not CUCM (tests, jump hosts).
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
    """Returns the algorithms that we offer to a node's SSH server, and that the receiver accepts
    from a node's SFTP client.

    One list serves both, because a node uses the same libraries as a server and as a client. The
    client's order of preference decides in SSH.
    """
    return _ALL if legacy else _MODERN


def host_key_order(algorithms: Algorithms, known: frozenset[str]) -> list[str]:
    """Returns the host key algorithms, those of the `known` key types first, as OpenSSH does.

    A node with several keys then shows a key that can be compared with a known key.
    """
    return sorted(algorithms.host_keys, key=lambda name: key_type(name) not in known)


def key_type(signature: str) -> str:
    """Returns the key type for a signature algorithm.

    The name of the type is the one in known_hosts: "ssh-rsa" for "rsa-sha2-256".
    """
    return "ssh-rsa" if signature.startswith("rsa-sha2-") else signature
