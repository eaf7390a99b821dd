"""`reload`: the daemon reads its configuration and the known host keys again.

See `commands/__init__.py`.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command
from cucmctl.client.client import Client


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def _reload(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.reload()
    if arguments.json:
        printer.json_line(reply)
    elif reply.after_restart:
        printer.note(f"reloaded, but not until a restart: {', '.join(reply.after_restart)}")
    return exits.DONE


COMMANDS = {
    "reload": Command(
        "Has the daemon read its configuration and the known host keys again. If they\n"
        "cannot be used, it goes on with the old ones, and the exit code is 1.",
        "  cucmctl reload",
        _no_arguments,
        _reload,
    )
}
