"""PURE. The first and the last line of a trace, with the times at which it was begun and ended.

The formats are those of vos/NODES.md, section 7.1. All other bytes of a file stay as they are, and
so does its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from cucmd.lab.tree import VirtualFile

_SDL_HEADER = (
    "00000001.000 |{0:%H:%M:%S}.000 |FileHead |UTC:{1},Date: {0:%Y/%m/%d}, AppName: CCM, "
    "AppId: 100, FileNumber: 1, TraceVer: 3.0\n"
)
_SDL = "00000002.000 |{:%H:%M:%S}.000 |AppInfo  |the last line\n"
_SDI = "{:%m/%d/%Y %H:%M:%S}.000 CCM|a line\n"
_CALL_LOG = (
    "{:%Y/%m/%d %H:%M:%S}.000|SIPL|0|TCP|IN|192.0.2.45|58096|SEP0|192.0.2.4|5060|1|T|g|BYE\n"
)
_LOG4J = "{:%Y-%m-%d %H:%M:%S},000 INFO  [main] a line\n"
_SYSLOG = "{:%b %e %H:%M:%S} cucm-pub user 6 : a line\n"
# part of a path -> the format of a line. Other files have none.
_FORMS = {
    "/calllogs/": _CALL_LOG,
    "/ccm/sdi/": _SDI,
    "/log4j/": _LOG4J,
    "syslog/": _SYSLOG,
}


def stamped(
    blocks: Iterator[bytes], file: VirtualFile, now: datetime, zone: tzinfo
) -> Iterator[bytes]:
    """The blocks of a file, the first and the last line written over."""
    lines = _lines(file, now, zone)
    if lines is None or file.size < sum(map(len, lines)):
        yield from blocks
        return
    head, tail = lines
    offset, beginning_of_tail = 0, file.size - len(tail)
    for block in blocks:
        content = bytearray(block)
        _overlay(content, head, -offset)
        _overlay(content, tail, beginning_of_tail - offset)
        offset += len(block)
        yield bytes(content)


def _lines(file: VirtualFile, now: datetime, zone: tzinfo) -> tuple[bytes, bytes] | None:
    end = file.modified(now).astimezone(zone)
    begin = (file.modified(now) - timedelta(seconds=file.span)).astimezone(zone)
    if "/sdl/" in file.path:
        offset = begin.strftime("%z")
        head = _SDL_HEADER.format(begin, f"{offset[:3]}:{offset[3:]}")
        return head.encode(), b"\n" + _SDL.format(end).encode()
    form = next((form for part, form in _FORMS.items() if part in file.path), None)
    if form is None:
        return None
    return form.format(begin).encode(), b"\n" + form.format(end).encode()


def _overlay(content: bytearray, line: bytes, at: int) -> None:
    """Writes a line over `content` from position `at`, which may be outside of it."""
    start, stop = max(at, 0), min(at + len(line), len(content))
    if start < stop:
        content[start:stop] = line[start - at : stop - at]
