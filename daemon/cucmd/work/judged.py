"""PURE. Says what each check of a node's health makes of what the node has printed.

A judge is given what was read of an answer, the thresholds, and our time. What could not be read is
`unread`: never good.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from cucmd import vos
from cucmd.job.health import BAD, GOOD, LOOK, UNREAD, Finding, Thresholds, may_be_daylight_saving
from cucmd.vos.cluster_answers import AvailableNode, HighAvailability, ReplicationState
from cucmd.vos.record_answers import (
    BackupHistory,
    Certificate,
    CertificateList,
    CoreFiles,
    Processes,
)
from cucmd.vos.service_answers import NtpStatus, Service, ServiceList
from cucmd.vos.status_answers import FindZone
from cucmd.work.verdict import counted

# Of one kind so many are said one by one.
_MOST_SAID = 10
_NOT_ACTIVATED = "service not activated"
# A node's own words (vos/NODES.md, section 6.4).
_BY_HAND = "commanded out of service"
# Those that are commanded so on every node but the publisher (C: a public health script, of
# subscribers of Unified CM and Unity Connection, which passes over these lines).
_OF_PUBLISHER = frozenset(
    {
        "Cisco CAR DB",
        "Cisco DRF Master",
        "Cisco SOAP - CallRecord Service",
        "Connection HTTPS Directory Feeder",
    }
)
_NO_HISTORY = "no backup history available"
_BACKUP_IS_GOOD = "SUCCESS"
# A node has some ten of its own.
_MOST_CERTIFICATES = 30
_GOOD_SETUP = 2  # "(2) Setup Completed"
_AVAILABLE = "normal"
_NOT_ENABLED = "not enabled"

Judge = Callable[[Any, Thresholds, datetime], list[Finding]]


def _version(said: vos.ActiveVersion, _: Thresholds, now: datetime) -> list[Finding]:
    if said.version is None:
        return [Finding("version", UNREAD, "no line of its answer names one")]
    return [Finding("version", GOOD, said.version)]


def _cluster(said: vos.ClusterTable, _: Thresholds, now: datetime) -> list[Finding]:
    """Does not judge which nodes of its table answer: they are nodes of the job, and are asked."""
    if not said.nodes:
        return [Finding("cluster", UNREAD, "no node in a known form is in the table")]
    apart = [one for one in said.nodes if one.unauthenticated is not None]
    hint = "is it down, or new? see its services, and the security password of the cluster"
    found = [
        Finding("cluster", BAD, f"{one.name} ({one.address}): {one.unauthenticated}", hint)
        for one in apart
    ]
    of_all = counted(len(said.nodes), "node")
    return _first(found) or [Finding("cluster", GOOD, f"{of_all}, each authenticated")]


def _clock(said: vos.ShowStatus, most: Thresholds, now: datetime) -> list[Finding]:
    off = said.offset(now)
    if off is None:
        return [Finding("clock", UNREAD, "its clock or its time zone is not known")]
    seconds = round(off.total_seconds())
    says = f"{abs(seconds):,} s {'behind' if seconds < 0 else 'ahead of'} the daemon's"
    if abs(seconds) > most.clock_seconds:
        hint = "which server each follows: utils ntp status"
        if may_be_daylight_saving(seconds, most.clock_seconds):
            hint = "its rules of daylight saving may be old; the time in UTC is in utils ntp status"
        return [Finding("clock", LOOK, says, hint)]
    return [Finding("clock", GOOD, says)]


def _disk(said: vos.Machine, most: Thresholds, now: datetime) -> list[Finding]:
    disks = [one for one in said.disks if one.name == "logging"]
    if not disks:
        return [Finding("disk", UNREAD, "how full its logging partition is is not said")]
    says = f"{disks[0].used_percent} % of the logging partition is used"
    if disks[0].used_percent > most.logging_percent:
        hint = "the node deletes its oldest traces to make room: collect, then delete them there"
        return [Finding("disk", BAD, says, hint)]
    return [Finding("disk", GOOD, says)]


def _services(said: ServiceList, _: Thresholds, now: datetime) -> list[Finding]:
    if not said.services:
        return [Finding("services", UNREAD, "no service in a known form is in the list")]
    elsewhere = frozenset[str]() if said.primary else _OF_PUBLISHER
    found = [one for service in said.services if (one := _service(service, elsewhere))]
    if odd := sum("[" in line for line in said.others):
        found.append(Finding("services", UNREAD, f"{odd} more in no known form"))
    running = sum(one.state == "STARTED" for one in said.services)
    if not running and not found:
        found.append(Finding("services", UNREAD, "none of the list is STARTED"))
    return _first(found) or [Finding("services", GOOD, f"{running} run")]


def _service(one: Service, elsewhere: frozenset[str]) -> Finding | None:
    """Judges it; None: it runs, or is not meant to. `elsewhere`: those that run on another node."""
    note = (one.note or "").lower()
    if one.state == "STARTED" or _NOT_ACTIVATED in note:
        return None
    says = f"{one.name} is {one.state}{f' ({one.note})' if one.note else ''}"
    if _BY_HAND in note:
        if one.name in elsewhere:
            return None
        hint = f"somebody has stopped it: utils service start {one.name}"
        return Finding("services", LOOK, says, hint)
    if one.state != "STOPPED":  # STARTING, STOPPING
        return Finding("services", LOOK, says, "is it so in a minute, too?")
    hint = f"it is activated: utils service start {one.name}, and its logs say why it ended"
    return Finding("services", BAD, says, hint)


def _ntp(said: NtpStatus, most: Thresholds, now: datetime) -> list[Finding]:
    hint = "utils ntp server list, and is the server reached: utils ntp status"
    if said.synchronised is None:
        return [Finding("ntp", UNREAD, "whether it follows a server is not said")]
    if not said.synchronised:
        return [Finding("ntp", BAD, "it follows no server", hint)]
    # The stratum in its answer is its own, one behind that of the server; whether it is so with
    # chronyd is not known, so that of the server's line counts too.
    followed = [peer.stratum for peer in said.peers if peer.tally == "*"]
    stratum = max((said.stratum or 1) - 1, *followed, 0)
    says = f"it follows {said.server}, which is at stratum {stratum}"
    if stratum > most.stratum:
        return [Finding("ntp", BAD, says, f"a server of stratum {most.stratum} or better is meant")]
    return [Finding("ntp", GOOD, says)]


def _replication(said: ReplicationState, _: Thresholds, now: datetime) -> list[Finding]:
    if said.single:
        return [Finding("replication", GOOD, "one active node: nothing is replicated")]
    if not said.servers:
        return [Finding("replication", UNREAD, "no server in a known form is in the table")]
    hint = "utils dbreplication status on the publisher, then utils dbreplication repair"
    found = [
        Finding("replication", BAD, f"{one.name}: ({one.code}) {one.details or ''}".rstrip(), hint)
        for one in said.servers
        if one.code != _GOOD_SETUP
    ]
    found += [
        Finding("replication", LOOK, f"{one.name}: {one.checks} of database, RPC, monitor", hint)
        for one in said.servers
        if one.code == _GOOD_SETUP and {"N", "No"} & set(re.split("[/ ]", one.checks))
    ]
    count = len(said.servers)
    if said.count is not None and said.count != count:
        says = f"{count} of {said.count} servers could be read"
        found.append(Finding("replication", UNREAD, says))
    of_all = "1 server" if count == 1 else f"all {count} servers"
    return _first(found) or [Finding("replication", GOOD, f"(2) of {of_all}")]


def certificate(name: str, said: Certificate, most: Thresholds, now: datetime) -> Finding:
    """Judges what `show cert own NAME` says. Its dates have the name of a zone, which is not known:
    a day is all that counts.
    """
    if said.valid_to is None:
        return Finding("certificates", UNREAD, f"{name}: until when it is valid is not said")
    if said.valid_from is not None and (said.valid_from.date() - now.date()).days > 1:
        says = f"{name}: valid from {said.valid_from:%Y-%m-%d} on"
        return Finding("certificates", BAD, says, "is the clock right: show status")
    days = (said.valid_to.date() - now.date()).days
    says = f"{name}: valid until {said.valid_to:%Y-%m-%d}"
    if days >= most.certificate_days:
        return Finding("certificates", GOOD, says)
    left = f"which is in {days} days" if days >= 0 else f"{-days} days ago"
    unit = name.rpartition("/")[2].rpartition(".")[0]  # `set cert regen` takes no folder, no ending
    hint = (
        f"if it is self-signed: set cert regen {unit}, and restart what uses it; else sign it anew"
    )
    return Finding("certificates", BAD, f"{says}, {left}", hint)


def _certificates(said: CertificateList, _: Thresholds, now: datetime) -> list[Finding]:
    """Judges the list alone, which has no dates: each of `own_certificates` is asked for."""
    if not said.certificates:
        return [Finding("certificates", UNREAD, "no certificate in a known form is in the list")]
    more = len({one.name for one in said.certificates}) - len(own_certificates(said))
    more += sum(".pem" in line or ".der" in line for line in said.others)
    if more:
        return [Finding("certificates", UNREAD, f"{more} more of the list, not asked for")]
    return []


def own_certificates(said: CertificateList) -> list[str]:
    """Returns the names in the answer to `show cert list own`, of as many as are asked for."""
    names = dict.fromkeys(one.name for one in said.certificates)
    return list(names)[:_MOST_CERTIFICATES]


def _backup(said: BackupHistory, most: Thresholds, now: datetime) -> list[Finding]:
    hint = "make one: utils disaster_recovery backup network, or see its schedule and its device"
    if not said.backups:
        if not all(_NO_HISTORY in line.lower() for line in said.others):
            return [Finding("backup", UNREAD, "no backup in a known form is in its history")]
        return [Finding("backup", BAD, "its history has none", hint)]
    last = max(said.backups, key=lambda one: one.completed)
    days = (now.date() - last.completed.date()).days
    says = f"the last, of {last.completed:%Y-%m-%d}, ended with {last.result}"
    if last.result != _BACKUP_IS_GOOD:
        return [
            Finding("backup", BAD, says, "why it failed: utils disaster_recovery status backup")
        ]
    if days < -1:  # a day may be that of another zone
        clock = "the clock was wrong then, or is now: show status"
        return [Finding("backup", LOOK, f"{says}, which is to come", clock)]
    if days > most.backup_days:
        return [Finding("backup", BAD, f"{says}, {days} days ago", hint)]
    return [Finding("backup", GOOD, says)]


def _cores(said: CoreFiles, most: Thresholds, now: datetime) -> list[Finding]:
    if not said.files and not said.none:
        return [Finding("cores", UNREAD, "neither core files nor that there are none is said")]
    recent = [
        one for one in said.files if (now.date() - one.modified.date()).days <= most.core_days
    ]
    hint = "what has crashed: utils core active analyze FILE, and the logs of that time"
    found = [
        Finding("cores", BAD, f"{one.process or one.name} of {one.modified:%Y-%m-%d %H:%M}", hint)
        for one in sorted(recent, key=lambda one: one.modified, reverse=True)
    ]
    says = "none"
    if said.files:
        newest = max(one.modified for one in said.files)
        says = f"{len(said.files)}, the newest of {newest:%Y-%m-%d}"
    return _first(found) or [Finding("cores", GOOD, says)]


def _processor(said: Processes, most: Thresholds, now: datetime) -> list[Finding]:
    used = [one for one in said.processes if one.cpu_percent is not None]
    if not used:
        return [Finding("processor", UNREAD, "no process in a known form is in the list")]
    first = max(used, key=lambda one: one.cpu_percent or 0.0)
    name = first.command.split(" ", 1)[0].rsplit("/", 1)[-1]
    says = f"{name} ({first.pid}) uses {first.cpu_percent:g} % of one processor"
    if (first.cpu_percent or 0.0) > most.processor_percent:
        return [Finding("processor", LOOK, says, "is it so in a minute, too? show process load")]
    return [Finding("processor", GOOD, says)]


def _availability(said: HighAvailability, _: Thresholds, now: datetime) -> list[Finding]:
    if not said.nodes:
        return [Finding("availability", UNREAD, "no node in a known form is in the answer")]
    found = [one for node in said.nodes if (one := _available(node))]
    if odd := sum("state" in line.lower() for line in said.others):
        found.append(Finding("availability", UNREAD, f"{odd} more in no known form"))
    states = dict.fromkeys(_NOT_ENABLED if _is_off(one) else one.state for one in said.nodes)
    of_all = ", ".join(filter(None, states))
    return _first(found) or [Finding("availability", GOOD, f"{len(said.nodes)} nodes: {of_all}")]


def _is_off(node: AvailableNode) -> bool:
    return _NOT_ENABLED in (node.reason or "").lower()


def _available(node: AvailableNode) -> Finding | None:
    """Judges it; None: it is as it is meant to be. Where nobody has enabled it, that is so."""
    if not node.state:
        return Finding("availability", UNREAD, f"{node.name}: its state is not said")
    state = node.state.lower()
    if state == _AVAILABLE or _is_off(node):
        return None
    says = f"{node.name} is {node.state}{f' ({node.reason})' if node.reason else ''}"
    gone_over = "fail" in state or "backup" in state
    hint = "which services run: utils service list; once all do: utils ha fallback"
    if not gone_over:  # Initializing, Taking Over
        hint = "is it so in a minute, too?"
    return Finding("availability", BAD if gone_over else LOOK, says, hint)


def judge(
    check: str, said: object, most: Thresholds, now: datetime, find_zone: FindZone
) -> list[Finding]:
    """Judges `said`: what was read of the answer to its last command; None: it is empty."""
    if said is None:
        return [Finding(check, UNREAD, "nothing of its answer could be read")]
    if check == "clock" and isinstance(said, vos.Machine):
        said = vos.find_node_time(said, find_zone)
    return JUDGES[check](said, most, now)


def of_beginning(check: str, found: Sequence[Finding]) -> list[Finding]:
    """Keeps what an answer's beginning tells: what is good, or the last backup, it does not."""
    stay = [one for one in found if one.state != GOOD and check != "backup"]
    return [*stay, Finding(check, UNREAD, "its answer is long, and only its beginning was read")]


def _first(found: Sequence[Finding]) -> list[Finding]:
    """Keeps few of the findings of a node that prints thousands. The bad ones stay."""
    ordered = sorted(found, key=lambda one: (BAD, LOOK, UNREAD).index(one.state))
    shown, more = ordered[:_MOST_SAID], len(ordered) - _MOST_SAID
    if more > 0:
        last = shown[-1]
        shown.append(Finding(last.check, last.state, f"and {more} more", last.hint))
    return shown


JUDGES: dict[str, Judge] = {
    "version": _version,
    "cluster": _cluster,
    "clock": _clock,
    "disk": _disk,
    "services": _services,
    "ntp": _ntp,
    "replication": _replication,
    "certificates": _certificates,
    "backup": _backup,
    "cores": _cores,
    "processor": _processor,
    "availability": _availability,
}
