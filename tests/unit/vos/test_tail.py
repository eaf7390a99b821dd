"""`file tail`: what may be typed, what comes of it, and when it is over."""

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.failure import Code
from cucmd.vos.dialogue_events import Event
from cucmd.vos.forms import FORMS, TAILS
from rig.uncovered import uncovered
from unit.vos.driver import ADMIN_PASSWORD, BANNER
from unit.vos.test_forms import NODES, sections

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
    "file tail activelog",
    "file tail inactivelog syslog/messages",
    "file tail install install.log",
    "file tail tftp x",
    "file tail activelog syslog/messages hex",
    "file tail activelog syslog/messages detail",
    "file tail activelog syslog/messages page",
    "file tail activelog syslog/messages 30",
    "file tail activelog syslog/messages recent",
    "file tail activelog syslog/",
    "file tail activelog syslog/*/ recent",
    "file tail activelog syslog/ recent 30",
    "file tail activelog syslog/ regexp x recent",
    "file tail activelog syslog/ recent recent",
    "file tail activelog syslog/messages regexp",
    "file tail activelog syslog/messages regexp a b",
    'file tail activelog syslog/messages regexp "a"',
    "file tail activelog syslog/messages regexp a|b",
    "file tail activelog syslog/messages regexp -v",
    "file tail activelog syslog/messages regexp a?",
    "file tail activelog ../messages",
    "file tail activelog -f",
    "file tail activelog a;reboot",
    "file dump activelog syslog/messages",
    "file view activelog syslog/messages",
    "tail activelog syslog/messages",
)


@pytest.mark.parametrize("line", ACCEPTED)
def test_a_line_is_typed_as_it_was_given(line: str) -> None:
    assert vos.parse_tail(line).line == line


@pytest.mark.parametrize("line", REFUSED)
def test_the_nearest_things_are_refused(line: str) -> None:
    with pytest.raises(vos.InvalidArgument):
        vos.parse_tail(line)


@pytest.mark.parametrize("line", [*ACCEPTED, *REFUSED])
def test_run_has_none_of_it(line: str) -> None:
    with pytest.raises(vos.InvalidArgument):
        vos.parse_command(line)


def test_the_source_of_the_forms_is_in_their_section() -> None:
    assert not [form for form in FORMS if "tail" in form.head]
    for form in TAILS:
        assert form.section in sections()
        section = NODES.read_text().partition(f"### {form.section} ")[2].partition("\n## ")[0]
        assert all(option.keyword in section for option in form.options)
        assert form.seconds <= 1800  # a session ends after 30 minutes


_PATH = r"/?[A-Za-z0-9_.][A-Za-z0-9_.+/*-]*"
_SHAPE = re.compile(
    rf"file tail activelog {_PATH}( recent)?( regexp [A-Za-z0-9_.:,=/@%+*^\[\]-]+)?"
)


@given(st.one_of(st.tuples(st.sampled_from(ACCEPTED), st.text(max_size=9)).map("".join), st.text()))
def test_whatever_is_accepted_has_that_form(text: str) -> None:
    try:
        command = vos.parse_tail(text)
    except vos.InvalidArgument:
        return
    assert _SHAPE.fullmatch(command.line)
    assert command.line.split(" ") == text.split()


def at_prompt() -> vos.Cli:
    cli = vos.Cli((ADMIN_PASSWORD,))
    cli.receive(BANNER + b"admin:")
    cli.quiet()
    return cli


def tailing() -> vos.Cli:
    cli = at_prompt()
    assert cli.receive(cli.tail(vos.parse_tail(LINE)) + b"\n") == [vos.Started()]
    return cli


def told(events: list[Event]) -> list[str | Event]:
    """Returns the lines that were printed, and all other events."""
    found: list[str | Event] = []
    for event in events:
        found += event.lines if isinstance(event, vos.Printed) else [event]
    return found


def test_what_is_no_tail_is_not_typed() -> None:
    cli = at_prompt()
    with pytest.raises(vos.InvalidArgument):
        cli.tail(vos.parse_command("show status"))
    assert cli.at_prompt


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
def test_every_line_is_told_once_at_every_split(split: int) -> None:
    cli = at_prompt()
    cli.tail(vos.parse_tail(LINE))
    events = [event for part in (SAID[:split], SAID[split:]) for event in cli.receive(part)]
    assert told(events) == [vos.Started(), *LINES]
    assert cli.quiet_after is None
    (half, broken) = told(cli.closed())
    assert half == "half"
    assert isinstance(broken, vos.Broken)
    assert broken.failure.code == Code.CONNECTION_LOST


def test_byte_by_byte() -> None:
    cli = at_prompt()
    cli.tail(vos.parse_tail(LINE))
    events = [event for at in range(len(SAID)) for event in cli.receive(SAID[at : at + 1])]
    assert told(events) == [vos.Started(), *LINES]


@pytest.mark.parametrize("text", [b"login: admin:", b"Continue (y/n)? ", b"Password: ", b"x"])
def test_a_line_that_has_no_end_yet_means_nothing(text: bytes) -> None:
    cli = tailing()
    cli.receive(text)
    assert cli.quiet_after is None
    assert cli.quiet() == []
    assert told(cli.receive(b"y\r\n")) == [f"{text.decode()}y"]


def test_a_node_that_ends_it_by_itself_is_at_its_prompt() -> None:
    cli = tailing()
    cli.receive(b"one\r\nadmin:")
    assert cli.quiet_after is not None
    assert cli.quiet_after > 1  # a line of a log may begin so, and pause
    assert cli.quiet() == [vos.CommandDone(())]
    assert cli.at_prompt


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (b"^C\r\nadmin:", []),
        (b"half^C\r\nadmin:", ["half"]),
        (b"one\r\n^CControl-C pressed\r\n\r\nadmin:", ["one"]),
        (b"one\r\n^C\r\nControl-C pressed\r\nadmin:", ["one"]),
        (b"one\r\n^C^Cadmin:", ["one"]),
        (b"one\r\nadmin:^C\r\nadmin:", ["one"]),
    ],
)
def test_after_ctrl_c_what_was_on_its_way_still_counts(said: bytes, lines: list[str]) -> None:
    cli = tailing()
    assert cli.interrupt() == b"\x03"
    assert told(cli.receive(said)) == [*lines, vos.CommandDone(())]
    assert cli.at_prompt


def test_output_on_its_way_is_no_prompt_after_ctrl_c() -> None:
    cli = tailing()
    cli.interrupt()
    for part in (b"user admin:", b" in\r\nlogin: admin:", b"x\r\n"):
        cli.receive(part)
        assert not cli.at_prompt
    cli.receive(b"admin:")
    assert cli.at_prompt


@pytest.mark.long
@pytest.mark.parametrize("chunk", [b"x" * 65536, b"\r\n" * 20000, b"one line\r\n" * 8000])
def test_memory_is_flat_whatever_comes(chunk: bytes) -> None:
    cli = tailing()
    tracemalloc.start()
    try:
        with uncovered():
            for _ in range(60):
                cli.receive(chunk)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert not cli.at_prompt
    assert told(cli.receive(b"\r\nlast\r\n"))[-1] == "last"
