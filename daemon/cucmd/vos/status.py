"""PURE. What `show status` tells about a node.

The one rule: what is not certain is not known. A wrong time zone would move the window away from
the files; none at all only widens it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

_TIME_ZONE = re.compile(r"\s*Time Zone\s*:\s*(.{1,200})", re.IGNORECASE)
# The name in the zone database, wherever it stands: "Europe/Berlin",
# "Central European Standard Time (Europe/Berlin)". An abbreviation is no name: CST is said in
# Chicago and in Shanghai, and GMT in London in winter.
_NAME = re.compile(r"(?<![\w./+-])[A-Za-z_]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){1,2}(?![\w./+-])")
_UTC = re.compile(r"\bUTC\)?\s*$")


class NodeStatus(msgspec.Struct, frozen=True):
    """`zone` is None where the node named none that is known here."""

    zone: tzinfo | None


def parse_show_status(lines: Iterable[str]) -> NodeStatus:
    """Reads the answer to `show status`; never raises."""
    for line in lines:
        if match := _TIME_ZONE.match(line):
            return NodeStatus(_zone(match[1]))
    return NodeStatus(None)


def _zone(text: str) -> tzinfo | None:
    names = _NAME.findall(text)
    if not names and _UTC.search(text):
        return UTC
    return next((zone for name in reversed(names) if (zone := _known(name))), None)


def _known(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, as America/Indiana
        return None
