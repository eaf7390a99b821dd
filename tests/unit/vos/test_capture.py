"""A packet capture: what is typed, when it runs, how it ends, and the one command that writes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.failure import Code
from cucmd.job.capture import CaptureSettings
from cucmd.vos.cli import NotAtPrompt
from cucmd.vos.command_lines import MOST_BYTES, MOST_PACKETS
from cucmd.vos.forms import FORMS
from unit.vos.driver import ADMIN_PASSWORD, BANNER

NAME = "cucmd_0a1b2c3d4e5f"
COMMAND = vos.capture_line(CaptureSettings(NAME))
LINE = f"utils network capture eth0 file {NAME} count 100000 size all"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, LINE),
        ({"port": 5060, "host": "10.0.0.7"}, f"{LINE} port 5060 host ip 10.0.0.7"),
        (
            {"interface": "bond0", "count": 1, "size": 96},
            f"utils network capture bond0 file {NAME} count 1 size 96",
        ),
    ],
)
def test_the_line_of_a_capture(fields: dict[str, object], line: str) -> None:
    assert vos.capture_line(CaptureSettings(NAME, **fields)) == line


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "sip"),
        ("name", "cucmd_a.b"),
        ("name", "cucmd_"),
        ("name", "cucmd_a b"),
        ("name", "cucmd_A"),
        ("name", "cucmd_a\n"),
        ("interface", "eth0; reboot"),
        ("interface", "eth0 page"),
        ("interface", ""),
        ("interface", "-i"),
        ("interface", "eth0\n"),
        ("host", "pub.example.com"),
        ("host", "10.0.0.7 count 1"),
        ("host", "10.0.0"),
        ("host", "fd00::1"),
        ("host", ""),
        ("port", 0),
        ("port", 65536),
        ("count", 0),
        ("count", MOST_PACKETS + 1),
        ("size", 0),
        ("size", MOST_BYTES + 1),
    ],
)
def test_what_would_be_another_command_is_not_typed(field: str, value: object) -> None:
    fields = {"name": NAME, field: value}
    with pytest.raises(vos.InvalidArgument) as refused:
        vos.capture_line(CaptureSettings(**fields))
    assert refused.value.field == field


@given(st.text(), st.text(), st.text())
def test_a_line_has_the_words_of_its_form_and_no_others(
    name: str, interface: str, host: str
) -> None:
    try:
        line = vos.capture_line(CaptureSettings(name, interface, host))
    except vos.InvalidArgument:
        return
    form = r"utils network capture [a-z0-9]+ file cucmd_[0-9a-z_]+ count 100000 size all"
    assert re.fullmatch(form + r" host ip [0-9.]+", line)


def test_where_its_files_are() -> None:
    assert vos.capture_path(NAME) == f"platform/cli/{NAME}*.cap*"
    vos.FileGet("activelog", vos.capture_path(NAME)).command_line()
    with pytest.raises(vos.InvalidArgument):
        vos.capture_path("*")


@pytest.mark.parametrize("behind", [".cap", "1.cap", ".cap1", "12.cap3", ".cap00"])
def test_a_file_of_the_capture_may_have_numbers(behind: str) -> None:
    assert vos.is_capture_file(NAME + behind, NAME)
    assert vos.delete_line(NAME + behind) == (
        f"file delete activelog platform/cli/{NAME}{behind} noconfirm"
    )


@pytest.mark.parametrize("before", ["", "x"])
@pytest.mark.parametrize("behind", ["x.cap", "_2.cap", ".cap.gz", "", ".pcap", "12345.cap"])
def test_another_file_is_none_of_the_capture(before: str, behind: str) -> None:
    assert not vos.is_capture_file(before + NAME + behind, NAME)


@pytest.mark.parametrize(
    "file",
    [
        "*",
        "",
        "messages",
        "sip.cap",
        f"{NAME}*.cap",
        f"{NAME}.cap*",
        f"../{NAME}.cap",
        f"cm/{NAME}.cap",
        f"{NAME}.cap noconfirm",
        f"{NAME}.cap\r",
        f"{NAME}.cap\n",
        f"{NAME}.cap detail",
        f"{NAME}.cap;reboot",
        "cucmd_.cap",
        "cucmd_*.cap",
    ],
)
def test_no_other_file_is_removed(file: str) -> None:
    with pytest.raises(vos.InvalidArgument):
        vos.delete_line(file)


@given(st.text(alphabet="cucmd_0a.*/ \r\n;?\t", max_size=40) | st.text())
def test_whatever_is_given_one_file_of_ours_is_removed_or_none(file: str) -> None:
    for name in (file, f"cucmd_{file}", f"cucmd_{file}.cap"):
        try:
            line = vos.delete_line(name)
        except vos.InvalidArgument:
            continue
        form = r"file delete activelog platform/cli/cucmd_[0-9a-z_]+\.cap[0-9]* noconfirm"
        assert re.fullmatch(form, line)


def test_run_has_neither_of_the_commands() -> None:
    for line in (LINE, vos.delete_line(f"{NAME}.cap"), "file delete", "utils network capture"):
        with pytest.raises(vos.InvalidArgument):
            vos.parse_command(line)
    assert not [form for form in FORMS if "delete" in form.head or "capture" in form.head]


def at_prompt() -> vos.Cli:
    cli = vos.Cli((ADMIN_PASSWORD,))
    cli.receive(BANNER + b"admin:")
    cli.quiet()
    return cli


def typed() -> tuple[vos.Cli, bytes]:
    cli = at_prompt()
    return cli, cli.capture(COMMAND)


def test_it_runs_once_the_node_has_echoed_the_line() -> None:
    cli, line = typed()
    assert line == f"{LINE}\r".encode()
    assert cli.receive(line[:-1]) == []
    assert cli.receive(b"\r\n") == [vos.Started()]
    assert cli.receive(b"Executing command with options:\r\n size=ALL\r\n\r\n") == []
    assert cli.quiet_after is None
    assert not cli.at_prompt


@pytest.mark.parametrize("split", range(1, 40))
def test_it_is_said_once_at_every_split(split: int) -> None:
    cli, line = typed()
    data = line + b"\nExecuting\r\n"
    events = [event for part in (data[:split], data[split:]) for event in cli.receive(part)]
    assert events == [vos.Started()]


def test_the_prompt_comes_by_itself_at_the_count() -> None:
    cli, line = typed()
    cli.receive(line + b"\nExecuting command with options:\r\n\r\n")
    cli.receive(b"admin:")
    assert cli.quiet() == [vos.CommandDone(("Executing command with options:",))]


def test_enter_brings_a_prompt_again_and_nothing_else() -> None:
    cli, line = typed()
    with pytest.raises(NotAtPrompt):
        cli.ask_for_prompt()
    cli.receive(line + b"\nadmin:")
    cli.quiet()
    assert cli.ask_for_prompt() == b"\r"
    assert cli.receive(b"\r\n") == []
    assert (cli.quiet_after, cli.at_prompt) == (None, False)
    assert cli.receive(b"12 packets captured\r\nadmin:") == []
    assert cli.quiet() == [vos.Prompted()]
    assert cli.at_prompt


def test_after_ctrl_c_the_prompt_counts_at_once() -> None:
    cli, line = typed()
    cli.receive(line + b"\n")
    assert cli.interrupt() == b"\x03"
    assert cli.receive(b"^C\r\n") == []
    assert cli.receive(b"admin:") == [vos.CommandDone(("^C",))]
    assert cli.at_prompt


def test_a_question_in_it_is_not_answered() -> None:
    cli, line = typed()
    cli.receive(line + b"\nContinue (y/n)? ")
    assert cli.quiet() == [vos.StoppedAtQuestion((), "Continue (y/n)?")]


def test_a_node_that_closes_in_it() -> None:
    cli, line = typed()
    cli.receive(line + b"\n")
    (broken,) = cli.closed()
    assert broken.failure.code == Code.CONNECTION_LOST


def test_a_removal_and_its_answer() -> None:
    cli = at_prompt()
    line = cli.delete_capture(f"{NAME}.cap")
    assert line == f"file delete activelog platform/cli/{NAME}.cap noconfirm\r".encode()
    cli.receive(line + b"\nfiles: found = 1, deleted = 1\r\nadmin:")
    assert cli.quiet() == [vos.CommandDone(("files: found = 1, deleted = 1",))]


def test_a_removal_that_is_refused_here_is_not_begun() -> None:
    cli = at_prompt()
    with pytest.raises(vos.InvalidArgument):
        cli.delete_capture("*")
    assert cli.at_prompt


@pytest.mark.parametrize(
    "line",
    [
        "Executing command with options:",
        " size=ALL                count=100000              interface=eth0",
        " src=                    dest=                     port=",
        " ip=10.111.16.157",
        "size=ALL count=100000 interface=eth0 src= dest= port= ip=10.111.16.157",
        " ip=^C",
        "^C",
        "Control-C pressed",
        "^CControl-C pressed",
        "",
    ],
)
def test_the_options_that_a_node_prints_are_no_answer(line: str) -> None:
    assert vos.strip_capture_options([line, "tcpdump: no space", line]) == ("tcpdump: no space",)


@pytest.mark.parametrize(
    "line",
    [
        "Low water mark exceeded",
        "size=ALL is not allowed",
        "=",
        "0 packets captured",
        "Control-C pressed twice",
    ],
)
def test_what_a_node_says_beside_the_options_is_kept(line: str) -> None:
    assert vos.strip_capture_options([line]) == (line,)
