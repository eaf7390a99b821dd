"""`login` lets the daemon keep a password in memory. `logout` lets the daemon forget it."""

from __future__ import annotations

import argparse

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError, Verb, VerbParser
from cucmctl.cli.typed_times import duration
from cucmctl.client.client import Client
from cucmctl.client.errors import NotAtHub
from cucmctl.commands import lookup
from cucmctl.commands.begin import add_login_options, check_user, login_of
from cucmctl.text import render


def _login_arguments(parser: VerbParser) -> None:
    parser.add_argument(
        "nodes", metavar="TARGET", nargs="+", help="a host, host:port, or a cluster"
    )
    parser.add_argument(
        "--for",
        metavar="TIME",
        dest="duration",
        type=duration,
        help="how long, such as 30m or 2h (default: 30m; at most 12h)",
    )
    parser.add_argument(
        "--accept-nodes",
        action="store_true",
        help="also for nodes that only a discovery has named, when a TARGET was asked",
    )
    add_login_options(parser, credential=False)


def _login(arguments: argparse.Namespace) -> int:
    check_user(arguments)
    if arguments.user is None:
        raise UsageError("--user: is missing; expected the platform administrator's name")
    with Client(arguments.socket) as client:
        try:
            client.all_logins()  # refuses users who may not start jobs, before they are asked
        except NotAtHub:
            text = "a hub keeps no login; start jobs with --credential, and one of the site"
            raise UsageError(text) from None
        targets = lookup.find_nodes(client, arguments.nodes)
        lookup.check_names(client, targets)
        lookup.check_exist(client, targets)
        kept = client.keep_login(
            targets,
            login=login_of(arguments),
            duration=arguments.duration,
            accept_nodes=arguments.accept_nodes,
        )
    lines = [
        printer.visible(
            f"the login of {one.username} for {one.target} is kept until {render.local(one.until)}"
        )
        for one in kept
        if one.target in targets
    ]
    printer.show(kept, lines, as_json=arguments.json)
    printer.note(f"it was not tried; to try it: cucmctl check {' '.join(targets)}")
    return exits.DONE


def _logout_arguments(parser: VerbParser) -> None:
    help_ = "only the login for this node or cluster (default: all of your logins)"
    parser.add_argument("nodes", metavar="TARGET", nargs="*", help=help_)


def _logout(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.forget_login(lookup.find_nodes(client, arguments.nodes) or None)
    if arguments.json:
        printer.json_line(reply)
    elif reply.forgotten:
        logins = "login" if reply.forgotten == 1 else "logins"
        printer.line(f"forgot {reply.forgotten} {logins}")
    if reply.forgotten:
        return exits.DONE
    printer.note("no such login is kept; see cucmctl credentials")
    return exits.NOT_FOUND if arguments.nodes else exits.DONE


COMMANDS = {
    "login": Verb(
        "Lets the daemon keep your password in memory, so that it is not asked for again.\n"
        "It is used only for you and for every TARGET, until the time is over, cucmctl\n"
        "logout, a node refuses it, or the daemon ends. It is not tried now.",
        "  cucmctl login berlin --user administrator\n"
        "  cucmctl login administrator@ccm-pub ccm-sub1 --for 2h",
        "0 done",
        _login_arguments,
        _login,
    ),
    "logout": Verb(
        "Lets the daemon forget your logins, all or those for every TARGET. A job that runs\n"
        "goes on with its login.",
        "  cucmctl logout\n  cucmctl logout berlin",
        "0 done, 5 no login was kept for a TARGET",
        _logout_arguments,
        _logout,
    ),
}
