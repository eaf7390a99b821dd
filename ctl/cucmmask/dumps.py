"""Reads hex dumps: bytes in hexadecimal, and often the same bytes as text behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cucmmask.finder import Finder

# Only lines with three bytes in a row are compared with `_ROW`. Such lines are searched for in a
# copy of the text in which each hexadecimal digit is an h. This takes a third of the time that a
# regular expression takes.
_TRIGGER = Finder([" hh hh hh"])
_SHAPE = bytes.maketrans(b"0123456789abcdefABCDEFh", b"h" * 22 + b"-")
_ROW = re.compile(
    # The end of a MAC address is no row: "00:50:56:01:02:03 08 00 45 00".
    r"(?<![0-9A-Fa-f])(?<![0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-])"
    r"(?P<bytes>[0-9A-Fa-f]{2}(?: {1,2}[0-9A-Fa-f]{2}){3,}(?![0-9A-Fa-f]))"
    r"(?: {2,}\|?(?P<text>[!-~][ -~]*))?"
)
# What may be between two rows of one dump: an end of line, and where the row begins.
_GAP = re.compile(r"[| \t]*\r?\n[ \t]*(?:(?:0x)?[0-9A-Fa-f]{4,8}[: ][ \t]*)?")
# A hex dump with more characters than this may be cut.
_LONGEST = 1 << 16

# The rows of one dump, with the groups `bytes` and `text`.
Dump = list[re.Match[str]]


def dumps_in(text: str) -> Iterator[Dump]:
    """Yields the hex dumps. A value can begin in one row of a dump and end in the next."""
    dump: Dump = []
    for start, end in lines_with_rows(text):
        for row in _ROW.finditer(text, start, end):
            if dump and not _GAP.fullmatch(text, dump[-1].end(), row.start()):
                yield dump
                dump = []
            dump.append(row)
    if dump:
        yield dump


def lines_with_rows(text: str) -> Iterator[tuple[int, int]]:
    """Yields where lines begin and end that may have rows of hex dumps."""
    shape = text.encode("ascii", "replace").translate(_SHAPE)
    end = 0
    for trigger in _TRIGGER.starts(shape):
        if trigger >= end:
            start = text.rfind("\n", 0, trigger) + 1
            end = text.find("\n", trigger)
            if end < 0:
                end = len(text)
            yield start, end


def content_of(dump: Dump) -> bytes:
    """Returns the bytes of all rows."""
    return b"".join(bytes.fromhex(row["bytes"]) for row in dump)


def written(dump: Dump, after: bytes) -> Iterator[tuple[int, int, str]]:
    """Yields the changes that let a dump show the bytes `after`: (start, end, new text)."""
    position = 0
    for row in dump:
        before = bytes.fromhex(row["bytes"])
        now = after[position : position + len(before)]
        position += len(before)
        if now == before:
            continue
        digits = iter(like(now.hex(), row["bytes"]))
        yield (
            *row.span("bytes"),
            "".join(sign if sign == " " else next(digits) for sign in row["bytes"]),
        )
        shown = row["text"] or ""
        if len(before) <= len(shown):
            column = "".join(
                chr(new) if old != new else sign
                for old, new, sign in zip(before, now, shown, strict=False)
            )
            yield row.start("text"), row.start("text") + len(column), column


def like(digits: str, text: str) -> str:
    """Returns hexadecimal digits in the case of `text`."""
    return digits.upper() if text.upper() == text and text.lower() != text else digits


def whole_lines(text: str) -> int:
    """Returns where a text can be cut: behind a line, and not within a hex dump."""
    end = text.rfind("\n") + 1
    cut = end
    while cut and end - cut < _LONGEST:
        before = text.rfind("\n", 0, cut - 1) + 1
        if not _ROW.search(text, before, cut):
            return cut
        cut = before
    return end
