"""`cancel`, `stop`, `label` and `reload`: each makes one call and prints the result."""

from __future__ import annotations

import argparse

from cucmctl.cli import printer
from cucmctl.cli.options import Verb, VerbParser, add_job, label, labels_of, no_arguments
from cucmctl.client.client import Client
from cucmctl.commands.watch import SIMULTANEOUS


def _cancel_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument(
        "nodes", metavar="NODE", nargs="*", help="only these nodes, by name or address"
    )


def _cancel(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.cancel(arguments.job, arguments.nodes or None)
    return printer.show(reply, [printer.visible(reply.message)], as_json=arguments.json)


def _stop(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.stop(arguments.job)
    return printer.show(reply, [printer.visible(reply.message)], as_json=arguments.json)


def _label_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument(
        "labels", metavar="KEY=VALUE", type=label, nargs="+", help="KEY= removes a label"
    )


def _label(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        job = client.label(arguments.job, labels_of("KEY=VALUE", arguments.labels))
    lines = [printer.visible(f"{key}={text}") for key, text in sorted((job.labels or {}).items())]
    return printer.show(job, lines, as_json=arguments.json)


def _reload(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.reload()
    if reply.after_restart and not arguments.json:
        printer.note(f"reloaded; these settings need a restart: {', '.join(reply.after_restart)}")
    return printer.show(reply, (), as_json=arguments.json)


COMMANDS = {
    "cancel": Verb(
        "Cancels a job, or only some of its nodes. Nodes that have ended stay as they are.",
        "  cucmctl cancel 3f2a\n  cucmctl cancel 3f2a ccm-sub1 ccm-sub2",
        "0 done",
        _cancel_arguments,
        _cancel,
    ),
    "stop": Verb(
        "Ends a capture on all of its nodes and collects its files, or ends a follow job.",
        "  cucmctl stop 3f2a\n  cucmctl stop @last",
        "0 done, 65 the job is of another kind or has not begun",
        add_job,
        _stop,
        lambda job: job.kind in SIMULTANEOUS,
    ),
    "label": Verb(
        "Adds labels to a job, or changes them, and prints the labels that it has then.",
        "  cucmctl label 3f2a case=698123456\n  cucmctl label 3f2a site=",
        "0 done",
        _label_arguments,
        _label,
    ),
    "reload": Verb(
        "Lets the daemon read its configuration and the known host keys again. If they\n"
        "cannot be used, the daemon keeps the old ones.",
        "  cucmctl reload\n  cucmctl --json reload | jq .after_restart",
        "0 done, 1 the files cannot be used",
        no_arguments,
        _reload,
    ),
}
