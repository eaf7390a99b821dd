"""PURE. Makes answers fit on a page.

A tool returns all items that it has (nodes, files, lines and so on). The page has as many of them
as fit, and says which these are and how to ask for the others. Texts that are too long are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct
from msgspec.structs import replace

from cucmctl.cli.printer import visible

# Bytes of JSON that an answer may have, those for what is not an item, and those for its end.
MOST, _HEAD, _END = 16_000, 4000, 300
# The most texts in a list, and the most characters of a text. If something is still too long, its
# texts get the next limit.
_MOST_TEXTS, _LONGEST = 40, (2000, 400, 80, 20)

# Members that hold no text of nodes or people.
_PLAIN = {"job_id", "kind", "status", "state", "phase"} | {
    f"{name}_at" for name in ("created", "started", "completed", "discovered")
}
# Members that name nodes or clusters.
_HOSTS = {"node", "nodes", "name", "first_node", "first_name", "targets", "publisher", "asked"}

T = TypeVar("T")


class Answer(Struct, Generic[T], kw_only=True):
    """What a tool returns. Members that do not apply are absent."""

    job_id: str | None = None
    status: str | None = None
    nodes: Sequence[str] | None = None  # of which `items` tells, if these are lines of text
    says: Sequence[str] | None = None
    missing: Sequence[str] | None = None  # what was not looked at: nothing can be said about it
    items: Sequence[T]
    first: int = 1  # the number of the first item
    total: int | None = None  # how many items there are; None if `items` has them all
    left_out: str | None = None
    next: int | None = None  # the cursor of the next page


def fit(
    answer: Answer[Any], mask: Callable[[str], str], cursor: int, what: str, narrow: str
) -> dict[str, Any]:
    """Returns a page of an answer. Raises `ToolError` if there is no item behind the cursor.

    mask    masks a text; lines stay lines
    what    a word for the items
    narrow  the arguments by which there would be fewer
    """
    items, first, total = answer.items, answer.first, answer.total
    if total is None:
        items, first, total = items[cursor:], cursor + 1, len(items)
    if first > 1 and not items:
        raise ToolError(f"there are only {total:,} {what}")
    head = _plain(replace(answer, items=(), first=first, total=total))
    # Only what may fit is masked, since masking takes time.
    parts = [head, *(item for item, _ in _fitting(map(_plain, items), MOST))]
    # All texts are masked at once, since one text may mark a number that another one has unmarked.
    # Members that name nodes are added in a form that marks them as host names.
    texts: list[tuple[str, str]] = []
    _changed(parts, lambda name, text: texts.append((name, text)))
    hosts = [f"HostName={text}" for name, text in texts if name in _HOSTS]
    masked = iter(mask("\n".join([*(text for _, text in texts), *hosts])).split("\n"))
    head, *parts = _changed(parts, lambda _, __: next(masked))
    page: dict[str, Any] = _fitted(head, _HEAD)
    # A mask can be longer than its original, so these may be fewer items than before.
    page["items"] = [short for _, short in _fitting(parts, MOST - _END - _size(page))]
    last = first - 1 + len(page["items"])
    if len(page["items"]) < total:
        page["left_out"] = f"{what} {first:,} to {last:,} of {total:,}"
    if last < total:
        page["left_out"] += f"; go on with cursor, or narrow by {narrow}"
        page["next"] = last
    return page


def _size(value: object) -> int:
    return len(msgspec.json.encode(value))


def _plain(value: object) -> Any:
    """Makes control characters visible. A tab, as traces have it, becomes a blank."""
    value = msgspec.to_builtins(value)
    return _changed(value, lambda _, text: visible(text.replace("\t", " ")))


def _changed(value: Any, change: Callable[[str, str], Any], name: str = "") -> Any:
    """Calls `change` with (name of the member, text) for all texts, except for `_PLAIN` members.
    Leaves out members that are None, and texts of a list that has too many.
    """
    if isinstance(value, dict):
        return {n: _changed(part, change, n) for n, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        if len(value) > _MOST_TEXTS and isinstance(value[0], str):
            more = len(value) - _MOST_TEXTS + 1
            value = [*value[:-more], f"... and {more:,} more"]
        return [_changed(part, change, name) for part in value]
    return change(name, value) if isinstance(value, str) and name not in _PLAIN else value


def _fitted(value: Any, most: int) -> Any:
    """Cuts texts until the value has at most `most` bytes."""

    def cut(_: str, text: str) -> str:
        cut = f"{text[:longest]}... (cut; it has {len(text):,} characters)"
        return text if len(text) <= longest else cut

    for longest in _LONGEST:  # noqa: B007  `cut` uses it
        if _size(short := _changed(value, cut)) <= most:
            break
    return short


def _fitting(items: Iterable[Any], room: int) -> Iterator[tuple[Any, Any]]:
    """Yields as many items as have room, and how they are cut. One item always fits, once cut."""
    most = room
    for item in items:
        short = _fitted(item, most - 1)
        room -= _size(short) + 1
        if room < 0:
            return
        yield item, short
