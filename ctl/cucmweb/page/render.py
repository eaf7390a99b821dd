"""Renders the templates. Texts of nodes, users and files are escaped everywhere.

Characters that control a terminal or reorder a text are shown by their codes.

A time is shown in the zone of the viewer. The script `page.js` tells it in a cookie; without it the
zone of this machine is used, and the foot of each page names the zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from cucmctl.cli.printer import visible
from cucmctl.text import render as text
from cucmctl.text.kind_text import text_of
from cucmctl.text.pace import silence
from cucmctl.text.remarks import remarks, short_names
from cucmweb.page import pictures, views


@cache
def environment() -> Environment:
    """Returns the templates, all of them compiled, which takes a tenth of a second."""
    made = Environment(
        loader=PackageLoader("cucmweb.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_visible,
    )
    made.filters |= {
        "when": _when,
        "size": text.size,
        "duration": text.duration,
        "segment": lambda name: quote(name, safe=""),
    }
    made.globals |= {
        "text": text,
        "views": views,
        "pictures": pictures,
        "text_of": text_of,
        "remarks": remarks,
        "short_names": short_names,
        "silence": silence,
    }
    for name in made.list_templates():
        made.get_template(name)
    return made


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """Renders a template as UTF-8. `values` must have `zone`, a `ZoneInfo` or None."""
    return environment().get_template(template).render(values, now=datetime.now(UTC)).encode()


def _visible(value: Any) -> Any:
    """Shows characters that could hide or reorder a text by their codes, as on a terminal."""
    if not isinstance(value, str) or hasattr(value, "__html__") or value.isprintable():
        return value
    return re.sub(r"[^\n\t]+", lambda found: visible(found[0]), value)


def zone_named(name: str) -> ZoneInfo | None:
    """Returns a zone by its name, or None for a name that is unknown or empty."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_text(zone: ZoneInfo | None) -> str:
    """Returns the name of the zone in which times are shown."""
    return zone.key if zone else f"{datetime.now().astimezone():%Z}, the zone of the server"


@pass_context
def _when(
    context: Context, at: datetime | str | None, form: str = "%Y-%m-%d %H:%M:%S", zone: str = ""
) -> str:
    """Returns a time in the zone of the viewer, or in the zone with this name."""
    if not at:
        return ""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return at.astimezone(zone_named(zone) or context["zone"]).strftime(form)
