"""PURE. Makes the output of all commands except `file get` and those of `support.py`.

The texts are those of `vos/NODES.md`, sections 6.1 to 6.11. Where that file says "unknown", the
text here is invented, and plausible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TypeAlias

import msgspec

from cucmlab import texts
from cucmlab.faults import FaultKind
from cucmlab.files import ROOTS, VirtualFile, blocks
from cucmlab.selection import Get, ListEntry, Unsuccessful

VERSION = "12.5.1.15900-66"
_FOR_LOGS = 65694968  # KiB that files can use in the partition for logs
_PACKAGES = ("cm-ver", "platform-api", "snmp-master-agent", "openssh-clients")
_PROCESSES = ("ccm", "RisDC", "java", "cmoninit", "servM", "snmpdm", "tomcat", "sshd", "systemd")


class LabMember(msgspec.Struct, frozen=True):
    """Describes a node as the other nodes of its cluster know it. Number 1 is the publisher."""

    number: int
    address: str

    @property
    def host(self) -> str:
        return "cucm-pub" if self.number == 1 else f"cucm-sub{self.number - 1}"


class NodeFacts(msgspec.Struct, frozen=True):
    """Holds what the answers of a node depend on.

    member   the node that answers
    members  its cluster, the node included
    now      the time by the clock of the node
    used     percent of the partition for logs in use
    """

    member: LabMember
    members: Sequence[LabMember]
    now: datetime
    zone: tzinfo
    used: float

    @property
    def local(self) -> datetime:
        return self.now.astimezone(self.zone)

    @property
    def zone_name(self) -> str:
        offset = self.local.strftime("%z")
        return f"{self.local.tzname()} (GMT{offset[:3]}:{offset[3:]}) ({self.zone})"


Reporter: TypeAlias = Callable[[NodeFacts, list[str]], list[str]]

VERSION_ACTIVE = (f"Active Master Version: {VERSION}", texts.NO_OPTIONS)
_VERSION_INACTIVE = ("Inactive Master Version: 12.5.1.14900-63", texts.NO_OPTIONS)
SERVICES = (
    "Requesting service status, please wait...",
    "System SSH [STARTED] ",
    "Cluster Manager [STARTED] ",
    "Name Service Cache [STARTED] ",
    "Entropy Monitoring Daemon [STARTED] ",
    "Cisco SCSI Watchdog [STARTED] ",
    "Service Manager [STARTED] ",
    "A Cisco DB[STARTED]",
    "Cisco Tomcat[STARTED]",
    "Cisco CallManager[STARTED]",
    "Cisco CTIManager[STARTED]",
    "Cisco RIS Data Collector[STARTED]",
    "Cisco SSH Tunnel[STOPPED]  Service Not Activated",
    "Cisco Dialed Number Analyzer[STOPPED]  Service Not Activated ",
    "Primary Node =true",
)
_HARDWARE = (
    "HW Platform       : VMware Virtual Machine",
    "Processors        : 2",
    "Type              : Intel(R) Xeon(R) CPU E7- 2830  @ 2.13GHz",
    "Memory            : 8192 MBytes",
    "Serial Number     : VMware-42 3a",
    "",
    "RAID Version      :",
    "No RAID controller information is available",
)
_DIAGNOSIS = (
    "Log file: platform/log/diag1.log",
    "",
    "Starting diagnostic test(s)",
    "===========================",
    "test - disk_space          : Passed (available: 18706 MB, used: 18370 MB)",
    "skip - disk_files          : This module must be run directly and off hours",
    "test - ntp_reachability    : Passed",
    "",
    "Diagnostics Completed",
)
_ROUTE = (
    "default via 127.1.0.254 dev eth0",
    "127.1.0.0/24 dev eth0  proto kernel  scope link",
)


def network_cluster(members: Sequence[LabMember], local: LabMember) -> list[str]:
    """Makes the output of `show network cluster` on the node `local`.

    Only the publisher prints the second table.
    """
    lines = [_cluster_line(member, member == local) for member in members]
    if local.number != 1:
        return [*lines, ""]
    return [*lines, "", texts.SERVER_TABLE, texts.SERVER_TABLE_RULE, *(m.address for m in members)]


def with_strangers(lines: Sequence[str], count: int) -> list[str]:
    """Adds machines that are not of the cluster to the output of `show network cluster`."""
    strangers = [LabMember(number + 900, f"127.66.0.{number}") for number in range(1, count + 1)]
    return [*(_cluster_line(one, False) for one in strangers), *lines]


def other_table(members: Sequence[LabMember]) -> list[str]:
    """Lists the nodes in a form that is not in vos/NODES.md, section 6.2, with noise in it."""
    rows = [f"{one.number}     {one.host}     {one.address}      Hub" for one in members]
    return ["ID    Hostname      IPv4          Hub/Spoke", "==    ========", *rows, "\x1b[31m#\x07"]


def _cluster_line(member: LabMember, local: bool) -> str:
    role, base = ("Publisher", "DBPub") if member.number == 1 else ("Subscriber", "DBSub")
    since = "" if local else " using TCP since Mon Nov  2 02:11:34 2026"
    name = f"{member.address} {member.host}.lab.example {member.host}"
    return f"{name} {role} callmanager {base} authenticated{since}"


def status(facts: NodeFacts, _words: list[str]) -> list[str]:
    taken = int(_FOR_LOGS * facts.used / 100)
    return [
        "",
        f"Host Name          : {facts.member.host}",
        f"Date               : {facts.local:%a %b %d, %Y %H:%M:%S}",
        f"Time Zone          : {facts.zone_name}",
        "Locale             : en_US.UTF-8",
        f"Product Ver        : {VERSION}",
        "Unified OS Version : 7.0.0.0-3",
        "",
        "Uptime:",
        f" {facts.local:%H:%M:%S} up 23 days,  8:12,  1 user,  load average: 0.51, 0.40, 0.33",
        "",
        "CPU Idle:   92.39%  System:   02.03%    User:   05.08%",
        "  IOWAIT:   00.51%     IRQ:   00.00%    Soft:   00.00%",
        "",
        "Memory Total:        8062400K",
        "       Free:          231748K",
        "       Used:         7830652K",
        "     Cached:         2451860K",
        "     Shared:              0K",
        "    Buffers:          160396K",
        "",
        "                        Total            Free            Used",
        "Disk/active         19813288K        1234567K       18370776K (94%)",
        "Disk/inactive       19813320K       18706932K          93212K (1%)",
        f"Disk/logging        69234984K {_FOR_LOGS - taken:>14}K {taken:>14}K ({facts.used:.0f}%)",
        "",
    ]


def _timezone(facts: NodeFacts, _words: list[str]) -> list[str]:
    return [f"Current timezone: {facts.zone_name}"]


def _eth0(facts: NodeFacts, words: list[str]) -> list[str]:
    lines = [
        "Ethernet 0",
        "DHCP         : disabled           Status     : up",
        f"IP Address   : {facts.member.address:<18} IP Mask    : 255.255.255.000",
        "Link Detected: yes                Mode       : Auto disabled, Full, 10000 Mbits/s",
        "",
        "DNS",
        "Primary      : 127.1.0.200        Secondary  : Not Configured",
        "Domain       : lab.example",
    ]
    return [*lines, "Queue errors : 0"] if "detail" in words else lines


def _load(facts: NodeFacts, words: list[str]) -> list[str]:
    number = words[words.index("num") + 1] if "num" in words[:-1] else "10"
    count = len(_PROCESSES) if number == "all" else int(number)
    head = [
        f"top - {facts.local:%H:%M:%S} up 23 days,  8:12,  1 user,  load average: 0.51, 0.40, 0.33",
        "Tasks: 242 total,   1 running, 241 sleeping,   0 stopped,   0 zombie",
        "%Cpu(s):  3.0 us,  9.1 sy,  3.0 ni, 84.8 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st",
        "  PID USER      PR  NI    VIRT    RES    SHR S  %CPU %MEM     TIME+ COMMAND",
    ]
    rows = [
        f"{4000 + at:5d} ccmbase   20   0  438004 122292  22996 S   6.2  2.1 2429:19 {name}"
        for at, name in enumerate(_PROCESSES[:count])
    ]
    return [*head, *rows]


def _no_hardware_memory(_facts: NodeFacts, _words: list[str]) -> list[str]:
    """Raises Unsuccessful, since the lab's nodes are virtual machines."""
    raise Unsuccessful("The command is not supported on this platform")


def _packages(_facts: NodeFacts, words: list[str]) -> list[str]:
    found = [name for name in _PACKAGES if words[0] in ("*", name)]
    return [f"{name}-{VERSION}" for name in found] or [f"No package {words[0]} is installed"]


def _date(facts: NodeFacts, _words: list[str]) -> list[str]:
    return [f"{facts.local:%a %b %d %H:%M:%S %Z %Y}"]


def _ntp(facts: NodeFacts, _words: list[str]) -> list[str]:
    server, stratum = "127.1.0.250", 2
    if facts.member.number != 1:  # subscribers follow the publisher
        server, stratum = facts.members[0].address, 3
    followed = f"*{server:<15} .GPS.           {stratum - 1:>2}"
    return [
        "ntpd (pid 26049) is running...",
        "",
        "     remote           refid      st t when poll reach   delay   offset  jitter",
        "=" * 78,
        f"{followed} u  538 1024  377    0.262    0.044   0.006",
        "",
        f"synchronised to NTP server ({server}) at stratum {stratum}",
        "   time correct to within 22 ms",
        "   polling server every 1024 s",
        "",
        f"Current time in UTC is : {facts.now.astimezone(UTC):%a %b %d %H:%M:%S UTC %Y}",
        f"Current time in {facts.zone} is : {facts.local:%a %b %d %H:%M:%S %Z %Y}",
    ]


def _runtimestate(facts: NodeFacts, _words: list[str]) -> list[str]:
    count = len(facts.members)
    rows = [
        f"{one.host:<24} {one.address:<17} {0.016 * one.number:<9.3f} Y/Y/Y     0        "
        f"(g_{one.number + 1})          (2) Setup Completed"
        for one in facts.members
    ]
    return [
        "",
        f"Server Time: {facts.local:%a %b %d %H:%M:%S %Z %Y}",
        "",
        "Cluster Replication State: BROADCAST SYNC ended at: 2026-07-17-16-47",
        "     Sync Result: SYNC COMPLETED on 753 tables out of 753",
        "     Sync Status: All Tables are in sync",
        "",
        "DB Version: ccm12_5_1_15900_66",
        "",
        "Repltimeout set to: 300s",
        "PROCESS option set to: 1",
        "",
        "",
        f"Cluster Detailed View from {facts.member.host} ({count} Servers):",
        "",
        "                         PING      DB/RPC/   REPL.    Replication    REPLICATION SETUP",
        "SERVER-NAME   IP ADDRESS   (msec)    DbMon?    QUEUE    Group ID       (RTMT) & Details",
        "-----------   ----------   ------    -------   -----    -----------    --------------",
        *rows,
    ]


# Faults that show in a report: the command of the report, a pattern of the usual output, and what
# the node prints in its place.
SYMPTOMS: dict[FaultKind, tuple[str, str, str]] = {
    FaultKind.SERVICE_STOPPED: (
        "utils service list",
        r"CTIManager\[STARTED\]",
        "CTIManager[STOPPED]  Component is not running",
    ),
    FaultKind.NOT_REPLICATED: (
        "utils dbreplication runtimestate",
        r"\(2\) Setup Completed",
        "(4) Setup Failed",
    ),
    FaultKind.NO_TIME: ("utils ntp status", "synchronised to NTP server.*", "unsynchronised"),
    FaultKind.FAR_FROM_TIME: ("utils ntp status", "at stratum .*", "at stratum 9"),
    FaultKind.OTHER_VERSION: ("show version active", re.escape(VERSION), "12.5.1.11900-146"),
    FaultKind.CERTIFICATE_ENDED: ("show cert own", r"(To: .*) \d{4}", r"\1 2020"),
    FaultKind.BACKUP_FAILED: ("utils disaster_recovery history backup", "SUCCESS", "ERROR"),
    FaultKind.CORE_FILE: (
        "utils core active list",
        "No core files found",
        "340196 KB   {:%Y-%m-%d %H:%M:%S}   core.4560.6.ccm.1453750027",
    ),
    FaultKind.BUSY: ("show process using-most cpu", r" 12\.4", " 98.1"),
    FaultKind.UNKNOWN_TO_OTHERS: (
        "show network cluster",
        " authenticated using TCP since",
        " not authenticated - INITIATOR since",
    ),
}


# name -> number of mandatory parameters, of all parameters, and the output or a function for it
REPORTS: dict[str, tuple[int, int, Reporter | Sequence[str]]] = {
    "show version active": (0, 0, VERSION_ACTIVE),
    "show version inactive": (0, 0, _VERSION_INACTIVE),
    "show status": (0, 0, status),
    "show timezone config": (0, 0, _timezone),
    "show network eth0": (0, 3, _eth0),
    "show network route": (0, 3, _ROUTE),
    "show hardware": (0, 0, _HARDWARE),
    "show process load": (0, 8, _load),
    "show memory count": (0, 0, _no_hardware_memory),
    "show memory modules": (0, 1, _no_hardware_memory),
    "show memory size": (0, 0, _no_hardware_memory),
    "show packages active": (1, 2, _packages),
    "show date": (0, 0, _date),
    "utils service list": (0, 1, SERVICES),
    "utils ntp status": (0, 0, _ntp),
    "utils dbreplication runtimestate": (0, 1, _runtimestate),
    "utils diagnose test": (0, 0, _DIAGNOSIS),
}


# -- files


def file_search(
    get: Get, files: Sequence[VirtualFile], pattern: re.Pattern[str], node: int
) -> list[str]:
    """Makes the output of `file search` (vos/NODES.md, section 6.9).

    If several files were searched, each line begins with the name of its file.
    """
    root = ROOTS[get.location]
    lines = [texts.SEARCHING_PATH.format(root=root, path=get.spec.strip("/"))]
    for file in files:
        lines.append(texts.SEARCHING_FILE.format(root=root, path=file.path))
        begin = f"/var/log/{root}/{file.path}:" if len(files) > 1 else ""
        first = next(blocks(node, file.path, file.size), b"").decode()
        lines += [begin + line for line in first.splitlines() if pattern.search(line)]
    return [*lines, texts.SEARCHED]


def file_list(entries: Sequence[ListEntry], zone: tzinfo, *, detail: bool) -> list[str]:
    """Makes the output of `file list` (vos/NODES.md, section 6.1).

    With `detail`, names begin in column 35. Without it there are two columns, at 0 and 40.
    """
    folders = sum(entry.size is None for entry in entries)
    footer = texts.LIST_FOOTER.format(directories=folders, files=len(entries) - folders)
    lines = [_detail(entry, zone) for entry in entries] if detail else _two_columns(entries)
    return [*lines, footer]


def _detail(entry: ListEntry, zone: tzinfo) -> str:
    when = entry.modified.astimezone(zone)
    size = "<dir>" if entry.size is None else f"{entry.size:,}"
    return f"{when:%d %b,%Y %H:%M:%S}{size:>13}  {entry.name}"


def _two_columns(entries: Sequence[ListEntry]) -> list[str]:
    names = [f"<dir>   {entry.name}" if entry.size is None else entry.name for entry in entries]
    pairs = [names[i : i + 2] for i in range(0, len(names), 2)]
    return [f"{pair[0]:<40}{pair[1]}" if len(pair) == 2 else pair[0] for pair in pairs]
