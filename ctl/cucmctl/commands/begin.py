"""Starts jobs, for all verbs that do so: their options, and the steps from options to a job.

The password is asked for only when the daemon is known to be there, and to know all names that
were given. Once the daemon has started the job, no message and no exit code asks the user to start
it again.

The order of the steps
    options          errors in the options are reported before the daemon is called
    the daemon       is it there, may this user start jobs, and are the credential and nodes known?
    the login        the password is asked for
    the clusters     clusters with only a publisher are asked for their nodes
    the job          is started, and followed if the user wants that
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from cucmctl.cli import exits, password, printer
from cucmctl.cli.options import OnlyOnce, UsageError, add_label, count, labels_of, seconds
from cucmctl.cli.typed_times import not_after
from cucmctl.client.client import Client
from cucmctl.client.cluster import discover_first
from cucmctl.client.errors import ClientError, InvalidRequest
from cucmctl.client.reconnect import watch
from cucmctl.commands import lookup
from cucmctl.commands.watch import add_reconnect, follow, report_job_goes_on, view_on
from cucmctl.text.views import EndingOnly, JsonLines, View
from cucmd.job.kind import WorkRequest
from cucmd.job.work_request import How, Login, Timeouts
from cucmd.protocol.jobs import Job

# Timeouts of any job on nodes, and of a job that collects files -> the help of the option.
ON_NODES = {
    "connect": "seconds to reach a node",
    "login": "seconds from the connection to the first prompt",
    "node": "seconds for all work on a node",
    "job": "seconds for the whole job",
}
COLLECTING = ON_NODES | {
    "answer": "seconds for a plain command such as show status",
    "command": "seconds for each file get",
    "stall": "seconds without a byte in a transfer",
}
# The fields that the daemon calls wrong if no kept login counts, or not for all nodes.
NEEDS_PASSWORD = ("login", "login.kept")
LABEL_HELP = "label of the job, such as case=698123456"


def add_login_options(parser: argparse.ArgumentParser, *, credential: bool = True) -> None:
    """Declares --user, --password-file and, if wanted, --credential."""
    group = parser.add_argument_group("login on the nodes")
    group.add_argument(
        *("-u", "--user"),
        metavar="NAME",
        action=OnlyOnce,
        help="the platform administrator; or write NAME@NODE",
    )
    secret = group.add_mutually_exclusive_group()
    secret.add_argument(
        "--password-file",
        metavar="FILE",
        action=OnlyOnce,
        help="file with the password in its first line; - is standard input",
    )
    if credential:
        secret.add_argument(
            "--credential",
            metavar="NAME",
            action=OnlyOnce,
            help="name of a credential of the daemon",
        )


def add_timeouts(group: argparse._ActionsContainer, timeouts: Mapping[str, str]) -> None:
    """Adds an option for each of `timeouts`, which maps the name of a timeout to its help."""
    for name, meaning in timeouts.items():
        group.add_argument(f"--{name}-timeout", metavar="S", type=seconds, help=meaning)


def add_job_options(
    parser: argparse.ArgumentParser, timeouts: Mapping[str, str]
) -> argparse._ArgumentGroup:
    """Adds the options that `begin_on_nodes` reads, except the targets. Returns their group."""
    add_login_options(parser)
    group = parser.add_argument_group("how")
    add_timeouts(group, timeouts)
    group.add_argument("--concurrency", metavar="N", type=count, help="number of nodes at a time")
    add_label(group, LABEL_HELP)
    group.add_argument(
        "--accept-nodes",
        action="store_true",
        help="send a credential that is tied to a cluster also to nodes that the cluster named",
    )
    add_try_all(group)
    group.add_argument(
        "--not-after",
        metavar="WHEN",
        type=not_after,
        help="start nothing if the start comes later: 2h, or a time",
    )
    group.add_argument(
        "--upload",
        metavar="TARGET",
        action=OnlyOnce,
        help="at a hub: let the sites upload the files to their target of this name",
    )
    return group


def timeouts_of(arguments: argparse.Namespace, names: Iterable[str]) -> Timeouts | None:
    """Returns the timeouts that were given, or None if none was given."""
    values = {name: getattr(arguments, f"{name}_timeout") for name in names}
    return Timeouts(**values) if any(value is not None for value in values.values()) else None


def add_try_all(group: argparse._ArgumentGroup) -> None:
    """Declares --try-all."""
    group.add_argument(
        "--try-all",
        action="store_true",
        help="go on with a login that two nodes of a cluster have refused; this may lock accounts",
    )


def add_wait_options(group: argparse._ArgumentGroup) -> None:
    """Declares --wait, --watch and --reconnect."""
    until = group.add_mutually_exclusive_group()
    until.add_argument("--wait", action="store_true", help="wait until the job has ended")
    until.add_argument("--watch", action="store_true", help="follow the job until it has ended")
    add_reconnect(group)


def check_strict(arguments: argparse.Namespace) -> None:
    """Raises `UsageError` if --strict was given without --wait and --watch."""
    if arguments.strict and not (arguments.wait or arguments.watch):
        raise UsageError("--strict: needs --wait or --watch, which learn what is missing")


def check_user(arguments: argparse.Namespace, *, needed: bool = True) -> None:
    """Checks --user, and raises `UsageError`. Call this before the daemon is called.

    needed  whether --password-file needs --user

    The user in NAME@NODE, which is the notation of `ssh`, becomes the value of --user.
    """
    for name in ("nodes", "publisher", "cluster_of"):
        value = getattr(arguments, name, None)
        if isinstance(value, list):
            setattr(arguments, name, [_without_user(node, arguments) for node in value])
        elif value is not None:
            setattr(arguments, name, _without_user(value, arguments))
    if arguments.user == "":
        raise UsageError("--user: '' is empty; expected the platform administrator's name")
    if needed and arguments.password_file is not None and not arguments.user:
        raise UsageError("--password-file: needs --user, whose password it is")


def _without_user(node: str, arguments: argparse.Namespace) -> str:
    user, at, host = node.rpartition("@")
    if not at:
        return node
    if arguments.user not in (None, user):
        raise UsageError(f"{node}: this is another user than {arguments.user!r}; give one user")
    arguments.user = user
    return host


def login_of(
    arguments: argparse.Namespace, kept: Collection[str] = (), user_of_job: str | None = None
) -> Login:
    """Returns the login. If only a user was given, whose login is not kept, asks for the password
    on the terminal.

    arguments    without `credential` if the verb has no such option
    kept         the users whose logins are kept
    user_of_job  the user if the arguments name none
    """
    if getattr(arguments, "credential", None) is not None:
        return Login(username=arguments.user, credential=arguments.credential)
    user = arguments.user or user_of_job
    if not user:
        return Login()
    if arguments.password_file is not None:
        return Login(username=user, password=password.from_file(arguments.password_file, user))
    if user in kept:
        return Login(username=user, kept=True)
    if not hasattr(arguments, "credential"):
        return Login(username=user, password=password.from_terminal(user, "--password-file"))
    return _typed_login(user)


def _typed_login(user: str) -> Login:
    return Login(username=user, password=password.from_terminal(user))


OnStart: TypeAlias = Callable[[Client, Job, argparse.Namespace], int]


def and_follow(describe: Callable[[Job], str], view: Callable[[], View]) -> OnStart:
    """Returns an `OnStart` that prints `job ID` and `describe(job)`, and then follows the job."""

    def on_start(client: Client, job: Job, arguments: argparse.Namespace) -> int:
        printer.note(f"job {job.job_id} {describe(job)}")
        return follow(client, job.job_id, view, reconnect=arguments.reconnect, begun=job)

    return on_start


class AskingInterrupted(KeyboardInterrupt):
    """Ctrl-C was pressed while a cluster was asked for its nodes, so no job was started.

    The message about the discovery, which goes on, has been printed already.
    """


def begin(
    client: Client,
    arguments: argparse.Namespace,
    ask: Callable[[], Login],
    call: Callable[[Login], Job],
    *,
    users: Collection[str] = (),
    done: str = "started",
    on_start: OnStart | None = None,
) -> int:
    """Starts the job, and follows it if the user wants that. Returns the exit code.

    ask       returns the login; may ask for a password. If it returns a kept login that does not
              count for this job, or no more, the password is asked for
    call      starts the job with that login
    users     the users whose logins are kept; if there is one, and no login was given, that user's
              password is asked for if the kept login does not count for all nodes
    done      the word in messages for what `call` has done with the job: "started" or "queued
              again"
    on_start  is called once the job is started, and returns the exit code; without it, the options
              of `add_wait_options` decide
    """
    job: Job | None = None
    while job is None:
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
            printer.note("interrupted before the daemon answered; did the job start? cucmctl list")
            return exits.INTERRUPTED
        except InvalidRequest as error:
            wrong = error.parameters
            partly = wrong.parameter == "login.kept"
            known = [login.username] if login.kept else list(users) if partly else []
            if len(known) == 1 and wrong.parameter in NEEDS_PASSWORD:
                if partly:
                    printer.note(f"the login {wrong.reason}")
                ask = partial(_typed_login, known[0] or "")
                continue
            if wrong.parameter != "login.credential" or arguments.credential is not None:
                raise
            reason = f"the login of its cluster cannot be used: {wrong.reason}"
            raise InvalidRequest.make("nodes", reason) from None
    client.close()
    try:
        return (on_start or _report)(client, job, arguments)
    except KeyboardInterrupt:  # the daemon has answered, but following has not begun
        report_job_goes_on(job, job.job_id, client)
        return exits.INTERRUPTED
    except ClientError as error:  # the job is started: do not let the user start it again
        printer.note(f"{exits.message_of(error)}; the job was {done}: {job.job_id}")
        return exits.UNAVAILABLE
    except OSError:
        if on_start is None:  # the id could not be printed, but the job runs
            printer.note(f"the job was {done}: {job.job_id}")
        raise


def _report(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    """Prints the id on standard output. `--wait` and `--watch` then print on standard error."""
    if not arguments.json:
        printer.line(printer.visible(job.job_id))
    elif not arguments.wait and not arguments.watch:
        printer.json_line(job)
    if not arguments.wait and not arguments.watch:
        return exits.DONE
    view: Callable[[], View] = partial(EndingOnly, sys.stderr, as_json=arguments.json)
    if arguments.watch:
        view = JsonLines if arguments.json else partial(view_on, sys.stderr)
    strict = getattr(arguments, "strict", False)  # captures have no window, and no --strict
    back = arguments.reconnect
    return follow(client, job.job_id, view, reconnect=back, begun=job, strict=strict)


def begin_on_nodes(
    arguments: argparse.Namespace,
    verb: str,
    timeouts: Iterable[str],
    work: WorkRequest,
    *,
    check: Callable[[Client], None] = lambda client: None,
    check_early: Callable[[], None] = lambda: None,
    on_start: OnStart | None = None,
) -> int:
    """Starts a job with the options of `add_targets` and `add_job_options`. Returns the exit code.

    timeouts     the names of the verb's timeouts
    work         what to do on the nodes
    check        checks names that only this verb has, before the password is asked for
    check_early  checks what the daemon would refuse later; is called before a password is asked for
                 or a cluster is asked for its nodes
    on_start     as for `begin`
    """
    chosen, labels = timeouts_of(arguments, timeouts), labels_of("--label", arguments.label)
    check_user(arguments)
    with Client(arguments.socket) as client:
        kept = lookup.check_operator(client, arguments.credential)
        check(client)
        if arguments.cluster_of is not None:
            targets = discovered = lookup.find_nodes(client, [arguments.cluster_of])
            lookup.check_names(client, targets)
        else:
            targets = lookup.find_nodes(client, arguments.nodes)
            discovered = lookup.only_publishers(client, targets, verb)
        if discovered or arguments.user is not None:
            check_early()
        to_ask = list(discovered)

        def wait(job: Job) -> Job:
            """Waits for the end of a discovery. Raises `AskingInterrupted` at Ctrl-C."""
            printer.note(
                f"job {job.job_id} asks {job.nodes[0].full_name} for the nodes of its cluster"
            )
            back = arguments.reconnect
            try:
                for change in watch(client, job.job_id, View(), reconnect=back, known=True):
                    job = change.job or job
            except KeyboardInterrupt:
                report_job_goes_on(job, job.job_id, client)
                raise AskingInterrupted from None
            return job

        def start(login: Login) -> Job:
            while to_ask:  # not again if the start is refused and called with another login
                tell = printer.note
                discover_first(
                    client, to_ask[0], login=login, timeouts=chosen, tell=tell, wait=wait
                )
                del to_ask[0]
            how = How(
                timeouts=chosen,
                concurrency=arguments.concurrency,
                labels=labels or None,
                try_all=arguments.try_all or None,
                discovered=tuple(discovered) or None,
                accept_nodes=arguments.accept_nodes or None,
                not_after=arguments.not_after,
                upload=arguments.upload,
            )
            try:
                return client.start(targets, work, login=login, how=how)
            except InvalidRequest as error:
                # No login was given, no cluster has one, and none is kept for all nodes.
                if error.parameters.parameter in NEEDS_PASSWORD:
                    lookup.check_exist(client, targets)
                raise

        login = partial(login_of, arguments, kept)
        return begin(client, arguments, login, start, users=kept, on_start=on_start)
