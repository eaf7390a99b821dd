"""A new job on nodes and clusters: what `start`, `run`, `check` and `capture` do before it begins.

Nobody is asked for a password before it is known that there is a daemon, and that it knows the
names that were given.

The order

    options          what is wrong with them is said before the daemon is called
    the daemon       is it there; does it know the credential, and the names of the nodes
    the login        the password is asked for
    the clusters     those with a publisher alone are asked for their nodes
    the job          is started, and what follows is `begin`'s
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial

from cucmctl.cli.options import labels_of
from cucmctl.client.client import Client
from cucmctl.commands import lookup
from cucmctl.commands.ask_first import ask_first, targets_of
from cucmctl.commands.begin import Stay, begin, timeouts_of
from cucmctl.commands.login import check_user, login_of
from cucmd.job.asked import Asked, How, Login
from cucmd.protocol.jobs import Job


def begin_on_nodes(
    arguments: argparse.Namespace,
    verb: str,
    timeouts: Iterable[str],
    work: Asked,
    *,
    check: Callable[[Client], None] = lambda client: None,
    check_early: Callable[[], None] = lambda: None,
    stay: Stay | None = None,
) -> int:
    """Starts a job with the options of `begin.add_how`, `add_login_options` and `add_try_all`. The
    exit code.

    timeouts     the names of those that the verb has
    work         what is done on the nodes
    check        looks at what only this verb has, before the password is asked for
    check_early  looks at what the daemon would refuse, where somebody is asked for a password, or a
                 node for its cluster, before the daemon is
    stay         as for `begin`
    """
    given, labels = timeouts_of(arguments, timeouts), labels_of("--label", arguments.label)
    check_user(arguments)
    with Client(arguments.socket) as client:
        client.connect()
        check(client)
        lookup.check_credential(client, arguments.credential)
        targets, discovered = targets_of(client, arguments, verb)
        if discovered or arguments.user is not None:
            check_early()

        def start(login: Login) -> Job:
            ask_first(client, discovered, login, given, reconnect=arguments.reconnect)
            how = How(
                timeouts=given,
                concurrency=arguments.concurrency,
                labels=labels or None,
                try_all=arguments.try_all or None,
                discovered=tuple(discovered) or None,
                accept_nodes=arguments.accept_nodes or None,
            )
            return client.start(targets, work, login=login, how=how)

        return begin(client, arguments, partial(login_of, arguments), start, stay=stay)
