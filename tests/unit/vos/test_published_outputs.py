"""Published outputs of real nodes, each through its parser.

published_outputs.txt has them in our own wording, each with its source. test_published_dialogues.py
has those of `file get`, and reading/test_stamps.py those of traces.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from cucmd import vos
from cucmd.vos.dialogue_events import Event
from rig.tries import split_places
from unit.vos.outputs import OUTPUTS, Output

NOT_YET = "not authenticated - INITIATOR since Thu May 2 10:00:07 2019"
SETUP = "(2) Setup Completed"

# The facts that must be read: a field, or one field of each struct in it.
READ: dict[str, dict[str, Any]] = {
    "cluster 10.5, publisher": {
        "nodes.address": ["198.51.100.21", "198.51.100.20"],
        "nodes.here": [False, True],
    },
    "cluster 15, hosted": {
        "nodes.product": ["callmanager", "cups", "cups", "callmanager"],
        "nodes.role": ["Subscriber", "Subscriber", "Subscriber", "Publisher"],
    },
    "cluster of Emergency Responder": {
        "nodes.product": ["callmanager", "ciscoer"],
        "others": ["Successful"],
    },
    "cluster, asked of IM and Presence": {
        "nodes.here": [True, False, False],
        "nodes.fqdn": ["imp-p.example.org", "imp-s.example.org", "ucm-p.example.org"],
    },
    "cluster of an old release, one not authenticated": {
        "nodes.name": ["bdcmpub", "sycmsub6", "bdcmtftp1", "bdcmsub7"],
        "nodes.product": [""] * 4,
        "nodes.unauthenticated": [None, None, NOT_YET, None],
        "nodes.here": [True, False, False, False],
    },
    "version 15": {"version": "15.0.1.12900-40"},
    "replication 14": {
        "servers.code": [2, 2],
        "servers.queue": [0, 412],
        "servers.group": ["g_2", "g_5"],
        "state": "BROADCAST SYNC ended at: 2022-01-19-09-30",
        "seen_from": "ucm1.lab.example.com",
        "count": 2,
        "version": "ccm14_0_1_11900_132",
        "repltimeout": "300s",
        "process_option": "1",
        "servers.ping_ms": [0.031, 0.188],
    },
    "replication 15, a status command runs": {
        "server_time": "Tue Feb  3 05:40:09 -05 2026",
        "servers.code": [2, 3],
        "servers.checks": ["Y/Y/Y", "Y/N/Y"],
        "servers.details": ["Setup Completed", "DB Active-Failed"],
    },
    "replication 9": {
        "services": "ALL RUNNING",
        "tables": "257",
        "servers.details": ["PUB Setup Completed", "Setup Completed"],
        "servers.checks": ["Yes Connected match Yes"] * 2,
    },
    "replication 8.6 of IM and Presence": {
        "services": "ALL RUNNING",
        "servers.name": ["imp900118", "imp900120"],
        "servers.queue": [0, 96],
    },
    "replication 10.0": {
        "servers.name": ["new-pub", "new-sub1"],
        "servers.ping_ms": [0.052, 0.31],
        "servers.checks": ["Yes", "Yes"],
        "servers.queue": [None, None],
        "servers.group": ["g_2", "g_3"],
        "servers.code": [2, 2],
    },
    "replication of IM and Presence, the table alone": {
        "seen_from": "IMP-A",
        "count": 2,
        "servers.ping_ms": [0.041, 0.275],
    },
    "replication of a single node": {"single": True, "servers": []},
    "ntp 10.5, publisher": {
        "synchronised": True,
        "server": "198.51.100.1",
        "stratum": 3,
        "within_ms": 41,
        "poll_seconds": 1024,
        "peers.tally": ["*"],
        "peers.refid": ["LOCAL(1)"],
        "peers.when": ["611"],
        "peers.reach": ["377"],
        "peers.delay": [0.31],
        "peers.offset": [1.774],
        "peers.jitter": [2.905],
        "times": {
            "UTC": "Tue Jan 8 11:20:17 UTC 2019",
            "America/Mexico_City": "Tue Jan 8 05:20:17 CST 2019",
        },
    },
    "ntp 11.5, unsynchronised": {
        "synchronised": False,
        "restarting": False,
        "peers.tally": [""],
        "poll_seconds": 8,
    },
    "ntp, restarting": {"synchronised": False, "restarting": True, "peers.refid": [".INIT."]},
    "ntp 10.5, restarting, no table": {
        "pid": 11042,
        "synchronised": False,
        "restarting": True,
        "peers": [],
    },
    "ntp 15, chronyd": {
        "pid": 1931,
        "stratum": 3,
        "peers.tally": ["*", "?"],
        "peers.remote": ["192.0.2.10", "ntp-none.example.net"],
        "peers.offset": [-0.031, 0.0],
        "peers.poll": [128, 256],
    },
    "services that were stopped": {
        "services.state": ["STOPPED", "STARTED", "STOPPED"],
        "services.note": ["Commanded Out of Service", None, "Commanded Out of Service"],
    },
    "services of HCM-F": {
        "services.name": [
            "System SSH",
            "Name Service Cache",
            "Service Manager",
            "Cisco Audit Event Service",
            "Cisco HCS Fulfillment",
            "Cisco HCS License Manager",
        ],
        "services.state": ["STARTED", "STOPPED", "STARTED", "STARTED", "STOPPED", "STOPPED"],
    },
    "status 10.0": {"disks.used_percent": [59, 1, 32], "version": "10.0.1.10000-24"},
    "status 12.5": {
        "date": "Sat Oct 14, 2023 06:02:59",
        "locale": "en_US.UTF-8",
        "os_version": "7.0.0.0-4",
        "load": [1.9, 1.02, 0.77],
        "cpu": {
            **{"idle": 88.4, "system": 6.02, "user": 5.1},
            **{"iowait": 0.48, "irq": 0.0, "soft": 0.0},
        },
        "memory": {
            **{"total": 8181817344, "free": 147578880, "used": 3993614336},
            **{"cached": 3266605056, "shared": 496001024, "buffers": 4040624128},
        },
        "disks.name": ["active", "inactive", "logging"],
        "disks.total": [20280741888, 20280741888, 70896623616],
        "disks.free": [6248697856, 6760374272, 4099287040],
        "disks.used": [13807861760, 13296185344, 63172360192],
        "disks.used_percent": [69, 67, 94],
        "time_zone": "Central Daylight Time (America/Mexico_City)",
        "uptime": "155 days, 13:54",
    },
    "files of a folder, indented": {
        "files.name": ["cdrrepThreadDump.log", "cdrrepmgr.bin", "cdrrepmgr00081.log"],
        "files.size": [0, 36, 1_120_033],
    },
    "core files": {
        "files.process": ["ccm", "CTIManager"],
        "files.modified": ["2017-02-14T04:40:51", "2019-05-02T10:01:33"],
        "none": False,
    },
    "high availability, not enabled": {
        "nodes.state": ["Unknown", "Unknown"],
        "nodes.reason": ["High Availability Not Enabled"] * 2,
    },
    "high availability, failed over": {
        "nodes.name": ["imp-one", "imp-two"],
        "nodes.state": [
            "Failed Over with Critical Services not Running",
            "Running in Backup Mode",
        ],
        "nodes.reason": ["Critical Service Down"] * 2,
    },
    "counters of the memory": {
        "counters.name": ["% Mem Used", "% VM Used", "Buffers KBytes", "Page Faults Per Sec"],
        "counters.value": [48, 57, 300128, 0],
        "counters.instance": [None] * 4,
    },
    "diagnosis 11.5": {},  # no parser
}
# Outputs with lines that no parser reads. All other outputs are read completely.
PARTLY_READ = {
    *("cluster of Emergency Responder", "version 15", "services of HCM-F"),
    *("files of a folder, indented", "diagnosis 11.5"),
}


def fields_of(command: str, lines: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Returns the parsed lines as JSON, which is empty without a parser."""
    read: object = {}
    if command.startswith("file list"):
        read = {"files": vos.parse_file_list(lines)}
    elif parser := vos.parse_command(command).parser:
        read = parser(lines)
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(read))
    return fields


def facts(fields: dict[str, Any], names: list[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        field, _, column = name.partition(".")
        value = fields[field]
        found[name] = [row[column] for row in value] if column else value
    return found


def run(output: Output, *parts: bytes) -> tuple[list[Event], list[float | None]]:
    """Returns the events of a node that sends these parts, and `quiet_after` after each part."""
    cli = vos.Cli()
    cli.receive(b"admin:")
    cli.quiet()
    cli.run(vos.parse_command(output.command))
    events: list[Event] = []
    silences = []
    for part in parts:
        events += cli.receive(part)
        silences.append(cli.quiet_after)
    return [*events, *cli.quiet()], silences


def test_each_output_has_source_and_facts() -> None:
    assert list(OUTPUTS) == list(READ)
    assert all(output.source for output in OUTPUTS.values())


@pytest.mark.parametrize("name", READ)
def test_facts(name: str) -> None:
    output = OUTPUTS[name]
    fields = fields_of(output.command, output.lines)
    assert facts(fields, list(READ[name])) == READ[name]
    assert name in PARTLY_READ or fields["others"] == []
    assert not vos.is_refusal(output.lines)


@pytest.mark.parametrize("name", READ)
def test_facts_at_every_split(name: str) -> None:
    output = OUTPUTS[name]
    data = "\r\n".join([output.command, *output.lines, "admin:"]).encode()
    (expected,), _ = run(output, data)
    assert isinstance(expected, vos.CommandDone)
    assert facts(fields_of(output.command, expected.lines), list(READ[name])) == READ[name]
    for cut in split_places(len(data)):
        assert run(output, data[:cut], data[cut:])[0] == [expected]
    lines = data.splitlines(keepends=True)
    events, silences = run(output, *lines)
    assert events == [expected]
    assert silences[:-1] == [None] * (len(lines) - 1), "a node may fall silent between two lines"


@pytest.mark.parametrize("name", READ)
def test_very_long_lines_are_kept(name: str) -> None:
    output = OUTPUTS[name]
    nothing = fields_of(output.command, [])
    for line in filter(str.strip, output.lines):
        wide = re.sub(r"(?<=\S)\s+(?=\S)", " " * 4000, line)
        for long in (wide if len(wide) > 4000 else line + "x" * 4000, line * 400):
            fields = fields_of(output.command, [long])
            assert fields.pop("others", [long]) in ([long], [])  # a wide heading is left out
            assert fields == {field: nothing[field] for field in fields}
