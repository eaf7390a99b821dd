"""PURE. What the node prints for commands other than `file get`.

The texts are those of `vos/NODES.md`. Where that says "unknown", they are plausible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from cucmd.lab import texts
from cucmd.lab.selection import Entry, Get
from cucmd.lab.tree import ROOTS, VirtualFile, blocks

VERSION = "12.5.1.15900-66"
_FOR_LOGS = 65694968  # KiB of the partition for logs that files can have


class Member(msgspec.Struct, frozen=True):
    """A node as its cluster knows it; number 1 is the publisher."""

    number: int
    address: str

    @property
    def host(self) -> str:
        return "cucm-pub" if self.number == 1 else f"cucm-sub{self.number - 1}"


def network_cluster(members: Sequence[Member], here: Member) -> list[str]:
    """`show network cluster` on the node `here`. Only the publisher prints the second table."""
    lines = [_cluster_line(member, member == here) for member in members]
    if here.number != 1:
        return [*lines, ""]
    return [*lines, "", texts.SERVER_TABLE, texts.SERVER_TABLE_RULE, *(m.address for m in members)]


def with_strangers(lines: Sequence[str], count: int) -> list[str]:
    """The answer of a publisher that names machines which are not of its cluster."""
    strangers = [Member(number + 900, f"127.66.0.{number}") for number in range(1, count + 1)]
    return [*(_cluster_line(one, False) for one in strangers), *lines]


def other_table(members: Sequence[Member]) -> list[str]:
    """The same nodes in a form that is not known (vos/NODES.md, section 6.2), with noise in it."""
    rows = [f"{one.number}     {one.host}     {one.address}      Hub" for one in members]
    return ["ID    Hostname      IPv4          Hub/Spoke", "==    ========", *rows, "\x1b[31m#\x07"]


def _cluster_line(member: Member, local: bool) -> str:
    role, base = ("Publisher", "DBPub") if member.number == 1 else ("Subscriber", "DBSub")
    since = "" if local else " using TCP since Mon Nov  2 02:11:34 2026"
    name = f"{member.address} {member.host}.lab.example {member.host}"
    return f"{name} {role} callmanager {base} authenticated{since}"


def version_active() -> list[str]:
    return [texts.ACTIVE_VERSION.format(version=VERSION), texts.NO_OPTIONS]


def status(here: Member, now: datetime, zone: tzinfo, used: float) -> list[str]:
    """`used`: percent of the partition for logs."""
    taken = int(_FOR_LOGS * used / 100)
    local = now.astimezone(zone)
    return [
        "",
        f"Host Name          : {here.host}",
        f"Date               : {local:%a %b %d, %Y %H:%M:%S}",
        f"Time Zone          : {_zone_name(local)} ({zone})",
        "Locale             : en_US.UTF-8",
        f"Product Ver        : {VERSION}",
        "Unified OS Version : 7.0.0.0-3",
        "",
        "Uptime:",
        f" {local:%H:%M:%S} up 23 days,  8:12,  1 user,  load average: 0.51, 0.40, 0.33",
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
        f"Disk/logging        69234984K {_FOR_LOGS - taken:>14}K {taken:>14}K ({used:.0f}%)",
        "",
    ]


def timezone_config(now: datetime, zone: tzinfo) -> list[str]:
    return [f"Current timezone: {_zone_name(now.astimezone(zone))} ({zone})"]


def _zone_name(local: datetime) -> str:
    offset = local.strftime("%z")
    return f"{local.tzname()} (GMT{offset[:3]}:{offset[3:]})"


def service_list() -> list[str]:
    return [
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
        "Cisco HCS Admin UI[STOPPED]  Component is not running",
        "Cisco Dialed Number Analyzer[STOPPED]  Service Not Activated ",
        "Primary Node =true",
    ]


def file_search(
    get: Get, files: Sequence[VirtualFile], pattern: re.Pattern[str], node: int
) -> list[str]:
    """As vos/NODES.md, section 6.9, says it: with several files each line has its file's name."""
    root = ROOTS[get.location]
    lines = [texts.SEARCHING_PATH.format(root=root, path=get.spec.strip("/"))]
    for file in files:
        lines.append(texts.SEARCHING_FILE.format(root=root, path=file.path))
        begin = f"/var/log/{root}/{file.path}:" if len(files) > 1 else ""
        first = next(blocks(node, file.path, file.size), b"").decode()
        lines += [begin + line for line in first.splitlines() if pattern.search(line)]
    return [*lines, texts.SEARCHED]


def file_list(entries: Sequence[Entry], zone: tzinfo, *, detail: bool) -> list[str]:
    """Columns as in vos/NODES.md, section 6.1: with `detail` the name starts in column 35, else at
    0 and 40.
    """
    folders = sum(entry.size is None for entry in entries)
    footer = texts.LIST_FOOTER.format(directories=folders, files=len(entries) - folders)
    lines = [_detail(entry, zone) for entry in entries] if detail else _two_columns(entries)
    return [*lines, footer]


def _detail(entry: Entry, zone: tzinfo) -> str:
    when = entry.modified.astimezone(zone)
    size = "<dir>" if entry.size is None else f"{entry.size:,}"
    return f"{when:%d %b,%Y %H:%M:%S}{size:>13}  {entry.name}"


def _two_columns(entries: Sequence[Entry]) -> list[str]:
    names = [f"<dir>   {entry.name}" if entry.size is None else entry.name for entry in entries]
    pairs = [names[i : i + 2] for i in range(0, len(names), 2)]
    return [f"{pair[0]:<40}{pair[1]}" if len(pair) == 2 else pair[0] for pair in pairs]
