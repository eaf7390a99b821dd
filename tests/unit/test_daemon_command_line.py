"""The command line `cucmd`: what is wrong with it, in one line, and where to read on."""

import errno
import sys

import pytest

from cucmd.config import check
from cucmd.failure import CannotStart
from cucmd.main import COMMANDS, main
from cucmd.service.start_errors import EXIT_UNAVAILABLE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "serv",
            "cucmd: 'serv' is not a command; expected one of serve, check, demo, lab "
            "(see cucmd --help)",
        ),
        ("lab --bogus", "cucmd lab: unrecognized arguments: --bogus (see cucmd lab --help)"),
        (
            "check --confg x",
            "cucmd check: unrecognized arguments: --confg x (see cucmd check --help)",
        ),
        ("demo now", "cucmd demo: unrecognized arguments: now (see cucmd demo --help)"),
        ("--bogus", "cucmd serve: unrecognized arguments: --bogus (see cucmd serve --help)"),
        ("--sock x", "cucmd serve: unrecognized arguments: --sock x (see cucmd serve --help)"),
        ("lab --node 3", "cucmd lab: unrecognized arguments: --node 3 (see cucmd lab --help)"),
        ("--config", "cucmd serve: --config: expected one argument (see cucmd serve --help)"),
    ],
)
def test_usage_is_exit_2_and_names_the_help_that_helps(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"{said}\n")


def test_what_keeps_a_command_from_starting_is_one_line_and_its_own_exit_code(monkeypatch, capsys):
    def refuse(_args):
        raise CannotStart("the reason")

    monkeypatch.setitem(COMMANDS, "serve", refuse)
    assert main([]) == EXIT_UNAVAILABLE == 69
    assert capsys.readouterr() == ("", "cucmd: the reason\n")


def test_a_check_that_cannot_read_does_not_blame_standard_output(monkeypatch, capsys):
    def unreadable(*_, **__):
        raise OSError(errno.EIO, "x")

    monkeypatch.setattr(sys.modules[check.__module__], "check", unreadable)
    with pytest.raises(OSError, match="x"):
        main(["check"])


def test_a_check_prints_what_is_wrong_on_standard_error_alone(capsys, tmp_path):
    (tmp_path / "cucmd.toml").write_text("connct = 1\n")
    assert main(["check", "--config", str(tmp_path / "cucmd.toml")]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert "connct" in err
