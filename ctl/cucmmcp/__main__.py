"""Runs the program `cucmmcp`: serves an assistant over standard input and output."""

import argparse
import os
import sys
from collections.abc import Sequence

import trio

from cucmctl.cli.options import VerbParser
from cucmctl.cli.program import run_program
from cucmctl.commands.mask import piece_masking
from cucmtrio import Client


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until standard input ends. Returns the exit code."""
    about = "The jobs of cucmd for an assistant: an MCP server. See cucmmcp(1)."
    parser = VerbParser(prog="cucmmcp", description=about, allow_abbrev=False)
    add = parser.add_argument
    add("--socket", metavar="PATH", help="the daemon's socket")
    help_ = "also start and cancel jobs, of which the person is asked each time, and export"
    add("--operate", action="store_true", help=help_)
    add("--mask", action="store_true", help="mask numbers, names and addresses in all answers")
    help_ = "the folder for exports, which has to exist"
    add("--export-folder", metavar="FOLDER", type=os.path.abspath, help=help_)
    parser.set_defaults(run=_serve)
    return run_program(parser, argv, "mcp")


def _serve(args: argparse.Namespace) -> None:
    from cucmmcp.server import Server  # noqa: PLC0415  # it needs the extra, and takes seconds
    from cucmmcp.tools import Tools  # noqa: PLC0415

    masking = piece_masking(args.socket) if args.mask else None
    tools = Tools(Client(args.socket), args.operate, masking, args.export_folder or "")
    trio.run(Server(tools).run_stdio_async)


if __name__ == "__main__":
    sys.exit(main())
