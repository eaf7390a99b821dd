"""Runs the command lines of the programs beside `cucmctl`, such as `cucmweb` and `cucmhub`."""

from __future__ import annotations

from collections.abc import Sequence

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError, VerbParser
from cucmctl.cli.printer import abandon_stdout, note
from cucmd import __version__
from cucmd.stdout import Unwritable
from cucmd.toml_file import ConfigError

EXIT_CONFIG = 78  # EX_CONFIG, as `cucmd` has it


def run_program(parser: VerbParser, argv: Sequence[str] | None, extra: str) -> int:
    """Calls the function `run` of the parsed arguments. Returns its exit code, or that of an error,
    which is printed as a message.

    extra  the extra of the package that has the libraries of the program
    """
    parser.add_argument("--version", action="version", version=f"{parser.prog} {__version__}")
    try:
        args = parser.parse_args(argv)
        return args.run(args) or exits.DONE
    except BaseException as raised:
        error = raised
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:  # of a nursery
            error = error.exceptions[0]
        text = str(error)
        match error:
            case KeyboardInterrupt():
                return exits.INTERRUPTED
            case UsageError():
                code = exits.USAGE
            case exits.Failed():
                code = error.code
            case ConfigError():
                code = EXIT_CONFIG
            case Unwritable():
                abandon_stdout()
                if error.reader_has_gone:  # as in `cucmweb token list | head`: no error for a user
                    return exits.PIPE_CLOSED
                code = exits.CANNOT_WRITE
            case ModuleNotFoundError():
                text, code = f"{error}: pip install 'cucmd[{extra}]'", exits.UNAVAILABLE
            case OSError():
                code = exits.UNAVAILABLE
            case _:
                raise
    note(text, parser.prog)
    return code
