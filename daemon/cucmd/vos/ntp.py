"""PURE. What `utils ntp status` says of a node's clock and the servers that it follows.

A line that has not a form of `vos/NODES.md`, section 6.10, is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from cucmd.vos.lines import whole

_RUNNING = re.compile(r"\s*(?:ntpd|chronyd) \(pid\s+(?P<pid>\d{1,9})\) is running\W{0,3}")
_SYNCHRONISED = re.compile(
    r"\s*synchroni[sz]ed to NTP server \((?P<server>[^()\s]{1,255})\) at stratum "
    r"(?P<stratum>\d{1,2})",
    re.IGNORECASE,
)
_NOT_SYNCHRONISED = re.compile(r"\s*unsynchroni[sz]ed", re.IGNORECASE)
_WITHIN = re.compile(r"\s*time correct to within (?P<ms>\d{1,9}) ms", re.IGNORECASE)
_POLLING = re.compile(r"\s*poll(?:ing)? server every (?P<seconds>\d{1,9}) s", re.IGNORECASE)
_TIME = re.compile(r"\s*Current time in (?P<zone>\S{1,60}) is\s*:\s*(?P<time>\S.{0,60})")
_DECIMAL = r"-?\d{1,9}\.\d{1,6}"
_PEER = re.compile(
    r"(?P<tally>[ x.#+*o-]?)\s{0,4}(?P<remote>[A-Za-z0-9][A-Za-z0-9.:()_-]{0,79})\s+"
    r"(?P<refid>[A-Za-z0-9.:()_-]{1,60})\s+(?P<stratum>\d{1,2})\s+(?P<type>[a-zA-Z-])\s+"
    r"(?P<when>-|\d{1,7}[mhd]?)\s+(?P<poll>\d{1,7})\s+(?P<reach>[0-7]{1,3})\s+"
    rf"(?P<delay>{_DECIMAL})\s+(?P<offset>{_DECIMAL})\s+(?P<jitter>{_DECIMAL})"
)
_HEADING = "remote refid st t when poll reach delay offset jitter"
_RULE = re.compile(r"\s*={10,}")


class NtpPeer(msgspec.Struct, frozen=True):
    """A line of the table of `ntpq -p`.

    tally    the character before it: `*` is the server that the node follows; "" is none
    when     as it stands there: seconds since the last packet, `-`, or with m, h or d
    reach    the last eight polls, in octal: 377 is all of them
    delay, offset, jitter   milliseconds
    """

    tally: str
    remote: str
    refid: str
    stratum: int
    type: str
    when: str
    poll: int
    reach: str
    delay: float
    offset: float
    jitter: float


class NtpStatus(msgspec.Struct, frozen=True):
    """What is None, the node has not said.

    synchronised  by the node's word; `server` and `stratum` are those of the line that says so
    within_ms     how far its time may be off, in milliseconds
    times         the time in each zone that it names, in its words
    others        lines in no known form, without the empty ones
    """

    pid: int | None = None
    synchronised: bool | None = None
    server: str | None = None
    stratum: int | None = None
    within_ms: int | None = None
    poll_seconds: int | None = None
    peers: tuple[NtpPeer, ...] = ()
    times: dict[str, str] = {}
    others: tuple[str, ...] = ()


def parse_ntp_status(lines: Iterable[str]) -> NtpStatus:
    """Reads the answer to `utils ntp status`. Of what comes twice the first counts."""
    fields: dict[str, object] = {}
    peers: list[NtpPeer] = []
    times: dict[str, str] = {}
    others: list[str] = []
    for line in lines:
        if not line.strip() or whole(_RULE, line) or " ".join(line.split()) == _HEADING:
            continue
        said = _facts(line)
        if said and fields.keys().isdisjoint(said):
            fields |= said
        elif peer := whole(_PEER, line):
            peers.append(_peer(peer))
        elif (time := whole(_TIME, line)) and times.get(time["zone"]) in (None, time["time"]):
            times[time["zone"]] = time["time"]  # a node whose own zone is UTC says it twice
        else:
            others.append(line)
    done = msgspec.convert(fields, NtpStatus)
    return msgspec.structs.replace(done, peers=tuple(peers), times=times, others=tuple(others))


def _facts(line: str) -> dict[str, object]:
    if found := whole(_RUNNING, line):
        return {"pid": int(found["pid"])}
    if found := whole(_SYNCHRONISED, line):
        followed = {"server": found["server"], "stratum": int(found["stratum"])}
        return {"synchronised": True, **followed}
    if whole(_NOT_SYNCHRONISED, line):
        return {"synchronised": False}
    if found := whole(_WITHIN, line):
        return {"within_ms": int(found["ms"])}
    if found := whole(_POLLING, line):
        return {"poll_seconds": int(found["seconds"])}
    return {}


def _peer(found: re.Match[str]) -> NtpPeer:
    return NtpPeer(
        found["tally"].strip(),
        found["remote"],
        found["refid"],
        int(found["stratum"]),
        found["type"],
        found["when"],
        int(found["poll"]),
        found["reach"],
        float(found["delay"]),
        float(found["offset"]),
        float(found["jitter"]),
    )
