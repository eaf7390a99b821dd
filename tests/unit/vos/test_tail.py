"""`file tail`: which lines are accepted, what it prints, and when it ends."""

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.failure import Code
from cucmd.vos.dialogue_events import Event
from rig.uncovered import uncovered
from unit.vos.driver import new_cli

LINE = "file tail activelog syslog/messages"
ACCEPTED = (
    LINE,
    "file tail activelog /cm/trace/ccm/sdl/SDL001_100_000441.txt",
    "file tail activelog syslog/CiscoSyslog regexp .*InterClusterSyncAgentStatus:.*dst.*",
    "file tail activelog cuic/logs/cuic/ recent",
    "file tail activelog cuic/logs/cuic/ recent regexp login",
    "file tail activelog cm/log/amc/AlertLog/AlertLog_11_03*",
)
REFUSED = (
    "file tail",
    "file tail inactivelog syslog/messages",
    "file tail activelog syslog/messages hex",
    "file tail activelog syslog/messages 30",
    "file tail activelog syslog/messages recent",
    "file tail activelog syslog/",
    "file tail activelog syslog/*/ recent",
    "file tail activelog syslog/ regexp x recent",
    "file tail activelog syslog/messages regexp",
    "file tail activelog syslog/messages regexp a b",
    'file tail activelog syslog/messages regexp "a"',
    "file tail activelog syslog/messages regexp -v",
    "file tail activelog ../messages",
    "file tail activelog -f",
    "file tail activelog a;reboot",
    "file dump activelog syslog/messages",
)


@pytest.mark.parametrize("line", ACCEPTED)
def test_accepts_line(line: str) -> None:
    assert vos.parse_tail(line).line == line


@pytest.mark.parametrize("line", REFUSED)
def test_refuses_line(line: str) -> None:
    with pytest.raises(vos.InvalidArgument):
        vos.parse_tail(line)


_PATH = r"/?[A-Za-z0-9_.][A-Za-z0-9_.+/*-]*"
_SHAPE = re.compile(
    rf"file tail activelog {_PATH}( recent)?( regexp [A-Za-z0-9_.:,=/@%+*^\[\]-]+)?"
)


@given(st.one_of(st.tuples(st.sampled_from(ACCEPTED), st.text(max_size=9)).map("".join), st.text()))
def test_accepted_lines_have_one_form(text: str) -> None:
    try:
        command = vos.parse_tail(text)
    except vos.InvalidArgument:
        return
    assert _SHAPE.fullmatch(command.line)
    assert command.line.split(" ") == text.split()


def tailing() -> vos.Cli:
    cli = new_cli()
    assert cli.receive(cli.tail(vos.parse_tail(LINE)) + b"\n") == [vos.Started()]
    return cli


def printed(events: list[Event]) -> list[str | Event]:
    """Returns the lines that were printed, and all other events."""
    found: list[str | Event] = []
    for event in events:
        found += event.lines if isinstance(event, vos.Printed) else [event]
    return found


SAID = (
    b"admin:" + LINE.encode() + b"\r\none\r\n\r\n  two\t2\r\n\x1b[31mthree\x1b]0;x\x07\r\n"
    b"Continue (y/n)?\r\nPassword: \r\nadmin:\r\nuser admin: in\r\nPress <enter> for 1 line\r\n"
    b"Executed command unsuccessfully\r\nhalf"
)
LINES = (
    *("one", "", "  two\t2", "three", "Continue (y/n)?", "Password: ", "admin:"),
    *("user admin: in", "Press <enter> for 1 line", "Executed command unsuccessfully"),
)


@pytest.mark.parametrize("split", range(0, len(SAID), 3))
def test_prints_each_line_at_every_split(split: int) -> None:
    cli = new_cli()
    cli.tail(vos.parse_tail(LINE))
    events = [event for part in (SAID[:split], SAID[split:]) for event in cli.receive(part)]
    assert printed(events) == [vos.Started(), *LINES]
    assert cli.quiet_after is None
    (half, broken) = printed(cli.closed())
    assert half == "half"
    assert isinstance(broken, vos.Broken)
    assert broken.failure.code == Code.CONNECTION_LOST


@pytest.mark.parametrize("text", [b"login: admin:", b"Continue (y/n)? ", b"Password: ", b"x"])
def test_unfinished_line_means_nothing(text: bytes) -> None:
    cli = tailing()
    cli.receive(text)
    assert cli.quiet_after is None
    assert cli.quiet() == []
    assert printed(cli.receive(b"y\r\n")) == [f"{text.decode()}y"]


def test_node_may_end_it() -> None:
    cli = tailing()
    cli.receive(b"one\r\nadmin:")
    assert cli.quiet_after is not None
    assert cli.quiet_after > 1  # a line of a log may begin so, and pause
    assert cli.quiet() == [vos.CommandDone(())]
    assert cli.at_prompt


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"^C\r\nadmin:", []),
        (b"half^C\r\nadmin:", ["half"]),
        (b"one\r\n^CControl-C pressed\r\n\r\nadmin:", ["one"]),
        (b"one\r\n^C\r\nControl-C pressed\r\nadmin:", ["one"]),
        (b"one\r\n^C^Cadmin:", ["one"]),
        (b"one\r\nadmin:^C\r\nadmin:", ["one"]),
    ],
)
def test_lines_after_ctrl_c_still_count(text: bytes, lines: list[str]) -> None:
    cli = tailing()
    assert cli.interrupt() == b"\x03"
    assert printed(cli.receive(text)) == [*lines, vos.CommandDone(())]
    assert cli.at_prompt


def test_output_after_ctrl_c_is_no_prompt() -> None:
    cli = tailing()
    cli.interrupt()
    for part in (b"user admin:", b" in\r\nlogin: admin:", b"x\r\n"):
        cli.receive(part)
        assert not cli.at_prompt
    cli.receive(b"admin:")
    assert cli.at_prompt


@pytest.mark.long
@pytest.mark.parametrize("chunk", [b"x" * 65536, b"\r\n" * 20000])
def test_memory_stays_bounded(chunk: bytes) -> None:
    cli = tailing()
    tracemalloc.start()
    try:
        with uncovered():
            for _ in range(20):
                cli.receive(chunk)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert not cli.at_prompt
    assert printed(cli.receive(b"\r\nlast\r\n"))[-1] == "last"
