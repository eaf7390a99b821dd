"""The exit codes of the programs beside `cucmctl`."""

import errno

import pytest

from cucmctl.cli.exits import NOT_FOUND, Failed
from cucmctl.cli.options import UsageError, VerbParser
from cucmctl.cli.program import run_program
from cucmd.stdout import Unwritable
from cucmd.toml_file import ConfigError


def code_of(error: BaseException) -> int:
    def run(_args: object) -> None:
        raise error

    parser = VerbParser(prog="program")
    parser.set_defaults(run=run)
    return run_program(parser, [], "extra")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (Failed("there is none", NOT_FOUND), 5),
        (ModuleNotFoundError("no module"), 69),
        (PermissionError(errno.EACCES, "denied", "/file"), 69),
        (Unwritable(OSError(errno.ENOSPC, "full")), 74),
        (ConfigError("file", "wrong"), 78),
    ],
)
def test_errors_have_exit_codes(
    error: Exception, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert code_of(error) == code
    assert capfd.readouterr().err.count("\n") == 1
    assert code_of(ExceptionGroup("of a nursery", [error])) == code


def test_interruption_has_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    assert code_of(BaseExceptionGroup("of a nursery", [KeyboardInterrupt()])) == 130
    assert code_of(Unwritable(BrokenPipeError())) == 141
    assert capfd.readouterr().err == ""


def test_defect_is_raised() -> None:
    with pytest.raises(KeyError):
        code_of(KeyError())
