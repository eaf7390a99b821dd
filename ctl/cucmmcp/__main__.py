"""Runs the program `cucmmcp`: serves an assistant over standard input and output."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from msgspec import Struct

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError, VerbParser
from cucmctl.cli.printer import visible
from cucmctl.client.client import Client
from cucmctl.commands.mask import known_hosts
from cucmctl.mask.key import key_folder
from cucmd import __version__
from cucmd.toml_file import ConfigError, read, text

# An error that ends the program before it serves -> the exit code; 78 is EX_CONFIG.
_CODES: dict[type[Exception], int] = {
    UsageError: exits.USAGE,
    ConfigError: 78,
    exits.Failed: exits.UNAVAILABLE,  # the key of the masks cannot be used
    OSError: exits.UNAVAILABLE,
    ModuleNotFoundError: exits.UNAVAILABLE,
}


def _absolute(path: str) -> None:
    if not os.path.isabs(path):
        raise ValueError("expected an absolute path")


class Config(Struct, frozen=True):
    """Holds the configuration. Each field is a key of the file."""

    export_folder: Annotated[str, text(_absolute, may_be_empty=True)] = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until standard input ends. Returns the exit code."""
    about = "The jobs of cucmd for an assistant: an MCP server. See cucmmcp(1)."
    parser = VerbParser(prog="cucmmcp", description=about, allow_abbrev=False)
    add = parser.add_argument
    add("--version", action="version", version=f"cucmmcp {__version__}")
    add("--socket", metavar="PATH", help="the daemon's socket")
    add("--config", metavar="FILE", type=Path, help="the configuration file")
    help_ = "also start and cancel jobs, of which the person is asked each time, and export"
    add("--operate", action="store_true", help=help_)
    add("--mask", action="store_true", help="mask numbers, names and addresses in all answers")
    try:
        _serve(parser.parse_args(argv))
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except tuple(_CODES) as error:
        if sys.stderr is not None:  # None if it was closed before the start
            print(f"cucmmcp: {visible(str(error))}", file=sys.stderr)
        return next(code for kind, code in _CODES.items() if isinstance(error, kind))
    return exits.DONE


def _serve(args: argparse.Namespace) -> None:
    config = Config()
    if args.config is not None:
        try:
            file = read(args.config)
        except OSError as error:
            raise ConfigError(str(args.config), f"cannot be read: {error.strerror}") from None
        members = file.table((), file.document, Config.__struct_fields__)
        config = file.convert((), members, Config)
    try:
        import anyio  # noqa: PLC0415  # these need the extra, and take seconds

        from cucmmcp.server import make_server  # noqa: PLC0415
        from cucmmcp.tools import Session  # noqa: PLC0415
    except ModuleNotFoundError as error:
        text = f"the SDK is not installed ({error}): pip install 'cucmd[mcp]'"
        raise ModuleNotFoundError(text) from None
    from cucmctl.mask.pieces import PieceMasking  # noqa: PLC0415
    from cucmtrio import open_client  # noqa: PLC0415

    masking = None
    if args.mask:
        with Client(args.socket) as blocking:
            masking = PieceMasking(key_folder(os.environ), known_hosts(blocking))

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Session]:
        async with open_client(args.socket) as client:
            yield Session(client, args.operate, masking, config.export_folder)

    anyio.run(make_server(lifespan).run_stdio_async, backend="trio")


if __name__ == "__main__":
    sys.exit(main())
