"""`retry`: tries the nodes of a job again that have not succeeded, in the same job.

Nobody is asked for a password before it is known that the daemon would use it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cucmctl.cli import password
from cucmctl.cli.options import Command, UsageError, VerbParser, job_id
from cucmctl.client.client import Client
from cucmctl.commands.begin import add_login_options, add_stay_options, add_try_all, begin
from cucmctl.text import render
from cucmd.job.asked import Login
from cucmd.protocol.jobs import Job


def _arguments(parser: VerbParser) -> None:
    parser.add_argument("job", metavar="JOB", type=job_id, help="an id or its first characters")
    parser.add_argument(
        "nodes",
        metavar="NODE",
        nargs="*",
        help="only these, as status names them (default: all that have not succeeded)",
    )
    add_login_options(parser)
    how = parser.add_argument_group("how")
    add_try_all(how)
    add_stay_options(how)


def _retry(arguments: argparse.Namespace) -> int:
    if arguments.user == "":
        raise UsageError("--user: '' is empty; expected the platform administrator's name")
    nodes = arguments.nodes or None
    with Client(arguments.socket) as client:
        job = client.status(arguments.job)
        return begin(
            client,
            arguments,
            lambda: _login(arguments, job),
            lambda login: client.retry(job.job_id, nodes, login=login, try_all=arguments.try_all),
            done="queued again",
        )


def _login(arguments: argparse.Namespace, job: Job) -> Login | None:
    """What was given; the password of the job's user where it has to be typed again; else None."""
    if arguments.credential is not None:
        return Login(username=arguments.user, credential=arguments.credential)
    given = arguments.user is not None or arguments.password_file is not None
    if not given and (job.resumable or not _can_be_retried(job, arguments.nodes)):
        return None
    user = arguments.user or job.username
    if not user:
        raise UsageError("--user: is needed, since the job has no user; give it, or --credential")
    if arguments.password_file is not None:
        return Login(username=user, password=password.from_file(arguments.password_file, user))
    return Login(username=user, password=password.from_terminal(user))


def _can_be_retried(job: Job, names: Sequence[str]) -> bool:
    """False: the daemon refuses it, whatever the login is, and says why."""
    if job.status not in render.JOB_ENDED or job.files_deleted:
        return False
    left = {node.node for node in job.nodes if node.status != "succeeded"}
    return bool(left) and left.issuperset(names)


COMMANDS = {
    "retry": Command(
        "Tries the nodes of a job again that have not succeeded, or those that are named.\n"
        "The job keeps its id, its window and what it has collected. The password of its\n"
        "user is asked for, unless the job has a credential, or it is given. Prints the\n"
        "id and returns; --wait, --watch and the exit code are as for start.",
        "  cucmctl retry 3f2a --watch\n"
        "  cucmctl retry 3f2a ccm-sub1 ccm-sub2 --credential lab --wait",
        _arguments,
        _retry,
    )
}
