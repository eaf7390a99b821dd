"""Runs the command line of `cucmweb`: serve, demo, and the tokens.

The server is imported only for `serve`, so that tokens can be made without the extra `web`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError, VerbParser, checked_by
from cucmctl.cli.printer import abandon_stdout, line, note
from cucmctl.text.table import table
from cucmd import __version__
from cucmd.stdout import Unwritable, checked_stdout
from cucmd.toml_file import ConfigError
from cucmweb import token_file
from cucmweb.config import Role, load, parse_listen
from cucmweb.listeners import CannotListen
from cucmweb.token_file import NoSuchToken, TokenExists, read_token_file
from cucmweb.tokens import check_name

EXIT_CONFIG = 78  # EX_CONFIG, as `cucmd` has it
MOST_DAYS = 36_500


_EXITS: dict[type[Exception], int] = {
    UsageError: exits.USAGE,
    TokenExists: exits.USAGE,
    NoSuchToken: exits.NOT_FOUND,
    CannotListen: exits.UNAVAILABLE,
    ConfigError: EXIT_CONFIG,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code."""
    try:
        args = _parser().parse_args(argv)
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except tuple(_EXITS) as error:
        return _report(str(error), _EXITS[type(error)])
    except Unwritable as error:
        abandon_stdout()
        if error.reader_has_gone:  # as in `cucmweb token list | head`: no error for the user
            return exits.PIPE_CLOSED
        return _report(str(error), exits.CANNOT_WRITE)
    except KeyboardInterrupt:
        return exits.INTERRUPTED


def _parser() -> VerbParser:
    parser = VerbParser(
        prog="cucmweb", description="The jobs of cucmd over HTTP.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"cucmweb {__version__}")
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
    if find_spec("h11") is None:
        return _report("h11 is not installed: pip install 'cucmd[web]'", exits.UNAVAILABLE)
    config = load(args.config, os.environ, os.getuid(), socket=args.socket, listen=args.listen)
    from cucmweb.serve import run  # noqa: PLC0415  # it needs h11

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
        return _unwritable(file, error)
    with checked_stdout():
        line(secret)
    return _report("this token is not shown again", exits.DONE)


def _revoke(args: argparse.Namespace) -> int:
    file = _file(args)
    try:
        token_file.revoke(file, args.name)
    except OSError as error:
        return _unwritable(file, error)
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


def _unwritable(file: Path, error: OSError) -> int:
    code = exits.NOT_PERMITTED if isinstance(error, PermissionError) else exits.CANNOT_WRITE
    return _report(f"{file}: cannot be written: {error.strerror or error}", code)


def _report(text: str, code: int) -> int:
    """Prints a message on standard error, and returns the exit code."""
    note(text, "cucmweb")
    return code
