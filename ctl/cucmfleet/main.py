"""Runs the command lines of `cucmhub` and `cucmagent`.

What needs the extra `fleet` is imported only when it is used.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import trio

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError, VerbParser, checked_by
from cucmctl.cli.printer import note
from cucmd import __version__
from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmd.stdout import checked_stdout
from cucmd.toml_file import ConfigError
from cucmfleet import config

HUB = "cucmhub"
EXIT_CONFIG = 78  # EX_CONFIG, as `cucmd` has it


def hub(argv: Sequence[str] | None = None) -> int:
    """Runs `cucmhub`. Returns its exit code."""
    what = "The jobs of several sites, which dial out to NATS."
    parser = VerbParser(prog=HUB, description=what, allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="run the hub in the foreground", allow_abbrev=False)
    demo = commands.add_parser("demo", help="show three simulated sites", allow_abbrev=False)
    demo.set_defaults(run=_demo)
    site = commands.add_parser("site", help="add, list and remove sites", allow_abbrev=False)
    verbs = site.add_subparsers(metavar="COMMAND", required=True, dest="verb")
    add = verbs.add_parser("add", help="make a key, and print the file of the agent")
    add.add_argument("name", metavar="SITE", type=checked_by(config.check_site))
    url = "as the site reaches NATS: tls://HOST:PORT"
    add.add_argument("--server", metavar="URL", type=checked_by(config.check_server), help=url)
    listing = verbs.add_parser("list", help="list the sites")
    remove = verbs.add_parser("remove", help="end the rights of a site")
    remove.add_argument("name", metavar="SITE")
    _add_config(serve, config.HUB_FILE, partial(_serve, "hub", config.load_hub))
    for verb in (add, listing, remove):
        _add_config(verb, config.HUB_FILE, _site)
    return _run(parser, argv)


def agent(argv: Sequence[str] | None = None) -> int:
    """Runs `cucmagent`. Returns its exit code."""
    what = "Carries out the commands of a hub at the cucmd of this site."
    parser = VerbParser(prog="cucmagent", description=what, allow_abbrev=False)
    _add_config(parser, config.AGENT_FILE, partial(_serve, "agent", config.load_agent))
    return _run(parser, argv)


def _add_config(
    parser: argparse.ArgumentParser, path: Path, run: Callable[[argparse.Namespace], None]
) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, default=path, help=str(path))
    parser.set_defaults(run=run)


def _run(parser: VerbParser, argv: Sequence[str] | None) -> int:
    parser.add_argument("--version", action="version", version=f"{parser.prog} {__version__}")
    try:
        arguments = parser.parse_args(argv)
        arguments.run(arguments)
    except UsageError as error:
        text, code = str(error), exits.USAGE
    except ConfigError as error:
        text, code = str(error), EXIT_CONFIG
    except ModuleNotFoundError:
        text, code = "needs pip install 'cucmd[fleet]'", exits.UNAVAILABLE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        text, code = f"{where}{error.strerror or error}", exits.UNAVAILABLE
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    else:
        return exits.DONE
    note(text, parser.prog)
    return code


def _demo(_arguments: argparse.Namespace) -> None:
    from cucmfleet.demo import demo  # noqa: PLC0415  # only `demo` needs it

    raise SystemExit(demo())


def _serve(name: str, load: Callable[[Path], Any], arguments: argparse.Namespace) -> None:
    """Runs the program in a module of this package."""
    settings = load(arguments.config)
    program = import_module(f"cucmfleet.{name}")  # not before, because it needs nats-py
    trio.run(_until_signal, partial(program.run, settings))


async def _until_signal(program: Callable[..., Any]) -> None:
    """Runs a program until SIGTERM or SIGINT. Raises `OSError` if it cannot start."""
    set_up_logging(logging.INFO)
    log = logging.getLogger("cucmfleet")
    error: BaseException | None = None
    try:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(program)
                systemd.notify(READY=1)
                log.info("stopping on %s", signal.Signals(await anext(signals)).name)
                systemd.notify(STOPPING=1)
                nursery.cancel_scope.cancel()
    except* OSError as group:
        error = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    if error is not None:
        raise error


def _site(arguments: argparse.Namespace) -> None:
    """Adds, lists or removes sites."""
    from cucmfleet import keys  # noqa: PLC0415  # it needs nkeys

    settings = config.load_hub(arguments.config)
    state, lines = Path(settings.state_directory), {}
    if arguments.verb == "add":
        lines = {"site": arguments.name, "servers": [arguments.server or settings.servers[0]]}
        lines |= {"ca": "/etc/cucmagent/ca.pem"} if settings.ca else {}
        lines["secret_key"] = keys.add_site(state, arguments.name)
    elif arguments.verb == "remove":
        keys.remove_site(state, arguments.name)
    with checked_stdout():
        for name, value in lines.items():
            print(f"{name} = {json.dumps(value)}")
        for name, key in keys.read_sites(state).items() if arguments.verb == "list" else ():
            print(f"{name} {key}")
    if arguments.verb != "list":
        command = settings.reload_server
        if not command or subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
            note("nats-server has to read its users: systemctl reload-or-restart nats-server", HUB)
