"""Runs the command line of the daemon: serve (the default), check, demo, lab.

What only one command needs is imported when that command runs.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from cucmd import __version__
from cucmd.failure import CannotStart
from cucmd.service.start_errors import EXIT_UNAVAILABLE
from cucmd.stdout import Unwritable, checked_stdout, open_closed_descriptors, report_unwritable

EXIT_USAGE = 2


class _ArgumentParser(argparse.ArgumentParser):
    """Reports an error in one line, since the usage that argparse prints fills a screen for `lab`.

    Options cannot be abbreviated, because a new option could change what an abbreviation means.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        text = message.removeprefix("argument ")
        self.exit(EXIT_USAGE, f"{self.prog}: {text} (see {self.prog} --help)\n")


class _CommandParser(_ArgumentParser):
    """Parses the arguments of one command. Unknown arguments are reported with the help of the
    command, and not with that of `cucmd`, which does not list the command's options.
    """

    def parse_known_args(self, *args: Any, **more: Any) -> Any:
        known, unknown = super().parse_known_args(*args, **more)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit code of the process."""
    try:
        args = _parse(list(sys.argv[1:] if argv is None else argv))
        return int(COMMANDS[args.command](args))
    except KeyboardInterrupt:
        return 130
    except Unwritable as unwritable:
        return report_unwritable(unwritable)
    except CannotStart as reason:  # for example, a library does not work on this Python
        print(f"cucmd: {reason}", file=sys.stderr)
        return EXIT_UNAVAILABLE


def _parse(arguments: list[str]) -> argparse.Namespace:
    first = arguments[0] if arguments else "--"
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        first, arguments = "serve", ["serve", *arguments]  # the default, with its own options
    parser = _parser(first)
    if not first.startswith("-") and first not in COMMANDS:
        parser.error(f"{first!r} is not a command; expected one of {', '.join(COMMANDS)}")
    return parser.parse_args(arguments)


def _parser(command: str) -> argparse.ArgumentParser:
    parser = _ArgumentParser(
        prog="cucmd",
        description="Collects the logs of every node of a Cisco Unified CM cluster at once.",
        epilog="Without a command: serve. Jobs are started with cucmctl.",
    )
    parser.add_argument("--version", action="version", version=f"cucmd {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    serve = commands.add_parser("serve", help="run the daemon in the foreground")
    serve.add_argument("--config", type=Path, metavar="FILE", help="the configuration")
    serve.add_argument("--socket", type=Path, metavar="PATH", help="the socket to listen at")
    serve.add_argument("--state-dir", type=Path, metavar="DIR", help="where state is kept")
    volume = serve.add_mutually_exclusive_group()
    volume.add_argument("--verbose", action="store_true", help="log in detail")
    volume.add_argument("--quiet", action="store_true", help="log warnings and errors only")
    check = commands.add_parser("check", help="check the configuration and print what it sets")
    check.add_argument("--config", type=Path, metavar="FILE", help="the configuration")
    check.add_argument("--all", action="store_true", help="print the defaults too")
    commands.add_parser("demo", help="run a job on three simulated nodes, on loopback")
    lab = commands.add_parser("lab", help="run simulated nodes, with faults if asked")
    if command == "lab":
        from cucmlab.command import add_arguments  # noqa: PLC0415  heavy; only `lab` needs it

        add_arguments(lab)
    return parser


def _serve(args: argparse.Namespace) -> int:
    # If standard error is closed, the daemon runs without a log. This comes before the imports,
    # because the libffi of Debian 14 opens a file when it is loaded. That file would get the number
    # of standard error.
    open_closed_descriptors()
    from cucmd.service.current_config import Options  # noqa: PLC0415  likewise
    from cucmd.service.daemon import run  # noqa: PLC0415  heavy, and only for this one

    level = logging.DEBUG if args.verbose else logging.WARNING if args.quiet else logging.INFO
    return run(Options(args.config, args.socket, args.state_dir, level), os.environ)


def _check(args: argparse.Namespace) -> int:
    from cucmd.config.check_command import STORES, check  # noqa: PLC0415  only `check` needs it
    from cucmd.worker.confine import missing_protections  # noqa: PLC0415  likewise

    # The output is printed afterwards, so that an OSError of the check itself (a file that cannot
    # be read) is not reported as an error of standard output.
    out, err = io.StringIO(), io.StringIO()
    code = check(
        args.config,
        os.environ,
        out,
        err,
        everything=args.all,
        stores=STORES if os.geteuid() == 0 else (),
    )
    for line in missing_protections():
        print(line, file=err)
    with checked_stdout():
        print(err.getvalue(), end="", file=sys.stderr)
        print(out.getvalue(), end="")
    return code


def _demo(_args: argparse.Namespace) -> int:
    from cucmlab.demo import demo  # noqa: PLC0415  only `demo` needs it

    return demo()


def _lab(args: argparse.Namespace) -> int:
    from cucmlab.command import run  # noqa: PLC0415  heavy; only `lab` needs it

    return run(args)


COMMANDS = {"serve": _serve, "check": _check, "demo": _demo, "lab": _lab}
