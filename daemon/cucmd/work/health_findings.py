"""PURE. Judges the answers of a node in a health check.

A judge gets the parsed answer, the thresholds, and our time. An answer that could not be read gives
a finding `unread`, and never a good one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from cucmd import vos
from cucmd.job.health import BAD, GOOD, LOOK, UNREAD, Finding, Thresholds, may_be_daylight_saving
from cucmd.vos.cluster_answers import HighAvailability, ReplicationState
from cucmd.vos.record_answers import (
    BackupHistory,
    Certificate,
    CertificateList,
    CoreFiles,
    Processes,
)
from cucmd.vos.service_answers import NtpStatus, ServiceList
from cucmd.vos.status_answers import FindZone
from cucmd.work.verdict import counted

# The number of findings that a check lists before "and N more".
_MOST_LISTED = 10
_NOT_ACTIVATED = "service not activated"
# The node's own words (vos/NODES.md, section 6.4).
_STOPPED_BY_HAND = "commanded out of service"
# Services that are in this state on every node but the publisher. Source: a public health script
# (C), which ignores these lines on subscribers of Unified CM and Unity Connection.
_OF_PUBLISHER = frozenset(
    {
        "Cisco CAR DB",
        "Cisco DRF Master",
        "Cisco SOAP - CallRecord Service",
        "Connection HTTPS Directory Feeder",
    }
)
_NO_HISTORY = "no backup history available"
_BACKUP_SUCCEEDED = "SUCCESS"
# The most certificates that are asked for. A node has about ten of its own.
_MOST_CERTIFICATES = 30
_GOOD_SETUP = 2  # "(2) Setup Completed"
_AVAILABLE = "normal"
_NOT_ENABLED = "not enabled"
_CHECK_AGAIN = "check whether it is still so in a minute"

Judge = Callable[[Any, Thresholds, datetime], list[Finding]]


def _version(answer: vos.ActiveVersion, _: Thresholds, now: datetime) -> list[Finding]:
    if answer.version is None:
        return [Finding("version", UNREAD, "no line of its answer names one")]
    return [Finding("version", GOOD, answer.version)]


def _cluster(answer: vos.ClusterTable, _: Thresholds, now: datetime) -> list[Finding]:
    """Judges only which nodes are authenticated, since the job asks the other nodes themselves."""
    if not answer.nodes:
        return [Finding("cluster", UNREAD, "no node in a known form is in the table")]
    unauthenticated = [node for node in answer.nodes if node.unauthenticated is not None]
    hint = "if it is not down or new, check its services and the security password of the cluster"
    found = [
        Finding("cluster", BAD, f"{node.name} ({node.address}): {node.unauthenticated}", hint)
        for node in unauthenticated
    ]
    summary = counted(len(answer.nodes), "node")
    return _most_important(found) or [Finding("cluster", GOOD, f"{summary}, each authenticated")]


def _clock(answer: vos.ShowStatus, limits: Thresholds, now: datetime) -> list[Finding]:
    offset = answer.offset(now)
    if offset is None:
        return [Finding("clock", UNREAD, "its clock or its time zone is not known")]
    seconds = round(offset.total_seconds())
    text = f"{abs(seconds):,} s {'behind' if seconds < 0 else 'ahead of'} the daemon's"
    if abs(seconds) > limits.clock_seconds:
        hint = "check which server each follows: utils ntp status"
        if may_be_daylight_saving(seconds, limits.clock_seconds):
            hint = "its rules of daylight saving may be old; the time in UTC is in utils ntp status"
        return [Finding("clock", LOOK, text, hint)]
    return [Finding("clock", GOOD, text)]


def _disk(answer: vos.Machine, limits: Thresholds, now: datetime) -> list[Finding]:
    disks = [disk for disk in answer.disks if disk.name == "logging"]
    if not disks:
        return [Finding("disk", UNREAD, "the node does not say how full its logging partition is")]
    used = disks[0].used_percent
    text = f"{used} % of the logging partition is used"
    if used > limits.logging_percent:
        hint = "the node deletes its oldest traces to make room: collect, then delete them there"
        return [Finding("disk", BAD, text, hint, used, "%")]
    return [Finding("disk", GOOD, text, None, used, "%")]


def _services(answer: ServiceList, _: Thresholds, now: datetime) -> list[Finding]:
    if not answer.services:
        return [Finding("services", UNREAD, "no service in a known form is in the list")]
    found = []
    for service in answer.services:
        note = (service.note or "").lower()
        if service.state == "STARTED" or _NOT_ACTIVATED in note:
            continue
        text = f"{service.name} is {service.state}{f' ({service.note})' if service.note else ''}"
        start = f"utils service start {service.name}"
        if _STOPPED_BY_HAND in note:
            if answer.primary or service.name not in _OF_PUBLISHER:
                hint = f"somebody has stopped it: {start}"
                found.append(Finding("services", LOOK, text, hint))
        elif service.state != "STOPPED":  # STARTING, STOPPING
            found.append(Finding("services", LOOK, text, _CHECK_AGAIN))
        else:
            hint = f"it is activated: {start}, and its logs say why it ended"
            found.append(Finding("services", BAD, text, hint))
    if unknown_lines := sum("[" in line for line in answer.others):
        found.append(Finding("services", UNREAD, f"{unknown_lines} more in no known form"))
    running = sum(service.state == "STARTED" for service in answer.services)
    if not running and not found:
        found.append(Finding("services", UNREAD, "none of the list is STARTED"))
    return _most_important(found) or [Finding("services", GOOD, f"{running} run")]


def _ntp(answer: NtpStatus, limits: Thresholds, now: datetime) -> list[Finding]:
    hint = "utils ntp server list, and is the server reached: utils ntp status"
    if answer.synchronised is None:
        return [Finding("ntp", UNREAD, "the node does not say whether it follows a server")]
    if not answer.synchronised:
        return [Finding("ntp", BAD, "it follows no server", hint)]
    # The stratum in the answer is the node's own, which is one more than that of its server.
    # Whether this also holds for chronyd is not known, so the stratum in the server's line counts
    # too.
    followed = [peer.stratum for peer in answer.peers if peer.tally == "*"]
    stratum = max((answer.stratum or 1) - 1, *followed, 0)
    text = f"it follows {answer.server}, which is at stratum {stratum}"
    if stratum > limits.stratum:
        hint = f"choose a server of stratum {limits.stratum} or better"
        return [Finding("ntp", BAD, text, hint, stratum)]
    return [Finding("ntp", GOOD, text, None, stratum)]


def _replication(answer: ReplicationState, _: Thresholds, now: datetime) -> list[Finding]:
    if answer.single:
        return [Finding("replication", GOOD, "one active node: nothing is replicated")]
    if not answer.servers:
        return [Finding("replication", UNREAD, "no server in a known form is in the table")]
    hint = "utils dbreplication status on the publisher, then utils dbreplication repair"
    found = []
    for server in answer.servers:
        if server.code != _GOOD_SETUP:
            text = f"{server.name}: ({server.code}) {server.details or ''}".rstrip()
            found.append(Finding("replication", BAD, text, hint, server.code))
        elif {"N", "No"} & set(re.split("[/ ]", server.checks)):
            text = f"{server.name}: {server.checks} of database, RPC, monitor"
            found.append(Finding("replication", LOOK, text, hint, server.code))
    count = len(answer.servers)
    if answer.count is not None and answer.count != count:
        text = f"{count} of {answer.count} servers could be read"
        found.append(Finding("replication", UNREAD, text))
    summary = "1 server" if count == 1 else f"all {count} servers"
    good = Finding("replication", GOOD, f"(2) of {summary}", None, _GOOD_SETUP)
    return _most_important(found) or [good]


def judge_certificate(name: str, answer: Certificate, limits: Thresholds, now: datetime) -> Finding:
    """Judges the answer to `show cert own NAME`.

    Only days are compared, because the dates have the name of a time zone that may be unknown here.
    """
    if answer.valid_to is None:
        return Finding("certificates", UNREAD, f"{name}: its last valid day is missing")
    if answer.valid_from is not None and (answer.valid_from.date() - now.date()).days > 1:
        text = f"{name}: valid from {answer.valid_from:%Y-%m-%d} on"
        return Finding("certificates", BAD, text, "check the clock: show status")
    days = (answer.valid_to.date() - now.date()).days
    text = f"{name}: valid until {answer.valid_to:%Y-%m-%d}"
    if days >= limits.certificate_days:
        return Finding("certificates", GOOD, text, None, days, "days")
    left = f"which is in {days} days" if days >= 0 else f"{-days} days ago"
    # `set cert regen` takes a name without folder and suffix.
    unit = name.rpartition("/")[2].rpartition(".")[0]
    hint = (
        f"if it is self-signed: set cert regen {unit}, and restart what uses it; else sign it anew"
    )
    return Finding("certificates", BAD, f"{text}, {left}", hint, days, "days")


def _certificates(answer: CertificateList, _: Thresholds, now: datetime) -> list[Finding]:
    """Judges only the list, which has no dates. `judge_certificate` judges each certificate."""
    if not answer.certificates:
        return [Finding("certificates", UNREAD, "no certificate in a known form is in the list")]
    names = {entry.name for entry in answer.certificates}
    more = len(names) - len(certificate_names(answer))
    more += sum(".pem" in line or ".der" in line for line in answer.others)
    if more:
        return [Finding("certificates", UNREAD, f"{more} more of the list, not asked for")]
    return []


def certificate_names(answer: CertificateList) -> list[str]:
    """Returns the names of the certificates to ask for, from the answer to `show cert list own`."""
    names = dict.fromkeys(entry.name for entry in answer.certificates)
    return list(names)[:_MOST_CERTIFICATES]


def _backup(answer: BackupHistory, limits: Thresholds, now: datetime) -> list[Finding]:
    hint = "make one: utils disaster_recovery backup network, or see its schedule and its device"
    if not answer.backups:
        if not all(_NO_HISTORY in line.lower() for line in answer.others):
            return [Finding("backup", UNREAD, "no backup in a known form is in its history")]
        return [Finding("backup", BAD, "no backup is in its history", hint)]
    last = max(answer.backups, key=lambda backup: backup.completed)
    days = (now.date() - last.completed.date()).days
    text = f"the last, of {last.completed:%Y-%m-%d}, ended with {last.result}"
    if last.result != _BACKUP_SUCCEEDED:
        return [
            Finding("backup", BAD, text, "why it failed: utils disaster_recovery status backup")
        ]
    if days < -1:  # one day may be due to another time zone
        clock = "the clock was wrong then, or is now: show status"
        return [Finding("backup", LOOK, f"{text}, which is to come", clock)]
    if days > limits.backup_days:
        return [Finding("backup", BAD, f"{text}, {days} days ago", hint, days, "days")]
    return [Finding("backup", GOOD, text, None, max(days, 0), "days")]


def _cores(answer: CoreFiles, limits: Thresholds, now: datetime) -> list[Finding]:
    if not answer.files and not answer.none:
        return [Finding("cores", UNREAD, "the node neither lists core files nor says it has none")]
    recent = [
        file
        for file in answer.files
        if (now.date() - file.modified.date()).days <= limits.core_days
    ]
    hint = "what has crashed: utils core active analyze FILE, and the logs of that time"
    found = [
        Finding(
            "cores", BAD, f"{file.process or file.name} of {file.modified:%Y-%m-%d %H:%M}", hint
        )
        for file in sorted(recent, key=lambda file: file.modified, reverse=True)
    ]
    text = "none"
    if answer.files:
        newest = max(file.modified for file in answer.files)
        text = f"{len(answer.files)}, the newest of {newest:%Y-%m-%d}"
    return _most_important(found) or [Finding("cores", GOOD, text)]


def _processor(answer: Processes, limits: Thresholds, now: datetime) -> list[Finding]:
    used = [process for process in answer.processes if process.cpu_percent is not None]
    if not used:
        return [Finding("processor", UNREAD, "no process in a known form is in the list")]
    first = max(used, key=lambda process: process.cpu_percent or 0.0)
    name = first.command.split(" ", 1)[0].rsplit("/", 1)[-1]
    percent = first.cpu_percent or 0.0
    text = f"{name} ({first.pid}) uses {percent:g} % of one processor"
    if percent > limits.processor_percent:
        hint = f"{_CHECK_AGAIN}: show process load"
        return [Finding("processor", LOOK, text, hint, percent, "%")]
    return [Finding("processor", GOOD, text, None, percent, "%")]


def _availability(answer: HighAvailability, _: Thresholds, now: datetime) -> list[Finding]:
    if not answer.nodes:
        return [Finding("availability", UNREAD, "no node in a known form is in the answer")]
    found = []
    states: dict[str, None] = {}
    for node in answer.nodes:
        state = (node.state or "").lower()
        # A node is as it should be if nobody has enabled high availability there.
        disabled = _NOT_ENABLED in (node.reason or "").lower()
        states[_NOT_ENABLED if disabled else node.state or ""] = None
        text = f"{node.name} is {node.state}{f' ({node.reason})' if node.reason else ''}"
        if not state:
            found.append(Finding("availability", UNREAD, f"{node.name}: its state is missing"))
        elif state == _AVAILABLE or disabled:
            continue
        elif "fail" in state or "backup" in state:
            hint = "which services run: utils service list; once all do: utils ha fallback"
            found.append(Finding("availability", BAD, text, hint))
        else:  # Initializing, Taking Over
            found.append(Finding("availability", LOOK, text, _CHECK_AGAIN))
    if unknown_lines := sum("state" in line.lower() for line in answer.others):
        found.append(Finding("availability", UNREAD, f"{unknown_lines} more in no known form"))
    summary = ", ".join(filter(None, states))
    return _most_important(found) or [
        Finding("availability", GOOD, f"{len(answer.nodes)} nodes: {summary}")
    ]


def judge_answer(
    check: str, answer: object, limits: Thresholds, now: datetime, find_zone: FindZone
) -> list[Finding]:
    """Judges the parsed answer to the last command of a check, which is None if it is empty."""
    if answer is None:
        return [Finding(check, UNREAD, "nothing of its answer could be read")]
    if check == "clock" and isinstance(answer, vos.Machine):
        answer = vos.find_node_time(answer, find_zone)
    return JUDGES[check](answer, limits, now)


def findings_if_truncated(check: str, found: Sequence[Finding]) -> list[Finding]:
    """Returns the findings that are certain although only the beginning of the answer was read.

    The beginning can prove that something is wrong. It can never prove that all is well, and it
    does not have the last backup.
    """
    stay = [finding for finding in found if finding.state != GOOD and check != "backup"]
    return [*stay, Finding(check, UNREAD, "the answer is long, and only its beginning was read")]


def _most_important(found: Sequence[Finding]) -> list[Finding]:
    """Returns the first few findings, the bad ones first, since a node may print thousands."""
    ordered = sorted(found, key=lambda finding: (BAD, LOOK, UNREAD).index(finding.state))
    shown, more = ordered[:_MOST_LISTED], len(ordered) - _MOST_LISTED
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
