"""The structs of calls that check nodes. Shared by the daemon and `cucmctl`.

The one rule: that of `structs.py`.
"""

from __future__ import annotations

from msgspec import Struct

from cucmd.protocol.structs import Login, Timeouts


class CheckRequest(Struct, frozen=True):
    nodes: tuple[str, ...]
    login: Login
    receiver: bool | None = None
    timeouts: Timeouts | None = None
    concurrency: int | None = None
    request_id: str | None = None
    labels: dict[str, str] | None = None
    start_key: str | None = None
    try_all: bool | None = None
    discovered: tuple[str, ...] | None = None
    accept_nodes: bool | None = None
