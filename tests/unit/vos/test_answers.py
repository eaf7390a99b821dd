"""What is read of the answers of `show status`, of services, of NTP and of the replication."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.cluster import ReplicationServer, parse_runtimestate
from cucmd.vos.forms import FORMS
from cucmd.vos.services import (
    NtpPeer,
    NtpStatus,
    Service,
    ServiceList,
    parse_ntp_status,
    parse_service_list,
)
from cucmd.vos.status import Disk, Machine, parse_machine
from rig.tries import split_places
from unit.vos.test_records import SAMPLES as RECORDS

PARSERS = {
    " ".join([form.head, *("tomcat" for _ in form.slots)]): form.parser
    for form in FORMS
    if form.parser is not None
}

STATUS = """
Host Name          : ucm-a
Date               : Tue Nov 24, 2026 09:41:12
Time Zone          : Central European Time (Europe/Berlin)
Locale             : en_US.UTF-8
Product Ver        : 14.0.1.13900-155
Unified OS Version : 7.0.0.0-4

Uptime:
 09:41:13 up 12 days,  3:04,  2 users,  load average: 0.75, 1.10, 12.00

CPU Idle:   81.02%  System:   06.10%    User:   12.38%
  IOWAIT:   00.40%     IRQ:   00.00%    Soft:   00.10%

Memory Total:        5945116K
        Free:         148872K
        Used:        4111244K
      Cached:         998788K
      Shared:         470380K
     Buffers:        1685000K

                        Total            Free            Used
Disk/active         17921776K        3991112K       13730872K (78%)
Disk/logging        62681844K       28513908K       30960820K (53%)
""".splitlines()

SERVICES = """
Requesting service status, please wait...
System SSH [STARTED]
Cluster Manager [STARTED]
Cisco CallManager[STARTED]
SOAP -Log Collection APIs[STARTED]
Cisco DirSync[STOPPED]  Service Not Activated
Cisco CTIManager[STOPPED]  Commanded Out of Service
Cisco Tftp[STARTING]
Primary Node =true
""".splitlines()

NTP = """
ntpd (pid 4711) is running...

     remote           refid      st t when poll reach   delay   offset  jitter
==============================================================================
*192.0.2.10      .GPS.            1 u  123 1024  377    0.262   -2.591   3.260
+ntp2.example.or 192.0.2.10       2 u  12m   64    1   11.724    0.021   0.064
 LOCAL(0)        .LOCL.          10 l    -   64    0    0.000    0.000   0.000

synchronised to NTP server (192.0.2.10) at stratum 2
   time correct to within 32 ms
   polling server every 1024 s

Current time in UTC is : Tue Nov 24 08:41:20 UTC 2026
Current time in Europe/Berlin is : Tue Nov 24 09:41:20 CET 2026
""".splitlines()

REPLICATION = """
Server Time: Tue Nov 24 09:41:30 CET 2026

Cluster Replication State: Replication status command started at: 2026-11-24-09-12
     Replication status command COMPLETED. Checked 754 tables out of 754
     Last Completed Table: functionrole
     No Errors or Mismatches found.

     Use 'file view activelog cm/trace/dbl/sdi/ReplicationStatus.out' to see the details


DB Version: ccm14_0_1_13900_155

Repltimeout set to: 300s
PROCESS option set to: 1


Cluster Detailed View from ucm-a (3 Servers):

                                  PING      DB/RPC/   REPL.    Replication    REPLICATION SETUP
SERVER-NAME     IP ADDRESS        (msec)    DbMon?    QUEUE    Group ID       (RTMT) & Details
-----------     ----------        ------    -------   -----    -----------    ------------------
ucm-a           192.0.2.1         0.045     Y/Y/Y     0        (g_2)          (2) Setup Completed
ucm-b           192.0.2.2         1.711     Y/N/Y     391694   (g_3)          (3) Out Of Sync
ucm-c           192.0.2.3         Failed    N/N/N     --       (g_4)          (0) Not Setup
""".splitlines()

OLD_REPLICATION = """
DDB and Replication Services: ALL RUNNING

DB CLI Status: No other dbreplication CLI is running...

Cluster Replication State: BROADCAST SYNC Completed on 1 servers at: 2013-09-26-15-18
     Sync Errors: NO ERRORS

DB Version: ccm9_0_1_10000_9000
Number of replicated tables: 257
Repltimeout set to: 300s

Cluster Detailed View from PUB (2 Servers):

                         PING        REPLICATION REPL. DBver& REPL. REPLICATION SETUP
SERVER-NAME IP ADDRESS   (msec) RPC? STATUS      QUEUE TABLES LOOP? (RTMT) & details
----------- ------------ ------ ---- ----------- ----- ------ ----- -----------------
old-a       192.0.2.17   0.052  Yes  Connected   0     match  Yes   (2) PUB Setup Completed
old-b       192.0.2.14   0.166  Yes  Connected   0     match  Yes   (2) Setup Completed
""".splitlines()

SAMPLES = {
    "show status": STATUS,
    "utils service list": SERVICES,
    "utils ntp status": NTP,
    "utils dbreplication runtimestate": REPLICATION,
    **RECORDS,
}
UNKNOWN = "a line that no node has printed so far"


def test_the_state_of_a_machine() -> None:
    machine = parse_machine(STATUS)
    assert machine == Machine(
        host="ucm-a",
        date="Tue Nov 24, 2026 09:41:12",
        time_zone="Central European Time (Europe/Berlin)",
        locale="en_US.UTF-8",
        version="14.0.1.13900-155",
        os_version="7.0.0.0-4",
        uptime="12 days, 3:04",
        load=(0.75, 1.1, 12.0),
        cpu={
            "idle": 81.02,
            "system": 6.1,
            "user": 12.38,
            "iowait": 0.4,
            "irq": 0.0,
            "soft": 0.1,
        },
        memory={
            "total": 5945116 * 1024,
            "free": 148872 * 1024,
            "used": 4111244 * 1024,
            "cached": 998788 * 1024,
            "shared": 470380 * 1024,
            "buffers": 1685000 * 1024,
        },
        disks=(
            Disk("active", 17921776 * 1024, 3991112 * 1024, 13730872 * 1024, 78),
            Disk("logging", 62681844 * 1024, 28513908 * 1024, 30960820 * 1024, 53),
        ),
    )


def test_services_with_their_states_and_what_stands_behind_them() -> None:
    listed = parse_service_list(SERVICES)
    assert listed == ServiceList(
        (
            Service("System SSH", "STARTED"),
            Service("Cluster Manager", "STARTED"),
            Service("Cisco CallManager", "STARTED"),
            Service("SOAP -Log Collection APIs", "STARTED"),
            Service("Cisco DirSync", "STOPPED", "Service Not Activated"),
            Service("Cisco CTIManager", "STOPPED", "Commanded Out of Service"),
            Service("Cisco Tftp", "STARTING"),
        ),
        primary=True,
        others=("Requesting service status, please wait...",),
    )


def test_two_services_on_one_line_are_not_guessed_at() -> None:
    line = "Cisco RTMT Reporter Servlet[STARTED] Cisco Speechserver[STARTED]"
    assert parse_service_list([line]) == ServiceList((), others=(line,))


def test_what_a_node_follows_for_its_time() -> None:
    status = parse_ntp_status(NTP)
    first = NtpPeer("*", "192.0.2.10", ".GPS.", 1, "u", "123", 1024, "377", 0.262, -2.591, 3.26)
    assert status.peers[0] == first
    assert [(peer.tally, peer.remote, peer.when) for peer in status.peers[1:]] == [
        ("+", "ntp2.example.or", "12m"),
        ("", "LOCAL(0)", "-"),
    ]
    assert msgspec.structs.replace(status, peers=()) == NtpStatus(
        pid=4711,
        synchronised=True,
        server="192.0.2.10",
        stratum=2,
        within_ms=32,
        poll_seconds=1024,
        times={
            "UTC": "Tue Nov 24 08:41:20 UTC 2026",
            "Europe/Berlin": "Tue Nov 24 09:41:20 CET 2026",
        },
    )


def test_a_node_in_utc_says_its_time_twice() -> None:
    same, other = (
        f"Current time in UTC is : Tue Nov 24 08:41:{second} UTC 2026" for second in (1, 2)
    )
    status = parse_ntp_status([same, same, other])
    assert status.times == {"UTC": "Tue Nov 24 08:41:1 UTC 2026"}
    assert status.others == (other,)


def test_a_clock_that_follows_nobody() -> None:
    said = ["ntpd (pid 1) is running...", "unsynchronised", "  time server re-starting"]
    status = parse_ntp_status([*said, "   polling server every 64 s"])
    assert (status.synchronised, status.server, status.poll_seconds) == (False, None, 64)
    assert (status.restarting, status.others) == (True, ())
    assert not parse_ntp_status(NTP).restarting


def test_what_a_node_with_chronyd_follows() -> None:
    rows = {
        "^* 192.0.2.10                    3   6   377    20    -12us[ -15us] +/-   20ms": (
            NtpPeer("*", "192.0.2.10", None, 3, "^", "20", 64, "377", None, 0.012, None)
        ),
        "^? ntp9.example.net              0  10     0     -     +0ns[   +0ns] +/-    0ns": (
            NtpPeer("?", "ntp9.example.net", None, 0, "^", "-", 1024, "0", None, 0.0, None)
        ),
        "^x 2001:db8::7                   1   6    17   12m   -1.5s[-1501ms] +/-  1.2s": (
            NtpPeer("x", "2001:db8::7", None, 1, "^", "12m", 64, "17", None, 1500.0, None)
        ),
    }
    status = parse_ntp_status(
        [
            "chronyd (pid 812) is running...",
            "",
            "MS Name/IP address         Stratum Poll Reach LastRx Last sample",
            "=" * 79,
            *rows,
            "synchronized to NTP server (192.0.2.10) at stratum 4",
        ]
    )
    assert status == NtpStatus(
        pid=812, synchronised=True, server="192.0.2.10", stratum=4, peers=tuple(rows.values())
    )


@pytest.mark.parametrize(
    "line",
    [
        "^* 192.0.2.10  3   6   378    20    -12us[ -15us] +/-   20ms",
        "^! 192.0.2.10  3   6   377    20    -12us[ -15us] +/-   20ms",
        "^* 192.0.2.10  3  64   377    20    -12us[ -15us] +/-   20ms",
        "^* 192.0.2.10  3   6   377    20    -12us",
        "^* 192.0.2.10  3   6   377    20    -12ks[ -15us] +/-   20ms",
    ],
)
def test_a_line_that_chronyd_does_not_print_is_kept(line: str) -> None:
    assert parse_ntp_status([line]) == NtpStatus(others=(line,))


def test_the_replication_server_by_server() -> None:
    state = parse_runtimestate(REPLICATION)
    assert state.servers == (
        ReplicationServer("ucm-a", "192.0.2.1", 0.045, "Y/Y/Y", 0, "g_2", 2, "Setup Completed"),
        ReplicationServer("ucm-b", "192.0.2.2", 1.711, "Y/N/Y", 391694, "g_3", 3, "Out Of Sync"),
        ReplicationServer("ucm-c", "192.0.2.3", None, "N/N/N", None, "g_4", 0, "Not Setup"),
    )
    assert (state.seen_from, state.count, state.version) == ("ucm-a", 3, "ccm14_0_1_13900_155")
    assert state.state == "Replication status command started at: 2026-11-24-09-12"
    assert state.details[2] == "No Errors or Mismatches found."
    assert (state.repltimeout, state.process_option, state.others) == ("300s", "1", ())


def test_the_replication_of_an_old_release() -> None:
    state = parse_runtimestate(OLD_REPLICATION)
    assert [(server.name, server.code, server.group) for server in state.servers] == [
        ("old-a", 2, None),
        ("old-b", 2, None),
    ]
    assert state.servers[0].checks == "Yes Connected match Yes"
    assert (state.services, state.tables, state.others) == ("ALL RUNNING", "257", ())
    of_8_6 = parse_runtimestate(["DB and Replication Services: ALL RUNNING"])
    assert of_8_6.services == "ALL RUNNING"


@pytest.mark.parametrize(
    ("rpc", "code", "details"), [("Yes", 2, "Setup Completed"), ("No", 4, None)]
)
def test_the_replication_of_10_0_has_neither_a_queue_nor_all_checks(
    rpc: str, code: int, details: str | None
) -> None:
    lines = [
        "Cluster Detailed View from new-a (1 Servers):",
        "",
        "                        PING       Replication  REPLICATION SETUP",
        "SERVER-NAME IP ADDRESS (msec) RPC? Group ID     (RTMT) & Details",
        "----------- ---------- ------ ---- ----------- -------------------",
        f"new-a       192.0.2.31 0.052  {rpc}  \t\t(g_2) \t\t({code}) {details or ''}",
    ]
    state = parse_runtimestate(lines)
    assert state.servers == (
        ReplicationServer("new-a", "192.0.2.31", 0.052, rpc, None, "g_2", code, details),
    )
    assert state.others == ()


def test_a_node_without_another_one_replicates_nothing() -> None:
    said = "Runtime state cannot be performed on a cluster with a single active node"
    state = parse_runtimestate([f"{said}; aborting operation", UNKNOWN])
    assert (state.single, state.servers, state.others) == (True, (), (UNKNOWN,))
    assert not vos.is_refusal([said])
    assert not parse_runtimestate(REPLICATION).single


@pytest.mark.parametrize("head", SAMPLES)
def test_an_unknown_line_is_kept_wherever_it_stands(head: str) -> None:
    lines, parse = SAMPLES[head], PARSERS[head]
    expected = msgspec.to_builtins(parse(lines))
    for at in range(len(lines) + 1):
        found = msgspec.to_builtins(parse([*lines[:at], UNKNOWN, *lines[at:]]))
        assert UNKNOWN in found["others"]
        found["others"] = [line for line in found["others"] if line != UNKNOWN]
        assert found == {**expected, "others": list(expected["others"])}


@pytest.mark.parametrize("head", SAMPLES)
def test_an_answer_is_the_same_at_every_split_of_its_bytes(head: str) -> None:
    expected = PARSERS[head](SAMPLES[head])
    data = b"\r\n".join([head.encode(), *(line.encode() for line in SAMPLES[head]), b"", b"admin:"])
    for cut in split_places(len(data)):
        cli = vos.Cli()
        cli.receive(b"admin:")
        cli.quiet()
        cli.command(head)
        for part in (data[:cut], data[cut:]):
            cli.receive(part)
        (done,) = cli.quiet()
        assert isinstance(done, vos.CommandDone)
        assert PARSERS[head](done.lines) == expected


_LINES = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.sampled_from([line for lines in (*SAMPLES.values(), OLD_REPLICATION) for line in lines]),
        st.from_regex(r" {0,3}[A-Za-z/ ]{0,12}[:\[(=]? ?[0-9A-Z.%K()\]/-]{0,20}", fullmatch=True),
    ),
    max_size=30,
)


@given(st.sampled_from(sorted(PARSERS)), _LINES)
def test_no_garbage_stops_a_parser_and_all_of_it_is_json(head: str, lines: list[str]) -> None:
    fields = msgspec.to_builtins(PARSERS[head](lines))
    encoded = msgspec.json.encode(fields)
    assert msgspec.json.encode(msgspec.json.decode(encoded)) == encoded
    assert Counter(fields["others"]) <= Counter(lines)


def test_a_line_without_end_costs_no_time() -> None:
    blanks = " " * 8000
    long = [f"Host Name :{blanks}x", f"x{blanks}[A]{blanks}x", f"Disk/x{blanks}1K", "1" * 8000]
    for parse in PARSERS.values():
        found = msgspec.to_builtins(parse(long * 250))  # 8 MB, of at most 16
        assert len(found["others"]) == 1000


@pytest.mark.parametrize("line", ["", "x", "x" * 9000])
def test_no_more_than_a_limit_is_read_of_an_answer(line: str) -> None:
    assert len(vos.take_parsable([line] * 200_000)) <= 1024
