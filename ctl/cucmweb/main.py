"""Runs the command line of `cucmweb`: serve, demo, and the tokens.

The server is imported only for `serve`, so that tokens can be made without the extra `web`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from cucmctl.cli import exits
from cucmctl.cli.options import VerbParser, checked_by
from cucmctl.cli.printer import line, note
from cucmctl.cli.program import run_program
from cucmctl.text.table import table
from cucmd.stdout import checked_stdout
from cucmweb import token_file
from cucmweb.config import Role, load, parse_listen
from cucmweb.token_file import read_token_file
from cucmweb.tokens import check_name

MOST_DAYS = 36_500


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code."""
    return run_program(_parser(), argv, "web")


def _parser() -> VerbParser:
    parser = VerbParser(
        prog="cucmweb", description="The jobs of cucmd over HTTP.", allow_abbrev=False
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="serve HTTP, in the foreground", allow_abbrev=False)
    serve.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    serve.add_argument(
        "--listen", metavar="ADDRESS", type=checked_by(parse_listen), help="unix:PATH or HOST:PORT"
    )
    exposing = "serve TCP, which is not encrypted, to other machines too"
    serve.add_argument("--trusted-network", action="store_true", help=exposing)
    _add_config(serve, _serve)
    demo = commands.add_parser(
        "demo", help="show the page with simulated nodes, until Ctrl-C", allow_abbrev=False
    )
    demo.add_argument("--port", metavar="N", type=int, default=8080, help="TCP port (8080)")
    demo.set_defaults(run=_demo)
    token = commands.add_parser("token", help="make, list and revoke tokens", allow_abbrev=False)
    verbs = token.add_subparsers(metavar="COMMAND", required=True)
    add = verbs.add_parser("add", help="make a token and print it once", allow_abbrev=False)
    add.add_argument(
        "name", metavar="NAME", type=checked_by(check_name), help="its owner, as jobs show it"
    )
    add.add_argument("--role", required=True, choices=get_args(Role), help="what it permits")
    add.add_argument("--days", metavar="N", type=_days, help="until it expires; default: never")
    _add_config(add, _add)
    _add_config(verbs.add_parser("list", help="list the tokens", allow_abbrev=False), _list)
    revoke = verbs.add_parser("revoke", help="revoke a token at once", allow_abbrev=False)
    revoke.add_argument("name", metavar="NAME", help="its owner")
    _add_config(revoke, _revoke)
    return parser


def _add_config(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration file")
    parser.set_defaults(run=run)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST_DAYS):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a whole number of days from 1 to {MOST_DAYS}"
        )
    return int(text)


def _serve(args: argparse.Namespace) -> int:
    from cucmweb.serve import run  # noqa: PLC0415  # it needs h11

    config = load(args.config, os.environ, os.getuid(), socket=args.socket, listen=args.listen)
    run(config, trusts_network=args.trusted_network)
    return exits.DONE


def _demo(args: argparse.Namespace) -> int:
    from cucmweb.demo import demo  # noqa: PLC0415  # it needs the simulated nodes

    return demo(args.port)


def _add(args: argparse.Namespace) -> int:
    file = _file(args)
    try:
        secret = token_file.add(file, args.name, args.role, args.days)
    except OSError as error:
        raise _unwritable(file, error) from error
    with checked_stdout():
        line(secret)
    note("this token is not shown again", "cucmweb")
    return exits.DONE


def _revoke(args: argparse.Namespace) -> int:
    file = _file(args)
    try:
        token_file.revoke(file, args.name)
    except OSError as error:
        raise _unwritable(file, error) from error
    return exits.DONE


def _list(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    tokens = read_token_file(_file(args))
    rows = []
    for token in tokens:
        ends = "never" if token.ends is None else _minute(token.ends)
        ends += " (expired)" if token.is_over(now) else ""
        rows.append((token.name, token.role, _minute(token.created), ends))
    with checked_stdout():
        for text in table(("NAME", "ROLE", "CREATED", "ENDS"), rows, right=""):
            line(text)
    return exits.DONE


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def _file(args: argparse.Namespace) -> Path:
    return Path(load(args.config, os.environ, os.getuid()).tokens)


def _unwritable(file: Path, error: OSError) -> exits.Failed:
    code = exits.NOT_PERMITTED if isinstance(error, PermissionError) else exits.CANNOT_WRITE
    return exits.Failed(f"{file}: cannot be written: {error.strerror or error}", code)
