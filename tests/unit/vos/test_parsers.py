"""What holds for every parser of an answer: it loses no line, and never raises."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.cluster_answers import ReplicationState, parse_runtimestate
from cucmd.vos.forms import FORMS
from cucmd.vos.service_answers import parse_ntp_status
from unit.vos.outputs import OUTPUTS
from unit.vos.test_health_records import SAMPLES as RECORDS

PARSERS = {
    " ".join([form.head, *("tomcat" for _ in form.slots)]): form.parser
    for form in FORMS
    if form.parser is not None
}
# The answers that are tried, by names. Each is with its command.
SAMPLES = {command: (command, lines) for command, lines in RECORDS.items()} | {
    name: (output.command, list(output.lines))
    for name, output in OUTPUTS.items()
    if output.command in PARSERS
}
UNKNOWN = "a line that no node has printed so far"


@pytest.mark.parametrize("name", SAMPLES)
def test_keeps_unknown_line_anywhere(name: str) -> None:
    command, lines = SAMPLES[name]
    parse = PARSERS[command]
    expected = msgspec.to_builtins(parse(lines))
    # The second table of `show network cluster` repeats the first, and is not read.
    end = lines.index(vos.texts.SERVER_TABLE) if vos.texts.SERVER_TABLE in lines else len(lines)
    for at in range(end + 1):
        if at and lines[at - 1].rstrip().endswith("Reason:"):
            continue  # whatever follows is the reason
        found = msgspec.to_builtins(parse([*lines[:at], UNKNOWN, *lines[at:]]))
        assert UNKNOWN in found["others"]
        found["others"] = [line for line in found["others"] if line != UNKNOWN]
        assert found == expected | {"others": list(expected["others"])}


_LINES = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.sampled_from([line for _, lines in SAMPLES.values() for line in lines]),
        st.from_regex(r" {0,3}[A-Za-z/ ]{0,12}[:\[(=]? ?[0-9A-Z.%K()\]/-]{0,20}", fullmatch=True),
    ),
    max_size=30,
)


@given(st.sampled_from(sorted(PARSERS)), _LINES)
def test_garbage_is_kept_and_sent(command: str, lines: list[str]) -> None:
    fields = msgspec.to_builtins(PARSERS[command](lines))
    encoded = msgspec.json.encode(fields)
    assert msgspec.json.encode(msgspec.json.decode(encoded)) == encoded
    assert Counter(fields["others"]) <= Counter(lines)


def with_large_numbers(line: str) -> Iterator[str]:
    """Yields the line with one of its numbers made larger, each in turn."""
    for found in re.finditer(r"\d+", line):
        for digits in (15, 19, 40):
            yield f"{line[: found.start()]}{'9' * digits}{line[found.end() :]}"


@pytest.mark.parametrize("name", SAMPLES)
def test_large_numbers_can_be_sent(name: str) -> None:
    command, lines = SAMPLES[name]
    parse = PARSERS[command]
    decoder = msgspec.json.Decoder(get_type_hints(parse)["return"])
    for at, line in enumerate(lines):
        for larger in with_large_numbers(line):
            answer = parse([*lines[:at], larger, *lines[at + 1 :]])
            assert decoder.decode(msgspec.json.encode(answer)) == answer


@pytest.mark.parametrize("line", ["", "x", "x" * 9000])
def test_parses_limited_part_of_answer(line: str) -> None:
    assert len(vos.take_parsable([line] * 200_000)) <= 1024


# Lines that look like a known form, by commands. They must be kept, and not half read.
OTHER_FORMS = {
    vos.SHOW_CLUSTER: (
        "10.0.0.1 a Publisher unauthenticated",
        "10.0.0.1 a Publisher authenticatedly",
        "1      cucm15-pub    10.0.0.1            Publisher   Hub          Y",
        "10.0.0.1 a b c Publisher callmanager DBPub authenticated",
        "10.0.0.1 a Publisher callmanager",
        "10.0.0.1 a Owner callmanager DBPub authenticated",
        "10.0.0.1.5 a a Publisher callmanager DBPub authenticated",
        "0.0.0.0 a a Subscriber callmanager DBSub authenticated",
        "::ffff:0.0.0.0 a a Subscriber callmanager DBSub authenticated",
        "224.0.0.1 a a Subscriber callmanager DBSub authenticated",
        "10.0.0.1 ../../etc a Subscriber callmanager DBSub authenticated",
        "10.0.0.1 a a Subscriber \x1b[31mcallmanager DBSub authenticated",
    ),
    vos.SHOW_VERSION: ("Active Master Version:", "Inactive Master Version: 1.2"),
    "utils service list": ("Cisco RTMT Reporter Servlet[STARTED] Cisco Speechserver[STARTED]",),
    "utils ntp status": (
        "^* 192.0.2.10  3   6   378    20    -12us[ -15us] +/-   20ms",
        "^! 192.0.2.10  3   6   377    20    -12us[ -15us] +/-   20ms",
        "^* 192.0.2.10  3  64   377    20    -12us[ -15us] +/-   20ms",
        "^* 192.0.2.10  3   6   377    20    -12us",
    ),
    "show process load": ("PID COMMAND PID", "%CPU COMMAND", "PID"),
    "utils core active list": (
        "340196 KB   2026-02-30 13:27:10   core.4560.6.ccm.1",
        "340196 KB   2026-01-25 24:00:01   core.4560.6.ccm.1",
    ),
    "utils disaster_recovery history backup": (
        "No backup history available",
        "x.tar Thu Dec 10 10:35:22 CST 2026 SUCCESS MANUAL",  # no device
        "x.tar TAPE Thu Dec 10 10:35:22 CST 2026",
        "x.tar TAPE Thu Dec 40 10:35:22 CST 2026 SUCCESS",
        "x.tar TAPE Thu Dec 10 10:35:22 CST 2026 maybe",
    ),
}


@pytest.mark.parametrize(
    ("command", "line"),
    [(command, line) for command in OTHER_FORMS for line in OTHER_FORMS[command]],
)
def test_keeps_line_of_other_form(command: str, line: str) -> None:
    parse = PARSERS[command]
    assert parse([line]) == msgspec.structs.replace(parse([]), others=(line,))


def test_node_in_utc_prints_time_twice() -> None:
    same, other = (
        f"Current time in UTC is : Tue Nov 24 08:41:{second} UTC 2026" for second in (1, 2)
    )
    status = parse_ntp_status([same, same, other])
    assert status.times == {"UTC": "Tue Nov 24 08:41:1 UTC 2026"}
    assert status.others == (other,)


def test_replication_server_that_cannot_be_reached() -> None:
    view = "Cluster Detailed View from ucm-a (3 Servers):"
    row = "ucm-c   192.0.2.3   Failed    N/N/N     --       (g_4)          (0) Not Setup"
    (server,) = parse_runtimestate([view, row]).servers
    assert (server.ping_ms, server.queue, server.code) == (None, None, 0)
    assert parse_runtimestate([row]) == ReplicationState(others=(row,))
