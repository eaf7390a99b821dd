"""`hostkeys`: the host keys of nodes that the daemon knows.

See `commands/__init__.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Command, UsageError
from cucmctl.client.client import Client
from cucmctl.text.table import table
from cucmd.protocol.knowledge import HostKey

ACTIONS = ("list", "add", "forget")


def _arguments(parser: argparse.ArgumentParser) -> None:
    help_ = "list (the default), add or forget"
    parser.add_argument(
        "action", metavar="ACTION", nargs="?", choices=ACTIONS, default="list", help=help_
    )
    parser.add_argument("node", metavar="NODE", nargs="?", help="for add and forget: the node")
    parser.add_argument(
        "--key", metavar="KEY", help="with add: this key; without, the one that the node shows now"
    )


def host_keys(keys: Iterable[HostKey], *, colour: bool = False) -> Iterator[str]:
    """A table of them."""
    rows = ((key.node, key.algorithm, key.fingerprint) for key in keys)
    return table(("NODE", "KEY", "FINGERPRINT"), rows, right="", colour=colour)


def _hostkeys(arguments: argparse.Namespace) -> int:
    action, node = arguments.action, arguments.node
    if action == "list" and node is not None:
        raise UsageError(f"NODE: {node!r} was given, but list shows the keys of all nodes")
    if action != "list" and node is None:
        raise UsageError(f"NODE: none was given; expected the node whose key to {action}")
    if action != "add" and arguments.key is not None:
        raise UsageError(f"--key: goes with add, not with {action}")
    with Client(arguments.socket) as client:
        if action == "list":
            return _show(client.host_keys(), as_json=arguments.json)
        if action == "add":
            return _add(client, arguments)
        return _forget(client, arguments)


def _show(keys: Sequence[HostKey], *, as_json: bool) -> int:
    # the daemon has them in the order in which they were added
    found = sorted(keys, key=lambda key: (key.node, key.algorithm))
    if as_json:
        printer.json_line(found)
    elif not found:
        printer.note("no host keys; to remember one: cucmctl hostkeys add NODE")
    else:
        for text in host_keys(found, colour=printer.in_colour(sys.stdout)):
            printer.line(text)
    return exits.DONE


def _add(client: Client, arguments: argparse.Namespace) -> int:
    _show(client.add_host_key(arguments.node, arguments.key), as_json=arguments.json)
    if arguments.key is None:  # nobody has checked the key that came over the network
        printer.note("as the node shows it now: compare it with what its administrator has")
    return exits.DONE


def _forget(client: Client, arguments: argparse.Namespace) -> int:
    reply = client.forget_host_key(arguments.node)
    if arguments.json:
        printer.json_line(reply)
    elif reply.forgotten:
        keys = "key" if reply.forgotten == 1 else "keys"
        printer.line(f"forgot {reply.forgotten} {keys} of {printer.visible(arguments.node)}")
    if reply.forgotten:
        return exits.DONE
    printer.note(f"no key of {arguments.node!r} is remembered; see cucmctl hostkeys list")
    return exits.NOT_FOUND


COMMANDS = {
    "hostkeys": Command(
        "Lists the host keys of nodes that the daemon knows, with their fingerprints;\n"
        "adds one before the first job, or forgets those of a node that was reinstalled.",
        "  cucmctl hostkeys\n  cucmctl hostkeys add ccm-pub\n"
        "  cucmctl hostkeys add ccm-pub --key 'ssh-rsa AAAA...'\n"
        "  cucmctl hostkeys forget ccm-pub",
        _arguments,
        _hostkeys,
    )
}
