"""PURE. Reads a node's processes, counters, core files, certificates and backups.

These are the answers to `show process ...`, `show perf query class ...`, `utils core ... list`,
`show cert ...` and `utils disaster_recovery history backup`. vos/NODES.md, sections 6.12 to 6.15,
has the known forms of their lines. Lines of another form are kept in `others`, except for empty
ones.

Times are by the node's own clock. A zone after a time is left out, because its abbreviation may
mean several zones. So only the day of such a time is certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cucmd.vos.texts import LONGEST, match_line, parse_time, read_field

# The field for each heading of a table of processes. The last column is always the command.
_COLUMNS = {
    "%cpu": "cpu_percent",
    "pcpu": "cpu_percent",
    "%mem": "memory_percent",
    "pmem": "memory_percent",
    "pid": "pid",
    "user": "user",
    "command": "command",
    "args": "command",
}
_PERCENT = re.compile(r"\d{1,6}(?:\.\d{1,3})?")
_PID = re.compile(r"\d{1,10}")

_COUNTER = re.compile(
    r"\s*(?:(?P<instance>\S{1,60})\s+)?->\s*(?P<name>\S(?:.{0,78}\S)?)\s*=\s*"
    r"(?P<value>-?\d{1,18}(?:\.\d{1,9})?)"
)
_COUNTER_HEADING = re.compile(r"\s*(?:==>query class :|- Perf class \(.{1,60}\) has .{1,60}:)")

_CORE = re.compile(
    r"\s*(?P<size>\d{1,15}) KB\s+(?P<modified>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s+"
    r"(?P<name>core\.\S{1,200})"
)
_CORE_HEADING = "size date core file name"
_NO_CORES = re.compile(r"\s*no core files found\.?", re.IGNORECASE)
_CORE_NAME = re.compile(
    r"core\.(?P<pid>\d{1,10})\.(?P<signal>\d{1,3})\.(?P<process>\D\S{0,99})\.\d{1,12}"
)

_LISTED = re.compile(r"\s*(?P<name>[^\s:]{1,250}\.(?:pem|der)):(?P<said>.{0,200})", re.IGNORECASE)
_CERTIFICATE = {
    "serial number": "serial",
    "signaturealgorithm": "signature_algorithm",
    "issuer name": "issuer",
    "subject name": "subject",
    "validity from": "valid_from",
    "to": "valid_to",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORDS_OF_DATE = 6  # `Fri Feb 04 15:31:39 PST 2022`
_RESULT = re.compile(r"[A-Z]{2,20}")
_HISTORY_HEADING = "tar filename:"


class BusyProcess(msgspec.Struct, frozen=True):
    """Describes a process. A field is None if the table has no such column.

    command         the command and its arguments, which the node may have shortened
    cpu_percent     the share of one processor. With several processors it may be more than 100.
    memory_percent  the share of the memory
    """

    pid: int
    command: str
    cpu_percent: float | None = None
    memory_percent: float | None = None
    user: str | None = None


class Processes(msgspec.Struct, frozen=True):
    """Holds the processes in the order in which the node prints them."""

    processes: tuple[BusyProcess, ...]
    others: tuple[str, ...] = ()


class CoreFile(msgspec.Struct, frozen=True):
    """Describes a core file: the memory of a process that crashed.

    size                  bytes, computed from the node's number of KB
    process, pid, signal  read from the name, or None if the name has another form
    """

    name: str
    size: int
    modified: datetime
    process: str | None = None
    pid: int | None = None
    signal: int | None = None


class CoreFiles(msgspec.Struct, frozen=True):
    """Lists core files. `none`: whether the node says that it has no core files."""

    files: tuple[CoreFile, ...]
    none: bool = False
    others: tuple[str, ...] = ()


class ListedCertificate(msgspec.Struct, frozen=True):
    """Names a certificate.

    name  the name with its folder, as `show cert own` expects it
    said  who signed the certificate, in the node's own words
    """

    name: str
    said: str | None = None


class CertificateList(msgspec.Struct, frozen=True):
    """Lists certificates. Only `show cert own` prints their dates."""

    certificates: tuple[ListedCertificate, ...]
    others: tuple[str, ...] = ()


class Certificate(msgspec.Struct, frozen=True):
    """Describes a certificate. A field is None if the node does not say it.

    others: all other lines, among them the encoded certificate.
    """

    subject: str | None = None
    issuer: str | None = None
    serial: str | None = None
    signature_algorithm: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    others: tuple[str, ...] = ()


class Backup(msgspec.Struct, frozen=True):
    """Describes a backup that has ended.

    file      None if no file was written, as after most failures
    result    the node's own word: SUCCESS, ERROR, ...
    details   the words after the result: kind, version, features
    """

    file: str | None
    device: str
    completed: datetime
    result: str
    details: str | None = None


class BackupHistory(msgspec.Struct, frozen=True):
    """Holds the backups in the order in which the node prints them."""

    backups: tuple[Backup, ...]
    others: tuple[str, ...] = ()


def parse_processes(lines: Iterable[str]) -> Processes:
    """Reads the answers to `show process using-most` and `show process load`."""
    columns: Sequence[str | None] = ()
    found: list[BusyProcess] = []
    others: list[str] = []
    for line in lines:
        if headings := _headings(line):
            columns = headings
        elif columns and (process := _process(line, columns)):
            found.append(process)
        elif line.strip():
            others.append(line)
    return Processes(tuple(found), tuple(others))


def _headings(line: str) -> Sequence[str | None]:
    """Returns the field of each column of a heading, None for a column that is not read.

    Returns no fields if the line is not a heading.
    """
    if len(line) > LONGEST:
        return ()
    fields = [_COLUMNS.get(word) for word in line.lower().split()]
    return fields if "pid" in fields and fields[-1] == "command" else ()


def _process(line: str, columns: Sequence[str | None]) -> BusyProcess | None:
    words = line.split(None, len(columns) - 1) if len(line) <= LONGEST else ()
    if len(words) < len(columns):
        return None
    row = {field: word for field, word in zip(columns, words, strict=True) if field}
    percents = {name: row.pop(name) for name in ("cpu_percent", "memory_percent") if name in row}
    pid = row.pop("pid")
    if not _PID.fullmatch(pid) or not all(map(_PERCENT.fullmatch, percents.values())):
        return None
    command = row.pop("command").rstrip()
    shares = {name: float(text) for name, text in percents.items()}
    return BusyProcess(int(pid), command, **shares, user=row.get("user"))


class Counter(msgspec.Struct, frozen=True):
    """Holds a counter. `instance` is None if the counter has no instances."""

    name: str
    value: float
    instance: str | None = None


class Counters(msgspec.Struct, frozen=True):
    """Holds the counters in the order in which the node prints them."""

    counters: tuple[Counter, ...]
    others: tuple[str, ...] = ()


def parse_counters(lines: Iterable[str]) -> Counters:
    """Reads the answers to `show perf query class`."""
    counters: list[Counter] = []
    others: list[str] = []
    for line in lines:
        if found := match_line(_COUNTER, line):
            counters.append(Counter(found["name"], float(found["value"]), found["instance"]))
        elif line.strip() and not match_line(_COUNTER_HEADING, line):
            others.append(line)
    return Counters(tuple(counters), tuple(others))


def parse_core_list(lines: Iterable[str]) -> CoreFiles:
    """Reads the answers to `utils core active list` and `utils core inactive list`."""
    files: list[CoreFile] = []
    none = False
    others: list[str] = []
    for line in lines:
        if not line.strip() or " ".join(line.split()).lower() == _CORE_HEADING:
            continue
        if found := match_line(_CORE, line):
            try:
                modified = datetime.fromisoformat(found["modified"])
            except ValueError:
                others.append(line)
                continue
            file = CoreFile(found["name"], int(found["size"]) * 1024, modified)
            if parts := _CORE_NAME.fullmatch(file.name):
                file = msgspec.structs.replace(
                    file,
                    process=parts["process"],
                    pid=int(parts["pid"]),
                    signal=int(parts["signal"]),
                )
            files.append(file)
        elif not none and match_line(_NO_CORES, line):
            none = True
        else:
            others.append(line)
    return CoreFiles(tuple(files), none, tuple(others))


def parse_certificate_list(lines: Iterable[str]) -> CertificateList:
    """Reads the answers to `show cert list own` and `show cert list trust`."""
    certificates: list[ListedCertificate] = []
    others: list[str] = []
    for line in lines:
        if found := match_line(_LISTED, line):
            certificates.append(ListedCertificate(found["name"], found["said"].strip() or None))
        elif line.strip():
            others.append(line)
    return CertificateList(tuple(certificates), tuple(others))


def parse_certificate(lines: Iterable[str]) -> Certificate:
    """Reads the answer to `show cert own NAME`. If a field comes twice, the first counts."""
    texts: dict[str, str] = {}
    dates: dict[str, datetime] = {}
    others: list[str] = []
    for line in lines:
        if not read_field(line, _CERTIFICATE, texts):
            if line.strip():
                others.append(line)
        elif (name := next(reversed(texts))).startswith("valid_"):
            words = texts[name].split()
            if (date := _date(words)) and len(words) == _WORDS_OF_DATE:
                dates[name] = date
            else:
                del texts[name]
                others.append(line)
    fields: dict[str, Any] = {**texts, **dates}
    return Certificate(**fields, others=tuple(others))


def parse_backup_history(lines: Iterable[str]) -> BackupHistory:
    """Reads the answer to `utils disaster_recovery history backup`."""
    backups: list[Backup] = []
    others: list[str] = []
    for line in lines:
        if backup := _backup(line):
            backups.append(backup)
        elif line.strip() and not line.strip().lower().startswith(_HISTORY_HEADING):
            others.append(line)
    return BackupHistory(tuple(backups), tuple(others))


def _backup(line: str) -> Backup | None:
    """Reads `NAME.tar DEVICE Thu Dec 10 10:35:22 CST 2009 SUCCESS MANUAL CDR_CAR,CCM`.

    Releases have different columns before the time, so this searches for the time.
    """
    words = line.split() if len(line) <= LONGEST else []
    places = range(1, len(words) - _WORDS_OF_DATE)
    at = next((place for place in places if words[place].lower() in _DAYS), None)
    completed = None if at is None else _date(words[at:])
    if at is None or completed is None:
        return None
    result, *details = words[at + _WORDS_OF_DATE :]
    has_file = words[0].lower().endswith(".tar")
    if not _RESULT.fullmatch(result) or (at == 1 and has_file):
        return None
    return Backup(
        words[0] if has_file else None,
        words[at - 1],
        completed,
        result,
        " ".join(details) or None,
    )


def _date(words: Sequence[str]) -> datetime | None:
    """Reads a time such as `Fri Feb 04 15:31:39 PST 2022` at the beginning, without the zone."""
    if len(words) < _WORDS_OF_DATE or words[0].lower() not in _DAYS:
        return None
    _, month, day, time, _, year = words[:_WORDS_OF_DATE]
    return parse_time(year, month, day, *time.split(":"))
