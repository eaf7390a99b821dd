"""The structs of calls about clusters. Shared by the daemon and `cucmctl`.

The one rule: that of `structs.py`.
"""

from __future__ import annotations

from msgspec import Struct

from cucmd.api.structs import Login, Timeouts


class DiscoverRequest(Struct, frozen=True):
    publisher: str
    login: Login
    timeouts: Timeouts | None = None
    request_id: str | None = None
    labels: dict[str, str] | None = None
    start_key: str | None = None
