"""PURE. Makes answers fit on a page.

A tool returns all items that it has (nodes, files, lines and so on). The page has as many of them
as fit, and says which these are and how to ask for the others. Texts that are too long are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct
from msgspec.structs import replace

from cucmctl.cli.printer import visible

# Bytes of JSON that an answer may have, those for what is not an item, those of an item, and those
# for the end of an answer.
MOST, _HEAD, _ITEM, _END = 16_000, 4000, 11_000, 300
# The most items of an answer, texts in a list, and characters of a text. If something is still too
# long, its texts get the next limit.
MOST_ITEMS, _MOST_TEXTS, _LONGEST = 500, 40, (2000, 400, 80, 20)

T = TypeVar("T")


class Answer(Struct, Generic[T], kw_only=True):
    """What a tool returns. Members that do not apply are absent."""

    job_id: str | None = None
    status: str | None = None
    says: Sequence[str] | None = None
    missing: Sequence[str] | None = None  # what was not looked at: nothing can be said about it
    items: Sequence[T]
    # How many items there are, if `items` begins behind the cursor; None if `items` has them all.
    total: int | None = None
    left_out: str | None = None
    next: int | None = None  # the cursor of the next page


def fit(
    answer: Answer[Any], hide: Callable[[Any], Any], cursor: int, what: str, others: str
) -> dict[str, Any]:
    """Returns a page of an answer. Raises `ToolError` if there is no item behind the cursor.

    hide    puts masks into a value
    what    a word for the items
    others  says how to get the other items
    """
    items, total = answer.items, answer.total
    if total is None:
        items, total = items[cursor:], len(items)
    if cursor and not items:
        raise ToolError(f"there are only {total:,} {what}")
    parts = [replace(answer, items=(), total=total), *items[:MOST_ITEMS]]
    # Texts are masked before control characters become visible: "\x1b7021004" is one word.
    head, *parts = hide(msgspec.to_builtins(parts))
    page: dict[str, Any] = _fitted(head, _HEAD)
    room = MOST - _END - _size(page)
    for part in parts:
        item = _fitted(part, _ITEM)
        if (room := room - _size(item)) < 0:
            break
        page["items"].append(item)
    last = cursor + len(page["items"])
    if len(page["items"]) < total:
        page["left_out"] = f"{what} {cursor + 1:,} to {last:,} of {total:,}"
    if last < total:
        page["left_out"] += f"; {others}"
        page["next"] = last
    return page


def _size(value: object) -> int:
    return len(msgspec.json.encode(value)) + 1


def _fitted(value: Any, most: int) -> Any:
    """Cuts texts until the value has at most `most` bytes."""
    for longest in _LONGEST:
        if _size(short := _shown(value, longest)) <= most:
            break
    return short


def _shown(value: Any, longest: int) -> Any:
    """Makes control characters visible, cuts what is too long, and leaves out null. A tab, as
    traces have it, becomes a blank.
    """
    if isinstance(value, dict):
        return {name: _shown(part, longest) for name, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        more = len(value) - _MOST_TEXTS + 1
        if more > 1 and isinstance(value[0], str):
            value = [*value[:-more], f"... and {more:,} more"]
        return [_shown(part, longest) for part in value]
    if isinstance(value, str):
        text = visible(value.replace("\t", " "))
        cut = f"{text[:longest]}... (cut; it has {len(text):,} characters)"
        return text if len(text) <= longest else cut
    return value
