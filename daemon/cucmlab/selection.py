"""PURE. Selects the files that the arguments of `file get`, `file list` and other commands mean.

The arguments are read as an appliance reads them. The times of a window are in its time zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from cucmlab import texts
from cucmlab.files import EMPTY_FOLDER, ROOTS, VirtualFile

_BAD_ARITY = texts.WRONG_ARITY.format(mandatory=2, more=7)
_BAD_LIST_ARITY = texts.WRONG_ARITY.format(mandatory=2, more=4)


class CommandRefused(Exception):
    """Raised if the node refuses a command. `lines` is what it prints."""

    def __init__(self, *lines: str) -> None:
        super().__init__(lines[0])
        self.lines = lines


class Unsuccessful(CommandRefused):
    """Raised for most refusals: the node prints a reason, then the same line for every command."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, texts.UNSUCCESSFUL)


class Get(msgspec.Struct, frozen=True):
    """Holds the arguments of `file get`. `oldest` and `newest` limit the last change of a file."""

    location: str
    spec: str
    oldest: datetime | None = None
    newest: datetime | None = None
    match: str | None = None
    recurs: bool = False
    compress: bool = False


_UNITS = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
    "months": timedelta(days=30),
}
_COUNT = re.compile(r"[0-9]{1,7}")
_LONGEST = timedelta(days=36_500)  # longer than the age of any file, and safe for Python's dates


def parse_get(words: list[str], now: datetime, zone: tzinfo) -> Get:
    """Reads the arguments of `file get`. `now` has a time zone. Raises CommandRefused."""
    if len(words) < 2:
        raise Unsuccessful(_BAD_ARITY)
    location, spec, *rest = words
    if location not in ROOTS:
        raise Unsuccessful(f"Invalid location: {location}")
    get = Get(location, spec)
    while rest:
        word = rest.pop(0)
        get = msgspec.structs.replace(get, **_option(word, rest, now, zone))
    return get


def _option(
    word: str, rest: list[str], now: datetime, zone: tzinfo
) -> dict[str, datetime | str | bool]:
    """Reads one option of `file get`, and removes its arguments from `rest`."""
    if word in ("recurs", "compress"):
        return {word: True}
    if word == "match":
        return {"match": _pattern(_take(rest, 1)[0])}
    if word == "reltime":
        unit, count = _take(rest, 2)
        if unit not in _UNITS or not _COUNT.fullmatch(count):
            raise Unsuccessful(f"Invalid reltime: {unit} {count}")
        return {"oldest": now - min(_UNITS[unit] * int(count), _LONGEST)}
    if word == "abstime":
        start, end = (_moment(text, zone) for text in _take(rest, 2))
        return {"oldest": start, "newest": end}
    raise Unsuccessful(_BAD_ARITY)


def _take(rest: list[str], count: int) -> list[str]:
    if len(rest) < count:
        raise Unsuccessful(_BAD_ARITY)
    taken = rest[:count]
    del rest[:count]
    return taken


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise Unsuccessful(f"Invalid regular expression: {text}") from None
    return text


def _moment(text: str, zone: tzinfo) -> datetime:
    """Reads `hh:mm:MM/DD/YY` in the time zone of the node."""
    try:
        local = datetime.strptime(text, "%H:%M:%m/%d/%y").replace(tzinfo=zone)
    except ValueError:
        raise Unsuccessful(f"Invalid abstime: {text}") from None
    return local.astimezone(UTC)


def parse_search(words: list[str], now: datetime, zone: tzinfo) -> tuple[Get, re.Pattern[str]]:
    """Reads the arguments of `file search`. Raises CommandRefused."""
    location, spec, pattern, *rest = words
    if location not in ("activelog", "inactivelog", "install"):
        raise Unsuccessful(f"Invalid location: {location}")
    flags = re.IGNORECASE if "ignorecase" in rest else 0
    options = [word for word in rest if word != "ignorecase"]
    if options and options[0] not in ("reltime", "abstime"):
        raise Unsuccessful(_BAD_ARITY)
    get = parse_get([location, spec, *options], now, zone)
    return get, re.compile(_pattern(pattern), flags)


class TailArguments(msgspec.Struct, frozen=True):
    """Holds the arguments of `file tail`. `recent` means the newest file of a folder."""

    location: str
    spec: str
    recent: bool = False
    pattern: str = ""


def parse_tail(words: list[str]) -> TailArguments:
    """Reads the arguments of `file tail`. Raises CommandRefused.

    The lab does not simulate `detail`, `hex` and the number of lines.
    """
    location, spec, *rest = words
    if location not in ("activelog", "inactivelog", "install"):
        raise Unsuccessful(f"Invalid location: {location}")
    recent = rest[:1] == ["recent"]
    rest = rest[recent:]
    if not rest:
        return TailArguments(location, spec, recent)
    if rest.pop(0) != "regexp" or len(rest) != 1:
        raise Unsuccessful(_BAD_LIST_ARITY)
    return TailArguments(location, spec, recent, _pattern(rest[0]))


def select_one(files: Iterable[VirtualFile], tail: TailArguments, now: datetime) -> VirtualFile:
    """Returns the file that `file tail` means. Raises CommandRefused unless it is exactly one."""
    found = select(files, Get(tail.location, tail.spec), now)
    if tail.recent and found:
        return min(found, key=lambda file: file.age)
    if len(found) != 1:
        raise Unsuccessful(texts.NO_SUCH_FILE)
    return found[0]


def select(files: Iterable[VirtualFile], get: Get, now: datetime) -> list[VirtualFile]:
    """Returns the files that match. Raises CommandRefused if the folder does not exist."""
    files = tuple(files)
    folder, pattern = _place(files, get.location, get.spec)
    inside = [file for file in files if _below(file, folder, recurs=get.recurs)]
    return [
        file
        for file in inside
        if fnmatchcase(file.name, pattern)
        and _within(file, get, now)
        and (get.match is None or re.search(get.match, file.name))
    ]


def _place(files: tuple[VirtualFile, ...], location: str, spec: str) -> tuple[str, str]:
    """Divides a file-spec into a folder and a pattern for the names in it."""
    path = spec.strip("/")
    known = folders(files, location)
    if path in known:
        return path, "*"
    if path == "*":
        return "", "*"
    folder, _, pattern = path.rpartition("/")
    if folder not in known:
        raise Unsuccessful(texts.NO_SUCH_FILE)
    return folder, pattern


def folders(files: Iterable[VirtualFile], location: str) -> set[str]:
    """Returns all folders of a location, with the root ("")."""
    found = {""}
    leaves = {file.folder for file in files}
    if location == EMPTY_FOLDER[0]:
        leaves.add(EMPTY_FOLDER[1])
    for leaf in leaves:
        parts = leaf.split("/")
        found.update("/".join(parts[: i + 1]) for i in range(len(parts)))
    return found


def _below(file: VirtualFile, folder: str, *, recurs: bool) -> bool:
    if file.folder == folder:
        return True
    return recurs and (not folder or file.folder.startswith(folder + "/"))


def _within(file: VirtualFile, get: Get, now: datetime) -> bool:
    modified = file.modified(now)
    return (get.oldest is None or modified >= get.oldest) and (
        get.newest is None or modified <= get.newest
    )


class FileList(msgspec.Struct, frozen=True):
    """Holds the arguments of `file list`."""

    location: str
    spec: str
    page: bool = False
    detail: bool = False
    reverse: bool = False
    order: Literal["name", "date", "size"] = "name"


def parse_list(words: list[str]) -> FileList:
    """Reads the arguments of `file list`. Raises CommandRefused."""
    location, spec, *options = words
    if location not in ROOTS:
        raise Unsuccessful(texts.NO_SUCH_FILE)
    arguments = FileList(location, spec)
    for option in options:
        arguments = msgspec.structs.replace(arguments, **_list_option(option))
    return arguments


def _list_option(word: str) -> dict[str, bool | str]:
    if word in ("page", "detail", "reverse"):
        return {word: True}
    if word in ("date", "size"):
        return {"order": word}
    raise Unsuccessful(_BAD_LIST_ARITY)


class ListEntry(msgspec.Struct, frozen=True):
    """Describes one line of `file list`: a file, or a folder, whose `size` is None."""

    name: str
    size: int | None
    modified: datetime


def listing(files: Iterable[VirtualFile], arguments: FileList, now: datetime) -> list[ListEntry]:
    """Returns the lines of `file list`, folders first. Raises CommandRefused if nothing matches."""
    files = tuple(files)
    folder, pattern = _place(files, arguments.location, arguments.spec)
    inner = {
        name
        for path in folders(files, arguments.location)
        if path
        and path.rpartition("/")[0] == folder
        and fnmatchcase(name := path.rpartition("/")[2], pattern)
    }
    found = [file for file in files if file.folder == folder and fnmatchcase(file.name, pattern)]
    if not inner and not found:
        raise Unsuccessful(texts.NO_SUCH_FILE)
    inside = (ListEntry(name, None, now - timedelta(days=1)) for name in inner)
    matching = (ListEntry(file.name, file.size, file.modified(now)) for file in found)
    return [*_sorted(inside, arguments), *_sorted(matching, arguments)]


def _sorted(entries: Iterable[ListEntry], arguments: FileList) -> list[ListEntry]:
    """Sorts as the options say, and equal entries by name (vos/NODES.md, section 6.1)."""
    keys: dict[str, Callable[[ListEntry], Any]] = {
        "name": lambda entry: entry.name,
        "date": lambda entry: (entry.modified, entry.name),
        "size": lambda entry: (entry.size or 0, entry.name),
    }
    return sorted(entries, key=keys[arguments.order], reverse=arguments.reverse)
