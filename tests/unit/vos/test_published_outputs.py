"""Outputs of real nodes in the forms in which they were published, each through its parser.

They stand in published_outputs.txt, in our own wording, each with its source. Those of `file get`
are in test_published_dialogues.py, those of traces in reading/test_stamps.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.dialogue_events import Event
from cucmd.vos.forms import MOST_READ
from rig.tries import split_places

NOT_YET = "not authenticated - INITIATOR since Thu May 2 10:00:07 2019"
SETUP = "(2) Setup Completed"

# What must be read: a field, or one field of each struct in it.
READ: dict[str, dict[str, Any]] = {
    "cluster 10.5, publisher": {
        "nodes.address": ["198.51.100.21", "198.51.100.20"],
        "nodes.here": [False, True],
        "others": [],
    },
    "cluster 15, hosted": {
        "nodes.product": ["callmanager", "cups", "cups", "callmanager"],
        "nodes.role": ["Subscriber", "Subscriber", "Subscriber", "Publisher"],
        "others": [],
    },
    "cluster of Emergency Responder": {
        "nodes.product": ["callmanager", "ciscoer"],
        "others": ["Successful"],
    },
    "cluster, asked of IM and Presence": {
        "nodes.here": [True, False, False],
        "nodes.fqdn": ["imp-p.example.org", "imp-s.example.org", "ucm-p.example.org"],
        "others": [],
    },
    "cluster of an old release, one not authenticated": {
        "nodes.name": ["bdcmpub", "sycmsub6", "bdcmtftp1", "bdcmsub7"],
        "nodes.product": [""] * 4,
        "nodes.unauthenticated": [None, None, NOT_YET, None],
        "nodes.here": [True, False, False, False],
        "others": [],
    },
    "version 15": {"version": "15.0.1.12900-40"},
    "replication 14": {
        "servers.code": [2, 2],
        "servers.queue": [0, 412],
        "servers.group": ["g_2", "g_5"],
        "state": "BROADCAST SYNC ended at: 2022-01-19-09-30",
        "seen_from": "ucm1.lab.example.com",
        "others": [],
    },
    "replication 15, a status command runs": {
        "server_time": "Tue Feb  3 05:40:09 -05 2026",
        "servers.code": [2, 3],
        "servers.checks": ["Y/Y/Y", "Y/N/Y"],
        "servers.details": ["Setup Completed", "DB Active-Failed"],
        "others": [],
    },
    "replication 9": {
        "services": "ALL RUNNING",
        "tables": "257",
        "servers.details": ["PUB Setup Completed", "Setup Completed"],
        "servers.checks": ["Yes Connected match Yes"] * 2,
        "others": [],
    },
    "replication 8.6 of IM and Presence": {
        "services": "ALL RUNNING",
        "servers.name": ["imp900118", "imp900120"],
        "servers.queue": [0, 96],
        "others": [],
    },
    "replication 10.0": {
        "servers.name": ["new-pub", "new-sub1"],
        "servers.ping_ms": [0.052, 0.31],
        "servers.checks": ["Yes", "Yes"],
        "servers.queue": [None, None],
        "servers.group": ["g_2", "g_3"],
        "servers.code": [2, 2],
        "others": [],
    },
    "replication of IM and Presence, the table alone": {
        "seen_from": "IMP-A",
        "count": 2,
        "servers.ping_ms": [0.041, 0.275],
        "others": [],
    },
    "replication of a single node": {"single": True, "servers": [], "others": []},
    "ntp 10.5, publisher": {
        "synchronised": True,
        "server": "198.51.100.1",
        "stratum": 3,
        "peers.refid": ["LOCAL(1)"],
        "peers.offset": [1.774],
        "others": [],
    },
    "ntp 10.5, subscriber": {"synchronised": True, "stratum": 4, "within_ms": 57, "others": []},
    "ntp 11.5, unsynchronised": {
        "synchronised": False,
        "restarting": False,
        "peers.tally": [""],
        "poll_seconds": 8,
        "others": [],
    },
    "ntp, restarting": {
        "synchronised": False,
        "restarting": True,
        "peers.refid": [".INIT."],
        "others": [],
    },
    "ntp 10.5, restarting, no table": {
        "pid": 11042,
        "synchronised": False,
        "restarting": True,
        "peers": [],
        "others": [],
    },
    "ntp 15, chronyd": {
        "pid": 1931,
        "stratum": 3,
        "peers.tally": ["*", "?"],
        "peers.remote": ["192.0.2.10", "ntp-none.example.net"],
        "peers.offset": [-0.031, 0.0],
        "peers.poll": [128, 256],
        "others": [],
    },
    "services that were stopped": {
        "services.state": ["STOPPED", "STARTED", "STOPPED"],
        "services.note": ["Commanded Out of Service", None, "Commanded Out of Service"],
        "others": [],
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
    "status 10.0": {"disks.used_percent": [59, 1, 32], "version": "10.0.1.10000-24", "others": []},
    "status 12.5": {
        "disks.used_percent": [69, 67, 94],
        "time_zone": "Central Daylight Time (America/Mexico_City)",
        "uptime": "155 days, 13:54",
        "others": [],
    },
    "files of a folder": {"files.name": ["enGui.log", "startup.log"], "files.size": [7118, 51004]},
    "files of a folder, indented": {
        "files.name": ["cdrrepThreadDump.log", "cdrrepmgr.bin", "cdrrepmgr00081.log"],
        "files.size": [0, 36, 1_120_033],
    },
    "core files": {
        "files.process": ["ccm", "CTIManager"],
        "files.modified": ["2017-02-14T04:40:51", "2019-05-02T10:01:33"],
        "none": False,
        "others": [],
    },
    "high availability": {
        "nodes.name": ["imp-one", "imp-two"],
        "nodes.state": ["Normal", "Normal"],
        "nodes.reason": [None, None],
        "others": [],
    },
    "high availability, not enabled": {
        "nodes.state": ["Unknown", "Unknown"],
        "nodes.reason": ["High Availability Not Enabled"] * 2,
        "others": [],
    },
    "high availability, failed over": {
        "nodes.name": ["imp-one", "imp-two"],
        "nodes.state": [
            "Failed Over with Critical Services not Running",
            "Running in Backup Mode",
        ],
        "nodes.reason": ["Critical Service Down"] * 2,
        "others": [],
    },
    "counters of the memory": {
        "counters.name": ["% Mem Used", "% VM Used", "Buffers KBytes", "Page Faults Per Sec"],
        "counters.value": [48, 57, 300128, 0],
        "counters.instance": [None] * 4,
        "others": [],
    },
    "diagnosis 11.5": {},  # no parser
}


class Output(msgspec.Struct, frozen=True):
    source: str
    command: str
    lines: tuple[str, ...]


def published() -> Iterator[tuple[str, Output]]:
    text = Path(__file__).with_name("published_outputs.txt").read_text(encoding="utf-8")
    for part in text.split("\n=== ")[1:]:
        name, source, command, *lines = part.splitlines()
        head, typed = "source: ", "command: "
        assert source.startswith(head) and command.startswith(typed), name  # noqa: PT018
        yield name, Output(source[len(head) :], command[len(typed) :], tuple(lines))


OUTPUTS = dict(published())


def fields_of(command: str, lines: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Returns what is read of the lines, as JSON has it; nothing without a parser."""
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
    """Gives the events of a node that sends these parts, and the silences that count after each."""
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


def as_sent(output: Output, end: str = "\r\n") -> bytes:
    return end.join([output.command, *output.lines, "admin:"]).encode()


def test_each_output_has_a_source_and_what_must_be_read_of_it() -> None:
    assert list(OUTPUTS) == list(READ)
    assert all(output.source for output in OUTPUTS.values())


@pytest.mark.parametrize("name", READ)
def test_what_is_read_of_it(name: str) -> None:
    output = OUTPUTS[name]
    assert facts(fields_of(output.command, output.lines), list(READ[name])) == READ[name]
    assert not vos.is_refusal(output.lines)


@pytest.mark.parametrize("name", READ)
def test_it_is_the_same_at_every_split_of_its_bytes_and_none_is_a_question(name: str) -> None:
    output = OUTPUTS[name]
    data = as_sent(output)
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
@pytest.mark.parametrize("end", ["\n", "\r\r\n"])
def test_line_ends_are_no_part_of_it(name: str, end: str) -> None:
    output = OUTPUTS[name]
    assert run(output, as_sent(output, end))[0] == run(output, as_sent(output))[0]


_PLACES = st.lists(st.tuples(st.floats(0, 0.999), st.text(max_size=3)), min_size=1, max_size=8)


@given(st.sampled_from(sorted(READ)), _PLACES, st.integers(0, 9), st.randoms())
def test_garbled_it_stops_nothing_and_every_line_is_read_or_kept_as_it_is(
    name: str, places: list[tuple[float, str]], lost: int, order: Any
) -> None:
    output = OUTPUTS[name]
    text = "\n".join(output.lines)
    for place, put in places:
        at = int(place * len(text))
        text = text[:at] + put + text[at + lost :]
    lines = text.split("\n")
    if lost % 2:
        order.shuffle(lines)
    kept = fields_of(output.command, lines).get("others", ())
    assert Counter(kept) <= Counter(lines)


@pytest.mark.parametrize("name", READ)
def test_a_line_of_it_that_is_made_very_long_is_no_fact(name: str) -> None:
    output = OUTPUTS[name]
    nothing = fields_of(output.command, [])
    for line in filter(str.strip, output.lines):
        wide = re.sub(r"(?<=\S)\s+(?=\S)", " " * 4000, line)
        for long in (wide if len(wide) > 4000 else line + "x" * 4000, line * 400):
            fields = fields_of(output.command, [long])
            assert fields.pop("others", [long]) in ([long], [])  # a wide heading is left out
            assert fields == {field: nothing[field] for field in fields}


@pytest.mark.parametrize("name", READ)
def test_without_end_it_is_read_to_a_limit_and_the_first_of_it_counts(name: str) -> None:
    output = OUTPUTS[name]
    many = output.lines * (MOST_READ // 64 // len(output.lines) + 1)
    read = vos.take_parsable(many)
    assert len(output.lines) < len(read) < len(many)
    named = [one for one in READ[name] if one != "others"]
    for fact, value in facts(fields_of(output.command, read), named).items():
        first = READ[name][fact]
        assert (value[: len(first)] if isinstance(first, list) else value) == first


# A capture to the screen, in the words of two published ones.
_SCREEN = {
    "Cisco, document 215537, NTP on Unified CM (11.5)": (
        [
            "Executing command with options:",
            " size=128                count=1000              interface=eth0",
            " src=dest=                   port=123",
            " ip=",
            "",
        ],
        "07:30:01.000410 IP ucm-b.example.net.40011 > ucm-a.example.net.ntp: NTPv4 , Client, "
        "length 48",
    ),
    "Cisco, SIP trunks with TLS (Unified CM 9.1)": (
        ["Executing command with options:", "interface=eth0", "ip=192.0.2.200"],
        "11:22:33.000944 IP UCMX.41001 > 192.0.2.200.sip-tls : P 1:1147(1146) ack 1 win 182",
    ),
}


@pytest.mark.parametrize(("options", "packet"), _SCREEN.values(), ids=_SCREEN)
def test_of_a_capture_only_the_packets_are_what_it_said(options: list[str], packet: str) -> None:
    said = [*options, packet, "^C", "Control-C pressed"]
    assert vos.strip_capture_options(said) == (packet,)
