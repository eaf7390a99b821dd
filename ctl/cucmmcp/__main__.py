"""Runs the program `cucmmcp`: serves an assistant over standard input and output."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
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

EXIT_CONFIG = 78  # EX_CONFIG, as `cucmd` has it


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
        args = parser.parse_args(argv)
        config = Config() if args.config is None else _config(args.config)
    except UsageError as error:
        return _report(str(error), exits.USAGE)
    except ConfigError as error:
        return _report(str(error), EXIT_CONFIG)
    if find_spec("mcp") is None:
        return _report("the SDK is not installed: pip install 'cucmd[mcp]'", exits.UNAVAILABLE)
    try:
        return _serve(args, config)
    except (exits.Failed, OSError) as error:  # of the key of the masks
        return _report(str(error), exits.UNAVAILABLE)


def _config(path: Path) -> Config:
    file = read(path)
    return file.convert((), file.table((), file.document, Config.__struct_fields__), Config)


def _serve(args: argparse.Namespace, config: Config) -> int:
    import anyio  # noqa: PLC0415  # these need the extra

    from cucmmcp.masking import Masking  # noqa: PLC0415
    from cucmmcp.server import make_server  # noqa: PLC0415
    from cucmmcp.tools import Session  # noqa: PLC0415
    from cucmtrio import open_client  # noqa: PLC0415

    masking = None
    if args.mask:
        with Client(args.socket) as blocking:
            masking = Masking(key_folder(os.environ), known_hosts(blocking))

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Session]:
        async with open_client(args.socket) as client:
            yield Session(client, args.operate, masking, config.export_folder)

    try:
        anyio.run(make_server(lifespan).run_stdio_async, backend="trio")
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return exits.DONE


def _report(text: str, code: int) -> int:
    if sys.stderr is not None:  # None if it was closed before the start
        print(f"cucmmcp: {visible(text)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
