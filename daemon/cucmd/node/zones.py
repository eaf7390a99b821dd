"""Time zones by the names that nodes give them.

The one rule: a name that is not in the zone database here is no zone, whatever is wrong with it.
"""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_of(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, as America/Indiana
        return None
