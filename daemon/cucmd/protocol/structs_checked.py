"""What a check has seen on a node. Shared by the daemon and `cucmctl`.

The one rule: that of `structs.py`, of which this is a part.
"""

from __future__ import annotations

from msgspec import Struct


class Checked(Struct, frozen=True):
    reachable: bool | None = None
    host_key: str | None = None
    login: bool | None = None
    prompt: bool | None = None
    product: str | None = None
    version: str | None = None
    zone: str | None = None
    clock_ahead: float | None = None
    logging_total: int | None = None
    logging_free: int | None = None
    receiver: str | None = None
