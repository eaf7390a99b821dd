"""The command line of `cucmd`, and its errors."""

import pytest

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
        ("--sock x", "cucmd serve: unrecognized arguments: --sock x (see cucmd serve --help)"),
        ("--config", "cucmd serve: --config: expected one argument (see cucmd serve --help)"),
    ],
)
def test_usage_error_names_the_help(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"{said}\n")


def test_cannot_start_is_one_line(monkeypatch, capsys):
    def refuse(_args):
        raise CannotStart("the reason")

    monkeypatch.setitem(COMMANDS, "serve", refuse)
    assert main([]) == EXIT_UNAVAILABLE == 69
    assert capsys.readouterr() == ("", "cucmd: the reason\n")


def test_check_prints_errors_on_stderr(capsys, tmp_path):
    (tmp_path / "cucmd.toml").write_text("connct = 1\n")
    assert main(["check", "--config", str(tmp_path / "cucmd.toml")]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert "connct" in err
