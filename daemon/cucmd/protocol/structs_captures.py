"""What a job says of a packet capture. Shared by the daemon and `cucmctl`.

The one rule: that of `structs.py`.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class CaptureSettings(Struct, frozen=True):
    name: str
    interface: str
    count: int
    duration: float
    delete: bool
    host: str | None = None
    port: int | None = None
    size: int | None = None


class Captured(Struct, frozen=True):
    name: str
    started_at: datetime
    running: bool
    ended_at: datetime | None = None
    packets: int | None = None
    how: str | None = None
