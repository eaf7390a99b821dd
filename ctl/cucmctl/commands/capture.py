"""`capture`: captures packets on several nodes at the same time.

Options that were not given are not sent, so the daemon's defaults apply.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import exits
from cucmctl.cli.options import OnlyOnce, Verb, VerbParser, add_targets, count
from cucmctl.cli.typed_times import duration
from cucmctl.commands.begin import (
    COLLECTING,
    add_job_options,
    add_wait_options,
    begin_on_nodes,
)
from cucmd.job.work_request import Packets


def _size(text: str) -> int | None:
    return None if text.lower() == "all" else count(text)


def _arguments(parser: VerbParser) -> None:
    parser.usage = (
        "%(prog)s (TARGET ... | --cluster-of NODE)\n"
        "                       [--host IP] [--port N] [--duration TIME]"
    )
    add_targets(parser)
    what = parser.add_argument_group("what to capture")
    add = what.add_argument
    add("--host", metavar="IP", action=OnlyOnce, help="only packets from or to this address")
    add(
        "--port", metavar="N", action=OnlyOnce, type=count, help="only packets from or to this port"
    )
    add(
        "--count",
        metavar="N",
        action=OnlyOnce,
        type=count,
        help="end the capture of a node after N packets (default and maximum: 100000)",
    )
    add("--size", metavar="N|all", type=_size, help="bytes to keep of each packet (default: all)")
    add(
        "--duration",
        metavar="TIME",
        action=OnlyOnce,
        type=duration,
        help="end the capture after TIME, such as 60s or 2m (default: 60s; at most 20m)",
    )
    add("--interface", metavar="NAME", action=OnlyOnce, help="interface of nodes (default: eth0)")
    add(
        "--delete",
        action="store_true",
        help="delete the files of this job from the nodes once they are safe here. "
        "Otherwise, and after a cancel, they stay on the nodes",
    )
    how = add_job_options(parser, COLLECTING)
    add_wait_options(how)


def _capture(arguments: argparse.Namespace) -> int:
    packets = Packets(
        interface=arguments.interface,
        host=arguments.host,
        port=arguments.port,
        count=arguments.count,
        size=arguments.size,
        duration=arguments.duration,
        delete=arguments.delete or None,
    )
    return begin_on_nodes(arguments, "capture", COLLECTING, packets)


COMMANDS = {
    "capture": Verb(
        "Captures packets on every TARGET at the same time, and collects the files. The\n"
        "capture of a node ends after --duration or --count, and that of all nodes with\n"
        "cucmctl stop. A cancelled capture collects nothing. Nodes whose partition for logs\n"
        "is nearly full are left out. So are nodes that are not ready when the others begin.",
        "  cucmctl capture berlin --host 10.20.0.1 --port 5060 --duration 2m --watch\n"
        "  cucmctl capture ccm-pub ccm-sub1 --user administrator --count 5000 --wait",
        exits.STARTED,
        _arguments,
        _capture,
    ),
}
