"""PURE. How strict we are with a node's SSH."""

from __future__ import annotations

import msgspec

from cucmd.job import HostKeyPolicy


class Policy(msgspec.Struct, frozen=True):
    """`host_keys`: "strict" knows a node's key beforehand, "accept-new" remembers it at first
    sight and refuses a change, "off" looks at none. `legacy_algorithms`: SHA-1 and CBC too.
    """

    host_keys: HostKeyPolicy = "accept-new"
    legacy_algorithms: bool = False
