"""Declares the options of simulated nodes, and their SSH algorithms.

The defaults make a healthy node of release 12.5 to 15. Everything unusual is an option.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from cucmlab.faults import Fault
from cucmlab.files import Shape


class Extra(StrEnum):
    """Says whether `file get` asks one more yes/no question, before or after the sizing."""

    NO = "no"
    BEFORE = "before"
    AFTER = "after"


class NodeAlgorithms(msgspec.Struct, frozen=True):
    """Holds the names of algorithms as SSH sends them, for both directions.

    A node has only an RSA host key; `host_keys` are the algorithms with which it can sign.
    """

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...] = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
    banner: str = "OpenSSH_9.6 PKIX[14.4.2]"


# vos/NODES.md, section 1
ALGORITHMS = {
    "current": NodeAlgorithms(
        kex=(
            "ecdh-sha2-nistp521",
            "ecdh-sha2-nistp384",
            "ecdh-sha2-nistp256",
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group14-sha256",
            "diffie-hellman-group16-sha512",
        ),
        ciphers=(
            "aes256-gcm@openssh.com",
            "aes128-gcm@openssh.com",
            "aes256-ctr",
            "aes192-ctr",
            "aes128-ctr",
        ),
        macs=("hmac-sha2-512", "hmac-sha2-256", "hmac-sha1"),
    ),
    # The oldest release that is still in use. The daemon uses these algorithms only for clusters
    # with `legacy_algorithms`.
    "legacy": NodeAlgorithms(
        kex=(
            "diffie-hellman-group-exchange-sha1",
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group1-sha1",
        ),
        ciphers=("aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc"),
        macs=("hmac-sha1",),
        host_keys=("ssh-rsa",),
        banner="OpenSSH_5.3",
    ),
}
# secp256k1. asyncssh can serve this curve. Clients do not offer it, except asyncssh by default.
UNCOMMON_KEX = "ecdh-sha2-1.3.132.0.10"


Delay: TypeAlias = Annotated[float, Meta(ge=0, le=86_400)]


class LabOptions(Shape, frozen=True, kw_only=True):
    """Holds the options of a lab. Addresses count up from `address`; port 0 means any free port.

    Larger values would need too many descriptors or too much memory, or exceed Python's dates.
    """

    nodes: Annotated[int, Meta(ge=1, le=10_000)] = 3
    address: IPv4Address = IPv4Address("127.1.0.1")
    port: Annotated[int, Meta(ge=0, le=65_535)] = 2022
    user: str = "administrator"
    password: str = "lab-password"  # noqa: S105 - of nodes that hold nothing
    algorithms: str = "current"
    host_key: bytes | None = None  # a private key (PEM), or None for a new one
    logon_message: str = ""
    banner_delay: Delay = 0.0
    extra_question: Extra = Extra.NO
    ask_host_key: bool = False
    sizing_delay: Delay = 0.0
    timezone: ZoneInfo = ZoneInfo("UTC")
    packets: Annotated[int, Meta(ge=0, le=100_000)] = 40  # a second, on the network of a node
    stamps: bool = False  # real times in the first and the last line of traces
    faults: tuple[Fault, ...] = ()

    def __repr__(self) -> str:
        return f"LabOptions(nodes={self.nodes}, port={self.port})"
