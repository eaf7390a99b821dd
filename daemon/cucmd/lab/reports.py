"""PURE. What the node prints for commands that report something and take no file.

The texts are those of `vos/NODES.md`, sections 6.3 to 6.11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TypeAlias

import msgspec

from cucmd.lab import texts
from cucmd.lab.answers import VERSION, Member
from cucmd.lab.selection import Refused

_PACKAGES = ("cm-ver", "platform-api", "snmp-master-agent", "openssh-clients")
_PROCESSES = ("ccm", "RisDC", "java", "cmoninit", "servM", "snmpdm", "tomcat", "sshd", "systemd")


class Here(msgspec.Struct, frozen=True):
    """The node that is asked, its cluster, and its clock."""

    member: Member
    members: Sequence[Member]
    now: datetime
    zone: tzinfo

    @property
    def local(self) -> datetime:
        return self.now.astimezone(self.zone)


Report: TypeAlias = Callable[[Here, list[str]], list[str]]


def _version_inactive(_here: Here, _words: list[str]) -> list[str]:
    return ["Inactive Master Version: 12.5.1.14900-63", texts.NO_OPTIONS]


def _eth0(here: Here, words: list[str]) -> list[str]:
    lines = [
        "Ethernet 0",
        "DHCP         : disabled           Status     : up",
        f"IP Address   : {here.member.address:<18} IP Mask    : 255.255.255.000",
        "Link Detected: yes                Mode       : Auto disabled, Full, 10000 Mbits/s",
        "Duplicate IP : no",
        "",
        "DNS",
        "Primary      : 127.1.0.200        Secondary  : Not Configured",
        "Domain       : lab.example",
    ]
    return [*lines, "Queue errors : 0"] if "detail" in words else lines


def _route(_here: Here, _words: list[str]) -> list[str]:
    return ["default via 127.1.0.254 dev eth0", "127.1.0.0/24 dev eth0  proto kernel  scope link"]


def _hardware(_here: Here, _words: list[str]) -> list[str]:
    return [
        "HW Platform       : VMware Virtual Machine",
        "Processors        : 2",
        "Type              : Intel(R) Xeon(R) CPU E7- 2830  @ 2.13GHz",
        "CPU Speed         : 2130",
        "Memory            : 8192 MBytes",
        "Object ID         : 1.3.6.1.4.1.9.1.1348",
        "OS Version        : UCOS 7.0.0.0-3.i386",
        "Serial Number     : VMware-42 3a",
        "",
        "RAID Version      :",
        "No RAID controller information is available",
    ]


def _load(here: Here, words: list[str]) -> list[str]:
    number = words[words.index("num") + 1] if "num" in words[:-1] else "10"
    count = len(_PROCESSES) if number == "all" else int(number)
    head = [
        f"top - {here.local:%H:%M:%S} up 23 days,  8:12,  1 user,  load average: 0.51, 0.40, 0.33",
        "Tasks: 242 total,   1 running, 241 sleeping,   0 stopped,   0 zombie",
        "%Cpu(s):  3.0 us,  9.1 sy,  3.0 ni, 84.8 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st",
        "  PID USER      PR  NI    VIRT    RES    SHR S  %CPU %MEM     TIME+ COMMAND",
    ]
    rows = [
        f"{4000 + at:5d} ccmbase   20   0  438004 122292  22996 S   6.2  2.1 2429:19 {name}"
        for at, name in enumerate(_PROCESSES[:count])
    ]
    return [*head, *rows]


def _no_hardware_memory(_here: Here, _words: list[str]) -> list[str]:
    """The lab's nodes are virtual machines."""
    raise Refused("The command is not supported on this platform", texts.UNSUCCESSFUL)


def _packages(_here: Here, words: list[str]) -> list[str]:
    found = [name for name in _PACKAGES if words[0] in ("*", name)]
    return [f"{name}-{VERSION}" for name in found] or [f"No package {words[0]} is installed"]


def _date(here: Here, _words: list[str]) -> list[str]:
    return [f"{here.local:%a %b %d %H:%M:%S %Z %Y}"]


def _ntp(here: Here, _words: list[str]) -> list[str]:
    server, stratum = "127.1.0.250", 2
    if here.member.number != 1:  # subscribers follow the publisher
        server, stratum = here.members[0].address, 3
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
        f"Current time in UTC is : {here.now.astimezone(UTC):%a %b %d %H:%M:%S UTC %Y}",
        f"Current time in {here.zone} is : {here.local:%a %b %d %H:%M:%S %Z %Y}",
    ]


def _runtimestate(here: Here, _words: list[str]) -> list[str]:
    count = len(here.members)
    rows = [
        f"{one.host:<24} {one.address:<17} {0.016 * one.number:<9.3f} Y/Y/Y     0        "
        f"(g_{one.number + 1})          (2) Setup Completed"
        for one in here.members
    ]
    return [
        "",
        f"Server Time: {here.local:%a %b %d %H:%M:%S %Z %Y}",
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
        f"Cluster Detailed View from {here.member.host} ({count} Servers):",
        "",
        "                         PING      DB/RPC/   REPL.    Replication    REPLICATION SETUP",
        "SERVER-NAME   IP ADDRESS   (msec)    DbMon?    QUEUE    Group ID       (RTMT) & Details",
        "-----------   ----------   ------    -------   -----    -----------    --------------",
        *rows,
    ]


def _diagnose(_here: Here, _words: list[str]) -> list[str]:
    return [
        "Log file: platform/log/diag1.log",
        "",
        "Starting diagnostic test(s)",
        "===========================",
        "test - disk_space          : Passed (available: 18706 MB, used: 18370 MB)",
        "skip - disk_files          : This module must be run directly and off hours",
        "test - service_manager     : Passed",
        "test - ntp_reachability    : Passed",
        "",
        "Diagnostics Completed",
    ]


def _cores(_here: Here, _words: list[str]) -> list[str]:
    return ["No core files found"]


# name -> mandatory parameters, all parameters, what it prints
REPORTS: dict[str, tuple[int, int, Report]] = {
    "show version inactive": (0, 0, _version_inactive),
    "show network eth0": (0, 3, _eth0),
    "show network route": (0, 3, _route),
    "show hardware": (0, 0, _hardware),
    "show process load": (0, 8, _load),
    "show memory count": (0, 0, _no_hardware_memory),
    "show memory modules": (0, 1, _no_hardware_memory),
    "show memory size": (0, 0, _no_hardware_memory),
    "show packages active": (1, 2, _packages),
    "show date": (0, 0, _date),
    "utils ntp status": (0, 0, _ntp),
    "utils dbreplication runtimestate": (0, 1, _runtimestate),
    "utils diagnose test": (0, 0, _diagnose),
    "utils core active list": (0, 0, _cores),
}
