"""PURE. A check of nodes before a collection: what is asked for, and what is seen on a node.

The one rule: what was not reached is None. A step that was tried and failed is False, or a word
that says so; why it failed is the failure of the node.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

# known      the node showed a key that was known before
# new        no key was known before; this one is remembered now
# changed    another key was known
# unknown    no key was known before, and only a known one is accepted
# unchecked  the configuration has it that no key is compared
HostKeySeen: TypeAlias = Literal["known", "new", "changed", "unknown", "unchecked"]
# not_asked: the job does not look at it
ReceiverSeen: TypeAlias = Literal["ok", "failed", "not_asked"]


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Looks whether a collection from a node can be expected to work, and changes nothing on it.

    `receiver`: gets one small file too, which shows that the node reaches the receiver.
    """

    receiver: bool = False


class Checked(msgspec.Struct, frozen=True):
    """What a check has seen on a node, in the order of the steps.

    reachable      a TCP connection was opened
    login          the password was accepted, and a shell opened
    prompt         the prompt of the appliance came
    product        as the node calls itself in the table of its cluster
    zone           its time zone by name
    clock_ahead    seconds by which its clock is ahead of ours; negative: behind
    logging_total, logging_free  of the partition with the logs, in bytes
    receiver       whether a file came to the receiver
    """

    reachable: bool | None = None
    host_key: HostKeySeen | None = None
    login: bool | None = None
    prompt: bool | None = None
    product: str | None = None
    version: str | None = None
    zone: str | None = None
    clock_ahead: float | None = None
    logging_total: int | None = None
    logging_free: int | None = None
    receiver: ReceiverSeen | None = None

    def after(self, before: Checked | None) -> Checked:
        """The same, where `before` was seen earlier in the same job: a key that the job has made
        known itself still was new. It is kept from the first step of an attempt on, which may be
        cut off by a stop of the daemon.
        """
        if before is None or before.host_key != "new" or self.reachable is False:
            return self
        if self.host_key not in (None, "known"):
            return self
        return msgspec.structs.replace(self, host_key="new")
