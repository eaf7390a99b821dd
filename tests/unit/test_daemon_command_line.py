"""The command line `cucmd`: what is wrong with it, in one line, and where to read on."""

import pytest

from cucmd.failure import CannotStart
from cucmd.main import _COMMANDS, main
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

    monkeypatch.setitem(_COMMANDS, "serve", refuse)
    assert main([]) == EXIT_UNAVAILABLE == 69
    assert capsys.readouterr() == ("", "cucmd: the reason\n")
