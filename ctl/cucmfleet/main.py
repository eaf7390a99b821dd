"""Runs the command lines of `cucmhub` and `cucmagent`.

What needs the extra `fleet` is imported only when it is used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from cucmctl.cli import exits
from cucmctl.cli.options import VerbParser
from cucmctl.cli.printer import visible
from cucmd import __version__
from cucmd.stdout import checked_stdout
from cucmd.toml_file import ConfigError

EXIT_CONFIG = 78  # EX_CONFIG, as `cucmd` has it
_HUB_FILE, _AGENT_FILE = "/etc/cucmhub/cucmhub.toml", "/etc/cucmagent/cucmagent.toml"


def hub(argv: Sequence[str] | None = None) -> int:
    """Runs `cucmhub`. Returns its exit code."""
    parser = _parser("cucmhub", "The jobs of several sites, which dial out to NATS.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="run the hub in the foreground", allow_abbrev=False)
    _add_config(serve, _HUB_FILE, _serve_hub)
    demo = commands.add_parser("demo", help="show three simulated sites", allow_abbrev=False)
    demo.set_defaults(run=_demo)
    site = commands.add_parser("site", help="add, list and remove sites", allow_abbrev=False)
    verbs = site.add_subparsers(metavar="COMMAND", required=True)
    add = verbs.add_parser(
        "add", help="make a key, and print the file of the agent", allow_abbrev=False
    )
    add.add_argument("name", metavar="SITE", help="letters, digits, - and _")
    add.add_argument("--server", metavar="URL", help="as the site reaches NATS: tls://HOST:PORT")
    _add_config(add, _HUB_FILE, _add_site)
    _add_config(verbs.add_parser("list", help="list the sites"), _HUB_FILE, _list_sites)
    remove = verbs.add_parser("remove", help="end the rights of a site", allow_abbrev=False)
    remove.add_argument("name", metavar="SITE")
    _add_config(remove, _HUB_FILE, _remove_site)
    return _run(parser, argv)


def agent(argv: Sequence[str] | None = None) -> int:
    """Runs `cucmagent`. Returns its exit code."""
    parser = _parser("cucmagent", "Carries out the commands of a hub at the cucmd of this site.")
    _add_config(parser, _AGENT_FILE, _serve_agent)
    return _run(parser, argv)


def _parser(program: str, what: str) -> VerbParser:
    parser = VerbParser(prog=program, description=what, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser


def _add_config(
    parser: argparse.ArgumentParser, path: str, run: Callable[[argparse.Namespace], None]
) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, default=Path(path), help=path)
    parser.set_defaults(run=run)


def _run(parser: VerbParser, argv: Sequence[str] | None) -> int:
    arguments = parser.parse_args(argv)
    if find_spec("nats") is None or find_spec("nkeys") is None:
        return _report(parser, "needs pip install 'cucmd[fleet]'", exits.UNAVAILABLE)
    from cucmfleet.keys import NoSuchSite, SiteExists  # noqa: PLC0415  # it needs nkeys

    try:
        arguments.run(arguments)
    except ConfigError as error:
        return _report(parser, str(error), EXIT_CONFIG)
    except (NoSuchSite, SiteExists) as error:
        return _report(parser, str(error), exits.USAGE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _report(parser, f"{where}{error.strerror or error}", exits.UNAVAILABLE)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return exits.DONE


def _report(parser: VerbParser, text: str, code: int) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{parser.prog}: {visible(text)}", file=sys.stderr, flush=True)
    return code


def _demo(_arguments: argparse.Namespace) -> None:
    from cucmfleet.demo import demo  # noqa: PLC0415  only `demo` needs it

    raise SystemExit(demo())


def _serve_hub(arguments: argparse.Namespace) -> None:
    from cucmfleet import config, hub  # noqa: PLC0415  # they need nats-py

    hub.run(config.load_hub(arguments.config))


def _serve_agent(arguments: argparse.Namespace) -> None:
    from cucmfleet import agent, config  # noqa: PLC0415  # likewise

    agent.run(config.load_agent(arguments.config))


def _add_site(arguments: argparse.Namespace) -> None:
    from cucmfleet import config, keys  # noqa: PLC0415  # they need nkeys

    settings = config.load_hub(arguments.config)
    address = arguments.server or settings.servers[0]
    try:
        config.check_site(arguments.name)
        config.check_server(address)
    except ValueError as error:
        raise ConfigError("the command line", str(error)) from None
    state = Path(settings.state_directory)
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    keys.hub_seed(state)
    seed = keys.add_site(state, arguments.name)
    lines = {
        "site": arguments.name,
        "servers": [address],
        **({"ca": "/etc/cucmagent/ca.pem"} if settings.ca else {}),
        "secret_key": seed,
    }
    with checked_stdout():
        for name, value in lines.items():
            print(f"{name} = {json.dumps(value)}")
    _tell_server(settings.pid_file)


def _list_sites(arguments: argparse.Namespace) -> None:
    from cucmfleet import config, keys  # noqa: PLC0415  # likewise

    with checked_stdout():
        for name, public in keys.read_sites(
            Path(config.load_hub(arguments.config).state_directory)
        ).items():
            print(f"{name} {public}")


def _remove_site(arguments: argparse.Namespace) -> None:
    from cucmfleet import config, keys  # noqa: PLC0415  # likewise

    settings = config.load_hub(arguments.config)
    keys.remove_site(Path(settings.state_directory), arguments.name)
    _tell_server(settings.pid_file)


def _tell_server(pid_file: str) -> None:
    from cucmfleet import keys  # noqa: PLC0415  # likewise

    if not (pid_file and keys.reload_server(pid_file)) and sys.stderr is not None:
        text = "now let nats-server read its users: systemctl reload-or-restart nats-server"
        print(text, file=sys.stderr)
