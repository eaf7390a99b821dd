"""What can be set for simulated nodes, and their algorithms.

The defaults make a healthy node of release 12.5 to 15. Everything unusual is an option.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address
from zoneinfo import ZoneInfo

import msgspec

from cucmd.lab.faults import Fault
from cucmd.lab.tree import Shape


class Auth(StrEnum):
    PASSWORD = "password"  # noqa: S105 - release 11.5
    KEYBOARD_INTERACTIVE = "keyboard-interactive"  # release 15
    BOTH = "both"


class Form(StrEnum):
    """The form of `file get`: older releases print `done.` at once, newer ones name the files."""

    OLDER = "older"
    NEWER = "newer"
    ALTERNATE = "alternate"  # by node


class Prompt(StrEnum):
    PLAIN = "plain"
    COUNTER = "counter"  # as after `set commandcount enable`
    ESCAPE = "escape"  # ESC[K before it
    NUDGE = "nudge"  # the first one only after an empty line, and then twice


class Extra(StrEnum):
    """Where `file get` asks another yes/no question."""

    NO = "no"
    BEFORE = "before"  # the sizing
    AFTER = "after"


class Algorithms(msgspec.Struct, frozen=True):
    """Names as on the wire, for both directions. `host_keys`: a node has an RSA key only."""

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...] = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
    banner: str = "OpenSSH_9.6 PKIX[14.4.2]"


# vos/NODES.md, section 1
ALGORITHMS = {
    "current": Algorithms(
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
    "legacy": Algorithms(
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


class LabOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. Addresses count up from `first_address`; `port` 0: any free one."""

    nodes: int = 3
    first_address: IPv4Address = IPv4Address("127.1.0.1")
    port: int = 2022
    username: str = "administrator"
    password: str = "lab-password"  # noqa: S105 - of nodes that hold nothing
    auth: Auth = Auth.BOTH
    algorithms: str = "current"
    host_key: bytes | None = None  # a private key (PEM); None: a new one
    max_sessions: int = 10
    logon_message: str = ""
    banner_delay: float = 0.0
    prompt: Prompt = Prompt.PLAIN
    form: Form = Form.ALTERNATE
    extra_question: Extra = Extra.NO
    ask_host_key: bool = False
    sizing_delay: float = 0.0
    greeting_patience: float = 5.0  # for the receiver's first byte
    unreachable_silence: float = 120.0  # when the receiver does not accept
    timezone: ZoneInfo = ZoneInfo("UTC")
    shape: Shape = Shape()
    packets: int = 40  # a second, on the network of a node
    stamps: bool = False  # real times in the first and the last line of traces
    faults: tuple[Fault, ...] = ()

    def __repr__(self) -> str:
        return f"LabOptions(nodes={self.nodes}, port={self.port})"

    def form_of(self, index: int) -> Form:
        """The form of node number `index` (from 1)."""
        if self.form is Form.ALTERNATE:
            return Form.OLDER if index % 2 else Form.NEWER
        return self.form
