"""PURE. Reads a node's services, NTP servers and files.

These are the answers to `utils service list`, `utils ntp status` and `file list ... detail`.
vos/NODES.md, sections 6.4, 6.10 and 6.1, has the known forms of their lines. Lines of another form
are kept in `others`, except for empty ones. In a list of files they are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from cucmd.vos.texts import LONGEST, match_line, parse_time

_NAME = re.compile(r"[A-Za-z0-9][^\]]{0,99}")
_STATE = re.compile(r"[A-Z][A-Z ]{0,30}")
_LONGEST_NOTE = 200
_PRIMARY = re.compile(r"\s*primary node\s*=\s*(?P<is>true|false)", re.IGNORECASE)

_RUNNING = re.compile(r"\s*(?:ntpd|chronyd) \(pid\s+(?P<pid>\d{1,9})\) is running\W{0,3}")
_SYNCHRONISED = re.compile(
    r"\s*synchroni[sz]ed to NTP server \((?P<server>[^()\s]{1,255})\) at stratum "
    r"(?P<stratum>\d{1,2})",
    re.IGNORECASE,
)
_NOT_SYNCHRONISED = re.compile(r"\s*unsynchroni[sz]ed", re.IGNORECASE)
_RESTARTING = re.compile(r"\s*time server re-?starting", re.IGNORECASE)
_WITHIN = re.compile(r"\s*time correct to within (?P<within_ms>\d{1,9}) ms", re.IGNORECASE)
_POLLING = re.compile(r"\s*poll(?:ing)? server every (?P<poll_seconds>\d{1,9}) s", re.IGNORECASE)
_TIME = re.compile(r"\s*Current time in (?P<zone>\S{1,60}) is\s*:\s*(?P<time>\S.{0,60})")
_DECIMAL = r"-?\d{1,9}\.\d{1,6}"
_PEER = re.compile(
    r"(?P<tally>[ x.#+*o-]?)\s{0,4}(?P<remote>[A-Za-z0-9][A-Za-z0-9.:()_-]{0,79})\s+"
    r"(?P<refid>[A-Za-z0-9.:()_-]{1,60})\s+(?P<stratum>\d{1,2})\s+(?P<type>[a-zA-Z-])\s+"
    r"(?P<when>-|\d{1,7}[mhd]?)\s+(?P<poll>\d{1,7})\s+(?P<reach>[0-7]{1,3})\s+"
    rf"(?P<delay>{_DECIMAL})\s+(?P<offset>{_DECIMAL})\s+(?P<jitter>{_DECIMAL})"
)
_HEADINGS = (
    "remote refid st t when poll reach delay offset jitter",
    "MS Name/IP address Stratum Poll Reach LastRx Last sample",
)
# `^* 192.0.2.10  3   6   377    20    -12us[ -15us] +/-   20ms`. The poll, 6, means 2**6 seconds.
_SPAN = r"\d{1,6}(?:\.\d)?(?:ns|us|ms|s)"
_SOURCE = re.compile(
    r"\s*(?P<type>[\^=#])(?P<tally>[*+?x~-])\s+(?P<remote>[A-Za-z0-9][A-Za-z0-9.:()_-]{0,79})\s+"
    r"(?P<stratum>\d{1,2})\s+(?P<poll>[0-2]?\d)\s+(?P<reach>[0-7]{1,3})\s+"
    r"(?P<when>-|\d{1,7}[mhdy]?)\s+(?P<offset>[+-]\d{1,6}(?:\.\d)?)(?P<unit>ns|us|ms|s)"
    rf"\[\s*[+-]{_SPAN}\]\s+\+/-\s+{_SPAN}"
)
_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
_RULE = re.compile(r"\s*={10,}")

_FILE = re.compile(
    r"\s{0,8}(?P<day>[0-9]{2}) (?P<month>[A-Z][a-z]{2}),(?P<year>[0-9]{4}) "
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})\s*"
    r"(?P<size>(?:[0-9],?){1,18})  (?P<name>\S.*)"
)


class Service(msgspec.Struct, frozen=True):
    """Describes a service.

    state  the node's own word: STARTED, STOPPED, ...
    note   the words after the state, or None
    """

    name: str
    state: str
    note: str | None = None


class ServiceList(msgspec.Struct, frozen=True):
    """Lists the services. `primary`: whether the node calls itself primary, or None if unknown."""

    services: tuple[Service, ...]
    primary: bool | None = None
    others: tuple[str, ...] = ()


class NtpPeer(msgspec.Struct, frozen=True):
    """Holds a line of the table of `ntpq -p` or `chronyc sources`.

    tally    the character before the server: `*` means that the node follows it; "" if none
    refid    None in `chronyc sources`; `delay` and `jitter` too
    type     the node's own letter: `u`, or `^` in `chronyc sources`, is a server
    when     the node's own word: seconds since the last packet, or with m, h, d or y, or `-`
    poll     seconds
    reach    the last eight polls, in octal: 377 means that all were answered
    offset   milliseconds by which the server's clock is ahead of the node's clock
    delay, jitter   milliseconds
    """

    tally: str
    remote: str
    refid: str | None
    stratum: int
    type: str
    when: str
    poll: int
    reach: str
    delay: float | None
    offset: float
    jitter: float | None


class NtpStatus(msgspec.Struct, frozen=True):
    """Holds the answer to `utils ntp status`. A field is None if the node does not say it.

    synchronised  the node calls itself synchronised, to `server` at `stratum`
    restarting    the node says that its time server restarts: it follows no server for some minutes
    within_ms     how far the node's time may be off, in milliseconds
    times         the time in each zone that the node names, in its own words
    """

    pid: int | None = None
    synchronised: bool | None = None
    server: str | None = None
    stratum: int | None = None
    restarting: bool = False
    within_ms: int | None = None
    poll_seconds: int | None = None
    peers: tuple[NtpPeer, ...] = ()
    times: dict[str, str] = {}
    others: tuple[str, ...] = ()


class ListedFile(msgspec.Struct, frozen=True):
    """Describes a file. `size` is in bytes; `modified` is by the node's own clock."""

    name: str
    size: int
    modified: datetime


def parse_service_list(lines: Iterable[str]) -> ServiceList:
    """Reads the answer to `utils service list`."""
    services: list[Service] = []
    primary: bool | None = None
    others: list[str] = []
    for line in lines:
        if service := _service(line):
            services.append(service)
        elif primary is None and (found := match_line(_PRIMARY, line)):
            primary = found["is"].lower() == "true"
        elif line.strip():
            others.append(line)
    return ServiceList(tuple(services), primary, tuple(others))


def _service(line: str) -> Service | None:
    """Reads a line such as `Cisco DirSync[STOPPED]  Service Not Activated`, or returns None."""
    if len(line) > LONGEST:
        return None
    name, _, rest = line.partition("[")
    state, closed, note = rest.partition("]")
    name, state, note = name.strip(), state.strip(), note.strip()
    if not (closed and _NAME.fullmatch(name) and _STATE.fullmatch(state)):
        return None
    if len(note) > _LONGEST_NOTE or "[" in note or "]" in note:
        return None
    return Service(name, state, note or None)


def parse_ntp_status(lines: Iterable[str]) -> NtpStatus:
    """Reads the answer to `utils ntp status`. If a fact comes twice, the first counts."""
    fields: dict[str, Any] = {}
    peers: list[NtpPeer] = []
    times: dict[str, str] = {}
    others: list[str] = []
    for line in lines:
        if not line.strip() or match_line(_RULE, line) or " ".join(line.split()) in _HEADINGS:
            continue
        facts = _facts(line)
        if facts and fields.keys().isdisjoint(facts):
            fields |= facts
        elif found := match_line(_PEER, line):
            numbers = {name: int(found[name]) for name in ("stratum", "poll")}
            floats = {name: float(found[name]) for name in ("delay", "offset", "jitter")}
            columns: dict[str, Any] = found.groupdict() | numbers | floats
            peers.append(NtpPeer(**columns | {"tally": found["tally"].strip()}))
        elif found := match_line(_SOURCE, line):
            peers.append(_source(found))
        elif (time := match_line(_TIME, line)) and times.get(time["zone"]) in (None, time["time"]):
            times[time["zone"]] = time["time"]  # a node whose own zone is UTC prints UTC twice
        else:
            others.append(line)
    return NtpStatus(**fields, peers=tuple(peers), times=times, others=tuple(others))


def _facts(line: str) -> dict[str, Any]:
    if (
        found := match_line(_RUNNING, line)
        or match_line(_WITHIN, line)
        or match_line(_POLLING, line)
    ):
        return {name: int(number) for name, number in found.groupdict().items()}
    if found := match_line(_SYNCHRONISED, line):
        followed = {"server": found["server"], "stratum": int(found["stratum"])}
        return {"synchronised": True, **followed}
    if match_line(_NOT_SYNCHRONISED, line):
        return {"synchronised": False}
    return {"restarting": True} if match_line(_RESTARTING, line) else {}


def _source(found: re.Match[str]) -> NtpPeer:
    return NtpPeer(
        tally=found["tally"],
        remote=found["remote"],
        refid=None,
        stratum=int(found["stratum"]),
        type=found["type"],
        when=found["when"],
        poll=2 ** int(found["poll"]),
        reach=found["reach"],
        delay=None,
        # chronyd prints how far the node is ahead of the server. `0.0 -` avoids a result of -0.0.
        offset=round(0.0 - float(found["offset"]) * _MS[found["unit"]], 6),
        jitter=None,
    )


def parse_file_list(lines: Iterable[str]) -> tuple[ListedFile, ...]:
    """Reads the answer to `file list ... detail`. Returns the files in its order, no folders."""
    files: list[ListedFile] = []
    for line in lines:
        if (found := match_line(_FILE, line)) is None:
            continue
        modified = parse_time(*found.group("year", "month", "day", "hour", "minute", "second"))
        if modified is not None:
            size = int(found["size"].replace(",", ""))
            files.append(ListedFile(found["name"].rstrip(), size, modified))
    return tuple(files)
