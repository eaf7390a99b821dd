"""`cucmd lab`: runs simulated nodes in the foreground.

Standard output has JSON lines only: the addresses and the login of the nodes, then the reports.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncssh
import msgspec
import trio

from cucmd.ssh.bridge import open_bridge
from cucmd.stdout import Unwritable, checked_stdout, discard_buffered, report_unwritable
from cucmlab.faults import help_lines, parse_fault
from cucmlab.laboratory import Lab, open_lab
from cucmlab.options import ALGORITHMS, Extra, LabOptions
from cucmlab.ssh_server import new_host_key

_USAGE = 2
_IN_USE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `cucmd lab`, named as in `LabOptions`; `--help` lists every fault."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Simulated nodes on loopback addresses, in the foreground. Once they listen,\n"
        'one JSON line: {"nodes": [...], "username": "...", "password": "..."}.'
    )
    parser.epilog = "\n".join(help_lines())
    _add_nodes(parser.add_argument_group("nodes").add_argument)
    _add_file_get(parser.add_argument_group("file get").add_argument)
    _add_files(parser.add_argument_group("files and packets").add_argument)
    parser.add_argument(
        "--fault",
        dest="faults",
        metavar="SPEC",
        type=_typed(parse_fault),
        action="append",
        help="[NODE=]KIND[:STEP][@NUMBER][*TIMES]; may be values more than once",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="print what the nodes saw, as a JSON line, at each SIGUSR1 and at the end",
    )
    parser.set_defaults(**{**msgspec.structs.asdict(LabOptions()), "faults": []})


def _add_nodes(add: Callable[..., Any]) -> None:
    add("--nodes", metavar="N", help="number of nodes (3)")
    add(
        "--address",
        type=_typed(_loopback),
        metavar="IP",
        help="address of the first node; the others count up (127.1.0.1)",
    )
    add("--port", metavar="N", help="TCP port (2022); 0 for any free port")
    add("--host-key", metavar="FILE", help="file of the private host key; created if missing")
    add("--algorithms", choices=sorted(ALGORITHMS))
    add("--user", metavar="NAME", help="administrator")
    add("--password", metavar="TEXT")
    add("--logon-message", metavar="TEXT", help="printed before the greeting")
    add("--banner-delay", metavar="S", help="seconds that the greeting takes")
    add("--timezone", type=_typed(_zone), metavar="AREA/CITY")


def _add_file_get(add: Callable[..., Any]) -> None:
    add("--extra-question", type=Extra, choices=list(Extra))
    add("--ask-host-key", action="store_true", help="ask about the receiver's key")
    add("--sizing-delay", metavar="S")


def _add_files(add: Callable[..., Any]) -> None:
    add("--stamps", action="store_true", help="traces begin and end with lines that have times")
    add("--files", metavar="N", help="SDL traces (12)")
    add("--size", metavar="BYTES", help="size of a trace (200000)")
    add("--every", metavar="S", help="seconds from one trace to the next (420)")
    add("--packets", metavar="N", help="packets a second on the network of a node (40)")


# -- the values of options: argparse names the option in its message, and exits with 2


def _typed(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wraps `convert` so that argparse prints the text of its ValueError, not a text of its own."""

    def check(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return check


def _loopback(text: str) -> IPv4Address:
    try:
        address = IPv4Address(text)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ValueError(f"{text!r}: expected an address in 127.0.0.0/8")
    return address


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r}: expected a time zone such as Europe/Berlin") from None


# -- running


def run(args: argparse.Namespace) -> int:
    """Runs the nodes until SIGTERM or SIGINT. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        options = _options(args)
    except ValueError as error:
        print(f"cucmd lab: {error}", file=sys.stderr)
        return _USAGE
    _raise_descriptor_limit()
    return trio.run(_serve, options, args.report)


def _options(args: argparse.Namespace) -> LabOptions:
    """Makes the options of the lab. Raises ValueError with a text for the user."""
    values = {name: getattr(args, name) for name in LabOptions.__struct_fields__}
    values["host_key"] = _host_key(args.host_key)
    try:
        options = msgspec.convert(values, LabOptions, strict=False)
    except msgspec.ValidationError as error:
        expected, _, name = str(error).strip("`").partition(" - at `$.")
        expected = expected.partition(", got")[0].replace("Expected `int`", "expected a number")
        raise ValueError(f"--{name.replace('_', '-')}: {expected}") from None
    for fault in options.faults:
        if (fault.node or 1) > options.nodes:
            raise ValueError(f"--fault: node {fault.node}: expected a node up to {options.nodes}")
    return options


def _host_key(path: str | None) -> bytes | None:
    """Reads the private key in the file; creates it if the file is missing. Raises ValueError."""
    if path is None:
        return None
    file = Path(path)
    try:
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(new_host_key().export_private_key())
        key = file.read_bytes()
        asyncssh.import_private_key(key)
    except OSError as error:
        raise ValueError(f"--host-key {path}: {error.strerror}") from None
    except asyncssh.KeyImportError:
        raise ValueError(
            f"--host-key {path}: expected a private key without a passphrase"
        ) from None
    return key


def _raise_descriptor_limit() -> None:
    """Sets the soft limit to the hard limit: 400 nodes and their clients need more than 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(options: LabOptions, report: bool) -> int:
    """Runs the nodes until a signal comes. Prints one line if they cannot listen at an address."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as signals:
        async with open_bridge(), AsyncExitStack() as stack:
            try:
                lab = await stack.enter_async_context(open_lab(options))
            except OSError as error:
                print(f"cucmd lab: {error.strerror}", file=sys.stderr)
                return _IN_USE
            login = {"username": lab.username, "password": lab.password}
            try:
                _print({"nodes": lab.addresses, **login})
            except Unwritable as unwritable:  # nobody can use the nodes without this line
                return report_unwritable(unwritable)
            async for number in signals:
                if number != signal.SIGUSR1:
                    break
                if report:
                    _print_report(lab)
        if report:
            _print_report(lab)
    return 0


def _print_report(lab: Lab) -> None:
    """Prints the report. If that fails, prints a message instead, and the nodes go on."""
    try:
        _print(lab.report())
    except Unwritable as unwritable:
        print(f"cucmd lab: --report: {unwritable}", file=sys.stderr)
        discard_buffered()


def _print(line: object) -> None:
    """Prints a line of JSON. Raises `Unwritable`, except if the reader has closed its end.

    The lab goes on without a reader, because its nodes can still be used.
    """
    try:
        with checked_stdout():
            print(msgspec.json.encode(line).decode())
    except Unwritable as unwritable:
        if not unwritable.reader_has_gone:
            raise
        discard_buffered()
