"""PURE. Makes answers fit on a page.

An answer is a page of items, such as nodes, files or lines: as many as fit, and what was left out,
with a way to ask for less. What is too long within an item is cut, and says so. The text of an
answer is its structured content as JSON, so the two always say the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from cucmctl.cli.printer import visible

# Bytes of JSON that the items of a page may have, and a whole answer.
PAGE, MOST = 12_000, 16_000
# Characters of a text within an item, and entries of a list. If an answer is too long all the same,
# the next pair counts.
_CUTS = ((2000, 40), (400, 10), (80, 3), (20, 1))

T = TypeVar("T")


class Page(Struct, Generic[T], kw_only=True):
    """Holds items. `next` is the cursor of the next page."""

    items: Sequence[T]
    left_out: str | None = None
    next: str | None = None


def page(items: Sequence[T], cursor: str, narrow: str) -> Any:
    """Returns the members of a `Page`. Its cursor is the number of the items on earlier pages."""
    begin = int(cursor) if cursor.isdecimal() else 0
    shown = fitting(items[begin:])
    end = begin + len(shown)
    left_out = following = None
    if len(shown) < len(items):
        left_out = f"{begin + 1:,} to {end:,} of {len(items):,}"
    if end < len(items):
        left_out, following = f"{left_out}; go on with cursor, or narrow by {narrow}", str(end)
    return {"items": shown, "left_out": left_out, "next": following}


def fitting(items: Sequence[T]) -> Sequence[T]:
    """Returns the first items that fit on a page, at least one."""
    size = 0
    for at, item in enumerate(items):
        size += len(_json(_cut(msgspec.to_builtins(item), *_CUTS[0])).encode())
        if at and size > PAGE:
            return items[:at]
    return items


def fit(answer: Struct) -> tuple[str, dict[str, Any]]:
    """Returns an answer as text and as structured content, without what is absent."""
    whole: dict[str, Any] = msgspec.to_builtins(answer)
    for longest, entries in _CUTS:
        content = {
            name: _cut(part, longest, entries) for name, part in whole.items() if part is not None
        }
        if "items" in whole:  # `page` has chosen them
            content["items"] = [_cut(item, longest, entries) for item in whole["items"]]
        text = _json(content)
        if len(text.encode()) <= MOST:
            break
    return text, content


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cut(value: Any, longest: int, entries: int) -> Any:
    """Makes control characters visible, and cuts long texts and lists."""
    if isinstance(value, dict):
        shown = {name: _cut(part, longest, entries) for name, part in value.items()}
        return {visible(name): part for name, part in shown.items() if part is not None}
    if isinstance(value, list | tuple):
        few = [_cut(part, longest, entries) for part in value[:entries]]
        more = len(value) - len(few)
        # Only lists of texts can be longer: lists of structs are items, or bounded by the daemon.
        return [*few, f"... and {more:,} more"] if more and isinstance(value[0], str) else few
    if isinstance(value, str):
        text = visible(value[: longest + 1])
        if len(text) <= longest and len(value) <= longest:
            return text
        return f"{text[:longest]}... (cut; it has {len(value):,} characters)"
    return value
