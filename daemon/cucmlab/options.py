"""Lists what can be set for simulated nodes, and their algorithms.

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
    """Says where `file get` asks another yes/no question."""

    NO = "no"
    BEFORE = "before"  # the sizing
    AFTER = "after"


class NodeAlgorithms(msgspec.Struct, frozen=True):
    """Holds names as on the wire, for both directions. `host_keys`: a node has an RSA key only."""

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
    # The oldest that is still about: nothing here but what is opted into as legacy.
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
# secp256k1: asyncssh can serve it. No client offers it but asyncssh with its default of kex_algs.
UNCOMMON_KEX = "ecdh-sha2-1.3.132.0.10"


Delay: TypeAlias = Annotated[float, Meta(ge=0, le=86_400)]


class LabOptions(Shape, frozen=True, kw_only=True):
    """Addresses count up from `address`; `port` 0: any free one.

    More than the limits would only exceed those of descriptors, memory or dates.
    """

    nodes: Annotated[int, Meta(ge=1, le=10_000)] = 3
    address: IPv4Address = IPv4Address("127.1.0.1")
    port: Annotated[int, Meta(ge=0, le=65_535)] = 2022
    user: str = "administrator"
    password: str = "lab-password"  # noqa: S105 - of nodes that hold nothing
    algorithms: str = "current"
    host_key: bytes | None = None  # a private key (PEM); None: a new one
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
