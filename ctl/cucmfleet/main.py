"""Runs the command lines of `cucmhub` and `cucmagent`.

What needs the extra `fleet` is imported only when it is used.
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import trio

from cucmctl.cli import exits
from cucmctl.cli.options import VerbParser, checked_by
from cucmctl.cli.printer import note
from cucmctl.cli.program import run_program
from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmd.stdout import checked_stdout
from cucmfleet import config

_log = logging.getLogger("cucmfleet")


def hub(argv: Sequence[str] | None = None) -> int:
    """Runs `cucmhub`. Returns its exit code."""
    what = "The jobs of several sites, which dial out to NATS."
    parser = VerbParser(prog="cucmhub", description=what, allow_abbrev=False)
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
    return run_program(parser, argv, "fleet")


def agent(argv: Sequence[str] | None = None) -> int:
    """Runs `cucmagent`. Returns its exit code."""
    what = "Carries out the commands of a hub at the cucmd of this site."
    parser = VerbParser(prog="cucmagent", description=what, allow_abbrev=False)
    _add_config(parser, config.AGENT_FILE, partial(_serve, "agent", config.load_agent))
    return run_program(parser, argv, "fleet")


def _add_config(
    parser: argparse.ArgumentParser, path: Path, run: Callable[[argparse.Namespace], None]
) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, default=path, help=str(path))
    parser.set_defaults(run=run)


def _demo(_args: argparse.Namespace) -> int:
    from cucmlab.hub_demo import demo  # noqa: PLC0415  # only `demo` needs it

    return demo()


def _serve(name: str, load: Callable[[Path], Any], args: argparse.Namespace) -> None:
    """Runs the program in a module of this package."""
    set_up_logging(logging.INFO)
    # It warns whenever a connection with TLS ends, because nats-py gives it a protocol without TLS.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    settings = load(args.config)
    program = import_module(f"cucmfleet.{name}")  # not before, because it needs nats-py
    trio.run(_until_signal, partial(program.run, settings))


async def _until_signal(program: Callable[..., Any]) -> None:
    """Runs a program until SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(program)
            systemd.notify(READY=1)
            _log.info("stopping on %s", signal.Signals(await anext(signals)).name)
            systemd.notify(STOPPING=1)
            nursery.cancel_scope.cancel()


def _site(args: argparse.Namespace) -> None:
    """Adds, lists or removes sites. Raises `Failed` if the key of a removed site still works."""
    from cucmfleet import keys  # noqa: PLC0415  # it needs nkeys

    settings, lines = config.load_hub(args.config), []
    state = settings.state_directory
    if args.verb == "list":
        lines = [f"{name} {key}" for name, key in keys.read_sites(state).items()]
    elif args.verb == "remove":
        keys.remove_site(state, args.name)
    else:
        key = keys.add_site(state, args.name)
        lines = [f'site = "{args.name}"', f'servers = ["{args.server or settings.servers[0]}"]']
        lines += ['ca = "/etc/cucmagent/ca.pem"'] if settings.ca else []
        lines += [f'secret_key = "{key}"']
    with checked_stdout():
        for line in lines:
            print(line)
    if args.verb != "list" and not _reloaded(settings.reload_server, args.verb):
        text = "nats-server has to read its users again: twice on SIGHUP, or a restart"
        if args.verb == "remove":
            raise exits.Failed(f"{text}; until then the key still works", exits.FAILED)
        note(text, "cucmhub")


def _reloaded(command: Sequence[str], verb: str) -> bool:
    """Returns whether nats-server was told to read its users again."""
    try:
        # nats-server 2.10 to 2.15 let a new account import something only from the second reload on
        # (`configureAccounts` of server/server.go).
        for again in range(2 if verb == "add" else 1):
            time.sleep(again)
            done = subprocess.run(command, stdout=sys.stderr, check=False) if command else None
            if done is None or done.returncode != 0:
                return False
    except OSError as error:
        note(f"reload_server: {error}", "cucmhub")
        return False
    return True
