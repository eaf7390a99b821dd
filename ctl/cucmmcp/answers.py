"""PURE. Makes answers fit on a page.

An answer has as many items (nodes, files, lines and so on) as fit. It also says which items were
left out, and how to ask for them. A text in an item that is too long is cut, with a note. The text
of an answer is its structured content as JSON, so the two always say the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct

from cucmctl.cli.printer import visible

# Bytes of JSON that a whole answer may have, and the items in it.
MOST, _PAGE = 16_000, 12_000
# Characters of a text, and texts in a list. If something is still too long, the next pair counts.
_CUTS = ((2000, 40), (400, 10), (80, 3), (20, 1))

# Members that hold no text of nodes or people.
_PLAIN = {"job_id", "kind", "status", "state", "phase", "next"} | {
    f"{name}_at" for name in ("created", "started", "completed", "discovered")
}
# Members that name nodes or clusters.
_HOSTS = {"node", "name", "first_node", "first_name", "targets", "publisher", "asked", "fqdn"}

T = TypeVar("T")


class Answer(Struct, Generic[T], kw_only=True):
    """What a tool returns. Members that do not apply are absent.

    says      what was found or done, in words
    missing   what could not be looked at, so that nothing can be said about it
    left_out  which items are here, if some are not; `next` is the cursor of the next page
    """

    job_id: str | None = None
    status: str | None = None
    says: Sequence[str] | None = None
    missing: Sequence[str] | None = None
    items: Sequence[T]
    left_out: str | None = None
    next: str | None = None


def begin_of(cursor: str) -> int:
    """Returns how many items are on the pages before. Raises `ToolError` if this is no cursor."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise ToolError(f"cursor: {cursor[:40]!r} is none; give `next` of the answer before")
    return int(cursor or 0)


def page(
    items: Sequence[T], what: str, narrow: str, cursor: str = "", total: int | None = None
) -> dict[str, Any]:
    """Returns the members of an answer that has as many of the items as fit on a page.

    items   all items; or, with `total`, at least those of this page
    what    a word for them
    narrow  the arguments by which there would be fewer
    total   how many there are on all pages

    Raises `ToolError` for a cursor behind the last item.
    """
    begin = begin_of(cursor)
    if total is None:
        items, total = items[begin:], len(items)
    if begin and not items:
        raise ToolError(f"there are only {total:,} {what}")
    room, shown = _PAGE, list[T]()
    for item in items:
        whole = _changed(msgspec.to_builtins(item), lambda _, text: _line(text))
        room -= len(_json(_fitted(whole, _PAGE))) + 1
        if shown and room < 0:
            break
        shown.append(item)
    end = begin + len(shown)
    answer: dict[str, Any] = {"items": shown}
    if len(shown) < total:
        answer["left_out"] = f"{what} {begin + 1:,} to {end:,} of {total:,}"
    if end < total:
        answer["left_out"] += f"; go on with cursor, or narrow by {narrow}"
        answer["next"] = str(end)
    return answer


def fit(answer: Struct, mask: Callable[[str], str]) -> tuple[str, dict[str, Any]]:
    """Returns an answer as text and as structured content, without what is absent.

    mask  masks a text; lines stay lines
    """
    # All texts are masked at once, since one text may mark a number that another one has unmarked.
    # Members that name nodes are added in a form that marks them as host names.
    whole = msgspec.to_builtins(answer)
    texts: list[tuple[str, str]] = []
    _changed(whole, lambda name, text: texts.append((name, _line(text))))
    hosts = [f"HostName={text}" for name, text in texts if name in _HOSTS]
    masked = iter(mask("\n".join([*(text for _, text in texts), *hosts])).split("\n"))
    whole = _changed(whole, lambda _, __: next(masked))
    items = whole.pop("items", None)
    content: dict[str, Any] = _fitted(whole, MOST - _PAGE - len('"items":[],'))
    if items is not None:  # `page` has chosen them
        content["items"] = [_fitted(item, _PAGE) for item in items]
    return _json(content).decode(), content


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _line(text: str) -> str:
    """Makes control characters visible. A tab, as traces have it, becomes a blank."""
    return visible(text.replace("\t", " "))


def _changed(value: Any, change: Callable[[str, str], Any], name: str = "") -> Any:
    """Calls `change` with (name of the member, text) for all texts, except for `_PLAIN` members."""
    if isinstance(value, dict):
        return {key: _changed(part, change, key) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(part, change, name) for part in value]
    return change(name, value) if isinstance(value, str) and name not in _PLAIN else value


def _fitted(value: Any, most: int) -> Any:
    """Leaves out members that are None, and cuts texts until the value has at most `most` bytes.

    A value with very many members can be longer even after the last cut.
    """
    for longest, entries in _CUTS:
        short = _cut(value, longest, entries)
        if len(_json(short)) <= most:
            break
    return short


def _cut(value: Any, longest: int, entries: int) -> Any:
    if isinstance(value, dict):
        shown = {name: _cut(part, longest, entries) for name, part in value.items()}
        return {name: part for name, part in shown.items() if part is not None}
    if isinstance(value, list) and value and isinstance(value[0], str):
        more = [f"... and {len(value) - entries:,} more"] if len(value) > entries else []
        return [*(_cut(part, longest, entries) for part in value[:entries]), *more]
    if isinstance(value, list):
        return [_cut(part, longest, entries) for part in value]
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}... (cut; it has {len(value):,} characters)"
    return value
