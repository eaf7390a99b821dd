"""`cucmd lab`: simulated nodes in the foreground.

Standard output carries JSON lines only: where the nodes are, and the report.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
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

from cucmd.lab.faults import Fault, help_lines, parse_fault
from cucmd.lab.laboratory import Lab, new_host_key, open_lab
from cucmd.lab.options import ALGORITHMS, Auth, Extra, Form, LabOptions, Prompt
from cucmd.lab.tree import Shape
from cucmd.ssh.bridge import open_bridge
from cucmd.stdout import Unwritable, abandon, give_up, written

_DEFAULT = LabOptions()
_USAGE = 2
_IN_USE = 1

# More would only exceed the limits of descriptors, memory or dates.
_MOST_NODES = 10_000
_MOST_SESSIONS = 10_000
_MOST_FILES = 10_000  # with a day between them, the oldest is of 27 years ago
_LARGEST_FILE = 10**15
_MOST_SECONDS = 86_400
_MOST_PACKETS = 100_000
_MOST_DIGITS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cucmd lab`; every fault is listed in `--help`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Simulated nodes on loopback addresses, in the foreground. Once they listen,\n"
        'one JSON line: {"nodes": [...], "username": "...", "password": "..."}.'
    )
    parser.epilog = "\n".join(help_lines())
    _add_nodes(parser)
    _add_login(parser)
    _add_file_get(parser)
    _add_files(parser)
    parser.add_argument(
        "--fault",
        metavar="SPEC",
        type=_typed(parse_fault),
        action="append",
        default=[],
        help="[NODE=]KIND[:STEP][@NUMBER][*TIMES]; may be given more than once",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="write what the nodes saw (JSON) at each SIGUSR1 and at the end; -: a line here",
    )


def _add_nodes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("nodes")
    add = group.add_argument
    add(
        "--nodes",
        type=_count(1, _MOST_NODES),
        default=_DEFAULT.nodes,
        metavar="N",
        help="how many (3)",
    )
    add(
        "--address",
        type=_typed(_loopback),
        default=_DEFAULT.first_address,
        metavar="IP",
        help="of the first; the others count up (127.1.0.1)",
    )
    add(
        "--port",
        type=_count(0, 65535),
        default=_DEFAULT.port,
        metavar="N",
        help="2022; 0: any free",
    )
    add("--host-key", metavar="FILE", help="a private key; made if it is not there")
    add("--algorithms", choices=sorted(ALGORITHMS), default=_DEFAULT.algorithms)


def _add_login(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("login").add_argument
    add("--user", default=_DEFAULT.username, metavar="NAME", help="administrator")
    add("--password", default=_DEFAULT.password, metavar="TEXT")
    add("--auth", type=Auth, choices=list(Auth), default=_DEFAULT.auth)
    add(
        "--max-sessions", type=_count(1, _MOST_SESSIONS), default=_DEFAULT.max_sessions, metavar="N"
    )
    add("--logon-message", default="", metavar="TEXT", help="printed before the greeting")
    add(
        "--banner-delay", type=_seconds, default=0.0, metavar="S", help="the greeting takes so long"
    )
    add("--prompt", type=Prompt, choices=list(Prompt), default=_DEFAULT.prompt)


def _add_file_get(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("file get").add_argument
    add("--form", type=Form, choices=list(Form), default=_DEFAULT.form)
    add("--extra-question", type=Extra, choices=list(Extra), default=_DEFAULT.extra_question)
    add("--ask-host-key", action="store_true", help="ask about the receiver's key")
    add("--sizing-delay", type=_seconds, default=0.0, metavar="S")
    add("--greeting-patience", type=_seconds, default=5.0, metavar="S", help="with the receiver")
    add("--unreachable-silence", type=_seconds, default=120.0, metavar="S")
    add("--timezone", type=_typed(_zone), default=_DEFAULT.timezone, metavar="AREA/CITY")


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("files and packets").add_argument
    shape = _DEFAULT.shape
    add("--stamps", action="store_true", help="traces begin and end with lines that have times")
    add(
        "--files",
        type=_count(1, _MOST_FILES),
        default=shape.files,
        metavar="N",
        help="SDL traces (12)",
    )
    add(
        "--size",
        type=_count(0, _LARGEST_FILE),
        default=shape.size,
        metavar="BYTES",
        help="of a trace (200000)",
    )
    add("--spread", type=_count(0, 100), default=0, metavar="PERCENT", help="sizes differ so much")
    add("--every", type=_seconds, default=shape.every, metavar="S", help="a trace each S (420)")
    add(
        "--packets",
        type=_count(0, _MOST_PACKETS),
        default=_DEFAULT.packets,
        metavar="N",
        help="a second, on a node's network (40)",
    )


# -- values of options; argparse names the option and exits with 2


def _typed(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Makes argparse print the text of a ValueError instead of its own."""

    def check(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return check


def _count(least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        # Python refuses to read thousands of digits, in words of its own.
        readable = text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS
        if not (readable and least <= int(text) <= most):
            raise ValueError(f"{text!r}: expected a whole number from {least} to {most}")
        return int(text)

    return _typed(check)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, from 0 to {_MOST_SECONDS}")
    return seconds


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
    """Runs until SIGTERM or SIGINT. Returns the exit status."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        options = _options(args)
    except ValueError as error:
        print(f"cucmd lab: {error}", file=sys.stderr)
        return _USAGE
    try:
        _check_report(args.report)
    except OSError as error:
        print(f"cucmd lab: --report {args.report}: {error.strerror}", file=sys.stderr)
        return _USAGE
    _raise_descriptor_limit()
    return trio.run(_serve, options, args.report)


def _options(args: argparse.Namespace) -> LabOptions:
    faults: tuple[Fault, ...] = tuple(args.fault)
    for fault in faults:
        if fault.node is not None and fault.node > args.nodes:
            raise ValueError(f"fault for node {fault.node}: expected a node from 1 to {args.nodes}")
    return LabOptions(
        nodes=args.nodes,
        first_address=args.address,
        port=args.port,
        username=args.user,
        password=args.password,
        auth=args.auth,
        algorithms=args.algorithms,
        host_key=_host_key(args.host_key),
        max_sessions=args.max_sessions,
        logon_message=args.logon_message,
        banner_delay=args.banner_delay,
        prompt=args.prompt,
        form=args.form,
        extra_question=args.extra_question,
        ask_host_key=args.ask_host_key,
        sizing_delay=args.sizing_delay,
        greeting_patience=args.greeting_patience,
        unreachable_silence=args.unreachable_silence,
        timezone=args.timezone,
        shape=Shape(args.files, args.size, args.spread, args.every),
        packets=args.packets,
        stamps=args.stamps,
        faults=faults,
    )


def _host_key(path: str | None) -> bytes | None:
    """The private key in the file, which is made if it is not there. Raises ValueError."""
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
    """Each node listens, and has connections: 1024 descriptors are too few for 400 nodes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(options: LabOptions, report: str | None) -> int:
    """Serves until a signal. An OSError of listening is one line for the user, no traceback."""
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
            except Unwritable as unwritable:  # the nodes are of no use without it
                return give_up(unwritable)
            async for number in signals:
                if number != signal.SIGUSR1:
                    break
                _report(lab, report)
        _report(lab, report)
    return 0


def _check_report(to: str | None) -> None:
    """Raises `OSError` if no report can be written there. Called before a node listens."""
    if to not in (None, "-"):
        if Path(to).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), to)
        new = Path(f"{to}.new")
        new.touch()
        new.unlink()


def _report(lab: Lab, to: str | None) -> None:
    """Writes the report to a file, which is complete at any moment; `-` is standard output.

    If it cannot be written, a message says so and the nodes go on.
    """
    if to == "-":
        try:
            _print(lab.report())
        except Unwritable as unwritable:
            print(f"cucmd lab: --report -: {unwritable}", file=sys.stderr)
            abandon()
    elif to is not None:
        new = Path(f"{to}.new")
        try:
            new.write_bytes(msgspec.json.format(msgspec.json.encode(lab.report())) + b"\n")
            new.replace(to)
        except OSError as error:
            print(f"cucmd lab: --report {to}: {error.strerror}", file=sys.stderr)


def _print(line: object) -> None:
    """Raises `Unwritable`, but not if only the reader has closed: then the lab goes on."""
    try:
        with written():
            print(msgspec.json.encode(line).decode())
    except Unwritable as unwritable:
        if not unwritable.reader_has_gone:
            raise
        abandon()
