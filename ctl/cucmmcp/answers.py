"""PURE. Makes answers fit on a page.

An answer is a page of items, such as nodes, files or lines: as many as fit, and what was left out,
with a way to ask for less. What is too long within an item is cut, and says so. The text of an
answer is its structured content as JSON, so the two always say the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from cucmctl.cli.printer import visible

# Bytes of JSON that the items of a page may have, and a whole answer.
PAGE, MOST = 12_000, 16_000
# Characters of a text within an item, and entries of a list. If an answer is too long all the same,
# the next pair counts.
_CUTS = ((2000, 40), (400, 10), (80, 3), (20, 1))

# Members that hold no text of nodes or people.
_PLAIN = {"job_id", "kind", "status", "state", "phase", "next", "file"} | {
    f"{name}_at" for name in ("created", "started", "completed", "discovered")
}
# Members that name nodes or clusters.
_HOSTS = {"node", "name", "first_node", "first_name", "targets", "publisher", "asked", "fqdn"}

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
        size += len(
            _json(
                _cut(_changed(msgspec.to_builtins(item), lambda _, text: _line(text)), *_CUTS[0])
            ).encode()
        )
        if at and size > PAGE:
            return items[:at]
    return items


def fit(answer: Struct, mask: Callable[[str], str]) -> tuple[str, dict[str, Any]]:
    """Returns an answer as text and as structured content, without what is absent.

    mask  masks a text; lines stay lines
    """
    # All texts are masked at once, since a number in one of them may be known from another one.
    # What the daemon has said to be a node is marked as one.
    whole = msgspec.to_builtins(answer)
    texts: list[tuple[str, str]] = []
    _changed(whole, lambda name, text: texts.append((name, _line(text))))
    hosts = [f"HostName={text}" for name, text in texts if name in _HOSTS]
    masked = iter(mask("\n".join([*(text for _, text in texts), *hosts])).split("\n"))
    whole = _changed(whole, lambda _, __: next(masked))
    for longest, entries in _CUTS:
        content = _cut(whole, longest, entries)
        if "items" in whole:  # `page` has chosen them
            content["items"] = [_cut(item, longest, entries) for item in whole["items"]]
        text = _json(content)
        if len(text.encode()) <= MOST:
            break
    return text, content


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _line(text: str) -> str:
    """Makes control characters visible. A tab, as traces have it, becomes a blank."""
    return visible(text.replace("\t", " "))


def _changed(value: Any, change: Callable[[str, str], Any], name: str = "") -> Any:
    """Changes all texts, of which it gives the member. Those that only the daemon makes stay."""
    if isinstance(value, dict):
        return {key: _changed(part, change, key) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(part, change, name) for part in value]
    return change(name, value) if isinstance(value, str) and name not in _PLAIN else value


def _cut(value: Any, longest: int, entries: int) -> Any:
    """Leaves out what is absent, and cuts long texts and lists."""
    if isinstance(value, dict):
        shown = {name: _cut(part, longest, entries) for name, part in value.items()}
        return {name: part for name, part in shown.items() if part is not None}
    if isinstance(value, list | tuple):
        few = [_cut(part, longest, entries) for part in value[:entries]]
        more = len(value) - len(few)
        # Only lists of texts can be longer: lists of structs are items, or bounded by the daemon.
        return [*few, f"... and {more:,} more"] if more and isinstance(value[0], str) else few
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}... (cut; it has {len(value):,} characters)"
    return value
