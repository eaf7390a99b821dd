"""What the verbs share that start something: options, and what follows the daemon's answer.

Once the daemon has answered, no message and no exit code asks to do it again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Once, label, nodes_at_once, seconds
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError, InvalidRequest
from cucmctl.commands.ask_first import AskingInterrupted
from cucmctl.commands.follow import add_reconnect, follow, report_job_goes_on, view_on
from cucmctl.text.views import JsonLines, Silent
from cucmd.job.asked import Timeouts
from cucmd.protocol.jobs import Job

# The timeouts of a job that collects files, and what each is for.
COLLECTING = {
    "connect": "to reach a node",
    "login": "from connected to the first prompt",
    "answer": "for a plain command such as show status",
    "command": "for each file get",
    "stall": "without a byte of a transfer",
    "node": "for a whole node",
    "job": "for the whole job",
}


def add_login_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("login on the nodes")
    group.add_argument("--user", metavar="NAME", action=Once, help="the platform administrator")
    secret = group.add_mutually_exclusive_group()
    secret.add_argument(
        "--password-file",
        metavar="FILE",
        action=Once,
        help="its first line; - is standard input",
    )
    secret.add_argument(
        "--credential", metavar="NAME", action=Once, help="one that the daemon was given"
    )


def add_how(group: argparse._ArgumentGroup, timeouts: Mapping[str, str]) -> None:
    """`timeouts`: the names of those that such a job has, and what each is for."""
    for name, meaning in timeouts.items():
        group.add_argument(f"--{name}-timeout", metavar="S", type=seconds, help=meaning)
    group.add_argument("--concurrency", metavar="N", type=nodes_at_once, help="nodes at once")
    group.add_argument(
        "--label",
        metavar="KEY=VALUE",
        type=label,
        action="append",
        default=[],
        help="to find the job by, as case=698123456; may be repeated",
    )
    group.add_argument(
        "--accept-nodes",
        action="store_true",
        help="send a credential that is tied to a cluster to the nodes that it has named, too",
    )


def timeouts_of(arguments: argparse.Namespace, names: Iterable[str]) -> Timeouts | None:
    """Those that were given; None: none of them was."""
    given = {name: getattr(arguments, f"{name}_timeout") for name in names}
    return Timeouts(**given) if any(value is not None for value in given.values()) else None


def add_try_all(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--try-all",
        action="store_true",
        help="go on with a login that two nodes have refused; accounts may be locked",
    )


def add_stay_options(group: argparse._ArgumentGroup) -> None:
    stay = group.add_mutually_exclusive_group()
    stay.add_argument("--wait", action="store_true", help="wait until the job has ended")
    stay.add_argument("--watch", action="store_true", help="follow it until it has ended")
    add_reconnect(group)


Stay: TypeAlias = Callable[[Client, Job, argparse.Namespace], int]
L = TypeVar("L")


def begin(
    client: Client,
    arguments: argparse.Namespace,
    ask: Callable[[], L],
    call: Callable[[L], Job],
    *,
    done: str = "started",
    stay: Stay | None = None,
) -> int:
    """Calls the daemon, and stays until the job has ended if that is wanted. The exit code.

    ask   gives the login; it may ask for a password
    call  calls the daemon with that
    done  what has become of the job then, for messages
    stay  what follows the answer; without it, what the options of `add_stay_options` say
    """
    try:
        login = ask()
    except KeyboardInterrupt:
        printer.note("interrupted; nothing was started")
        return exits.INTERRUPTED
    try:
        job = call(login)
    except AskingInterrupted:
        printer.note("nothing else was started")
        return exits.INTERRUPTED
    except KeyboardInterrupt:
        printer.note("interrupted before the daemon answered; did it begin? cucmctl list")
        return exits.INTERRUPTED
    except InvalidRequest as error:
        raise _as_typed(error, arguments) from None
    client.close()
    try:
        return (stay or _report)(client, job, arguments)
    except KeyboardInterrupt:  # after the daemon's answer, before it is followed
        report_job_goes_on(job, job.job_id)
        return exits.INTERRUPTED
    except ClientError as error:  # the job was started: it must not be started again
        printer.note(f"{exits.complaint(error)}; the job was {done}: {job.job_id}")
        return exits.UNAVAILABLE
    except OSError:  # the id could not be printed, but the job runs
        printer.note(f"the job was {done}: {job.job_id}")
        raise


def _as_typed(error: InvalidRequest, arguments: argparse.Namespace) -> InvalidRequest:
    """The error, with the cluster's credential named as such if the user has not given one."""
    wrong = error.parameters
    if wrong.parameter != "login.credential" or arguments.credential is not None:
        return error
    reason = f"the login of its cluster cannot be used: {wrong.reason}"
    return InvalidRequest.of("nodes", reason)


def _report(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    """Prints the id on standard output. `--wait` and `--watch` print to standard error."""
    if not arguments.json:
        printer.line(printer.visible(job.job_id))
    elif not arguments.wait and not arguments.watch:
        printer.json_line(job)
    if arguments.watch:
        make_view = JsonLines if arguments.json else lambda: view_on(sys.stderr)
        return follow(client, job.job_id, make_view, reconnect=arguments.reconnect, begun=job)
    if arguments.wait:
        return follow(
            client,
            job.job_id,
            lambda: Silent(sys.stderr, as_json=arguments.json),
            reconnect=arguments.reconnect,
            begun=job,
        )
    return exits.DONE
