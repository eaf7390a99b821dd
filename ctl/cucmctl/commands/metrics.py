"""`metrics`: prints figures about the daemon in the text format of Prometheus."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError, Verb, VerbParser
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError
from cucmctl.text.metrics import metrics_text


def _metrics_arguments(parser: VerbParser) -> None:
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE",
        type=Path,
        help="replace this file, for the textfile collector of node_exporter",
    )
    parser.add_argument(
        "--per-node", action="store_true", help="with the names of nodes, which may be many"
    )


def _metrics(arguments: argparse.Namespace) -> int:
    file: Path | None = arguments.output
    if file is not None and arguments.json:
        raise UsageError("--json: cannot be combined with --output; give one of them")
    try:
        with Client(arguments.socket) as client:
            figures = client.figures(per_node=arguments.per_node)
    except ClientError:
        if file is not None:  # otherwise the file would show the last figures for ever
            _replace(file, metrics_text(None))
        raise
    if file is not None:
        _replace(file, metrics_text(figures))
        return exits.DONE
    lines = [] if arguments.json else metrics_text(figures).decode().splitlines()
    return printer.show(figures, lines, as_json=arguments.json)


def _replace(file: Path, content: bytes) -> None:
    """Replaces a file at once. The collector runs as another user, and reads only *.prom."""
    temporary = file.with_name(f".{file.name}.new")
    try:
        temporary.write_bytes(content)
        temporary.chmod(0o644)
        os.replace(temporary, file)
    except OSError as error:
        text = f"{file}: cannot be written: {error.strerror or error}"
        raise exits.Failed(text, exits.CANNOT_WRITE) from None


COMMANDS = {
    "metrics": Verb(
        "Prints figures about the daemon for Prometheus: jobs, nodes, failures, bytes, and how\n"
        "long things take. Counts begin when the daemon starts. With -o and no daemon, the\n"
        "file says cucmd_up 0.",
        "  cucmctl metrics | grep nodes_ended\n"
        "  cucmctl metrics -o /var/lib/prometheus/node-exporter/cucmd.prom",
        "0 done",
        _metrics_arguments,
        _metrics,
    ),
}
