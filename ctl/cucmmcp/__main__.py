"""Runs the program `cucmmcp`: serves an assistant over standard input and output."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError, VerbParser
from cucmctl.cli.printer import visible
from cucmd import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until standard input ends. Returns the exit code."""
    about = "The jobs of cucmd for an assistant: an MCP server."
    parser = VerbParser(prog="cucmmcp", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"cucmmcp {__version__}")
    parser.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    help_ = "also start and cancel jobs; the person is asked each time"
    parser.add_argument("--operate", action="store_true", help=help_)
    try:
        args = parser.parse_args(argv)
    except UsageError as error:
        return _report(str(error), exits.USAGE)
    if find_spec("mcp") is None:
        return _report("the SDK is not installed: pip install 'cucmd[mcp]'", exits.UNAVAILABLE)
    import anyio  # noqa: PLC0415  # these need the extra

    from cucmmcp.server import make_server  # noqa: PLC0415
    from cucmmcp.tools import Session  # noqa: PLC0415
    from cucmtrio import open_client  # noqa: PLC0415

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Session]:
        async with open_client(args.socket) as client:
            yield Session(client, may_operate=args.operate)

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
