"""Runs the program `cucmmcp`: serves an assistant over standard input and output."""

import os
import sys
from collections.abc import Sequence

import trio

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError, VerbParser
from cucmctl.cli.printer import visible
from cucmctl.commands.mask import piece_masking
from cucmd import __version__
from cucmtrio import Client


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until standard input ends. Returns the exit code."""
    about = "The jobs of cucmd for an assistant: an MCP server. See cucmmcp(1)."
    parser = VerbParser(prog="cucmmcp", description=about, allow_abbrev=False)
    add = parser.add_argument
    add("--version", action="version", version=f"cucmmcp {__version__}")
    add("--socket", metavar="PATH", help="the daemon's socket")
    help_ = "also start and cancel jobs, of which the person is asked each time, and export"
    add("--operate", action="store_true", help=help_)
    add("--mask", action="store_true", help="mask numbers, names and addresses in all answers")
    help_ = "the folder for exports, which has to exist"
    add("--export-folder", metavar="FOLDER", type=os.path.abspath, help=help_)
    try:
        args = parser.parse_args(argv)
        from cucmmcp.server import Server  # noqa: PLC0415  # it needs the extra, and takes seconds
        from cucmmcp.tools import Tools  # noqa: PLC0415

        masking = piece_masking(args.socket) if args.mask else None
        tools = Tools(Client(args.socket), args.operate, masking, args.export_folder or "")
        trio.run(Server(tools).run_stdio_async)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except (UsageError, exits.Failed, OSError, ModuleNotFoundError) as error:
        advice = ": pip install 'cucmd[mcp]'" if isinstance(error, ModuleNotFoundError) else ""
        if sys.stderr is not None:  # None if it was closed before the start
            print(f"cucmmcp: {visible(str(error))}{advice}", file=sys.stderr)
        return exits.USAGE if isinstance(error, UsageError) else exits.UNAVAILABLE
    return exits.DONE


if __name__ == "__main__":
    sys.exit(main())
