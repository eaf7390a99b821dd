"""Packet captures: the lines to type, start and end, and the deletion of their files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.job.capture import CaptureSettings
from cucmd.vos.cli import NotAtPrompt
from cucmd.vos.command_lines import MOST_BYTES, MOST_PACKETS
from unit.vos.driver import new_cli

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
def test_capture_line(fields: dict[str, object], line: str) -> None:
    assert vos.capture_line(CaptureSettings(NAME, **fields)) == line


REFUSED = {
    "name": ("sip", "cucmd_a.b", "cucmd_", "cucmd_a b", "cucmd_a\n"),
    "interface": ("eth0; reboot", "eth0\n"),
    "host": ("pub.example.com", "10.0.0.7 count 1", "fd00::1"),
    "port": (0, 65536),
    "count": (0, MOST_PACKETS + 1),
    "size": (0, MOST_BYTES + 1),
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in REFUSED for value in REFUSED[field]]
)
def test_refuses_other_words(field: str, value: object) -> None:
    fields = {"name": NAME, field: value}
    with pytest.raises(vos.InvalidArgument) as refused:
        vos.capture_line(CaptureSettings(**fields))
    assert refused.value.field == field


def test_path_of_its_files() -> None:
    assert vos.capture_path(NAME) == f"platform/cli/{NAME}*.cap*"
    vos.FileGet("activelog", vos.capture_path(NAME)).command_line()
    with pytest.raises(vos.InvalidArgument):
        vos.capture_path("*")


@pytest.mark.parametrize("behind", [".cap", "1.cap", ".cap1", "12.cap3", ".cap00"])
def test_file_names_may_have_numbers(behind: str) -> None:
    assert vos.is_capture_file(NAME + behind, NAME)
    assert vos.delete_line(NAME + behind) == (
        f"file delete activelog platform/cli/{NAME}{behind} noconfirm"
    )


@pytest.mark.parametrize("before", ["", "x"])
@pytest.mark.parametrize("behind", ["x.cap", "_2.cap", ".cap.gz", "", ".pcap", "12345.cap"])
def test_other_files_are_not_its_own(before: str, behind: str) -> None:
    assert not vos.is_capture_file(before + NAME + behind, NAME)


@given(st.text(alphabet="cucmd_0a.*/ \r\n;?\t", max_size=40) | st.text())
def test_deletes_only_files_of_captures(file: str) -> None:
    for name in (file, f"cucmd_{file}", f"cucmd_{file}.cap"):
        try:
            line = vos.delete_line(name)
        except vos.InvalidArgument:
            continue
        form = r"file delete activelog platform/cli/cucmd_[0-9a-z_]+\.cap[0-9]* noconfirm"
        assert re.fullmatch(form, line)


def typed() -> tuple[vos.Cli, bytes]:
    cli = new_cli()
    return cli, cli.capture(COMMAND)


def test_starts_when_line_is_echoed() -> None:
    cli, line = typed()
    assert line == f"{LINE}\r".encode()
    assert cli.receive(line[:-1]) == []
    assert cli.receive(b"\r\n") == [vos.Started()]
    assert cli.receive(b"Executing command with options:\r\n size=ALL\r\n\r\n") == []
    assert cli.quiet_after is None
    assert not cli.at_prompt


@pytest.mark.parametrize("split", range(1, 40))
def test_starts_once_at_every_split(split: int) -> None:
    cli, line = typed()
    data = line + b"\nExecuting\r\n"
    events = [event for part in (data[:split], data[split:]) for event in cli.receive(part)]
    assert events == [vos.Started()]


def test_empty_line_tests_prompt() -> None:
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


def test_prompt_counts_after_ctrl_c() -> None:
    cli, line = typed()
    cli.receive(line + b"\n")
    assert cli.interrupt() == b"\x03"
    assert cli.receive(b"^C\r\n") == []
    assert cli.receive(b"admin:") == [vos.CommandDone(("^C",))]
    assert cli.at_prompt


def test_deletion_and_its_answer() -> None:
    cli = new_cli()
    line = cli.delete_capture(f"{NAME}.cap")
    assert line == f"file delete activelog platform/cli/{NAME}.cap noconfirm\r".encode()
    cli.receive(line + b"\nfiles: found = 1, deleted = 1\r\nadmin:")
    assert cli.quiet() == [vos.CommandDone(("files: found = 1, deleted = 1",))]


@pytest.mark.parametrize(
    "line",
    [
        "Executing command with options:",
        " size=ALL                count=100000              interface=eth0",
        "size=ALL count=100000 interface=eth0 src= dest= port= ip=10.111.16.157",
        " ip=^C",
        "^C",
        "Control-C pressed",
        "^CControl-C pressed",
        "",
    ],
)
def test_strips_options(line: str) -> None:
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
def test_keeps_other_lines(line: str) -> None:
    assert vos.strip_capture_options([line]) == (line,)
