"""`start` starts a collection. `retry` tries nodes of a job again, in the same job.

Options that were not given are not sent, so the profile, the cluster and the configuration decide.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from cucmctl.cli import printer
from cucmctl.cli.options import (
    NODES_FIRST,
    OnlyOnce,
    UsageError,
    Verb,
    VerbParser,
    add_job,
    add_targets,
    comma_separated,
    path_on_node,
)
from cucmctl.cli.typed_times import last, moment, next_day, rfc3339, written_for
from cucmctl.client.client import Client
from cucmctl.client.errors import ProfileNotFound
from cucmctl.commands import lookup
from cucmctl.commands.begin import (
    COLLECTING,
    add_job_options,
    add_login_options,
    add_stay_options,
    add_try_all,
    and_follow,
    begin,
    begin_on_nodes,
    check_user,
    login_of,
)
from cucmctl.text import dry_run_text, render
from cucmctl.text.views import AtTheEnd
from cucmctl.text.window import window
from cucmd.job.asked import LOCATIONS, Collection, Estimate, Files, Login
from cucmd.job.kind import AskedWork
from cucmd.protocol.jobs import Job


def _start_arguments(parser: VerbParser) -> None:
    # argparse would print NODE last, where it would become a value of --path.
    parser.usage = (
        "%(prog)s (NODE ... | --cluster-of NODE)\n"
        "                     [--profile NAME [--only NAMES]] [--path PATH ...] [...]"
    )
    parser.reminder = NODES_FIRST
    add_targets(
        parser,
        "NODE",
        "a host, or host:port; or a cluster of the daemon's configuration, or NAME:publisher,"
        " NAME:subscribers, NAME:cups for some of its nodes",
    )
    group = parser.add_argument_group("what to collect")
    group.add_argument(
        "--profile",
        metavar="NAME",
        action=OnlyOnce,
        help="the paths for a kind of trouble: profiles",
    )
    group.add_argument(
        "--only",
        metavar="NAMES",
        action=OnlyOnce,
        type=comma_separated,
        help="only these paths of the profile, by parts of their names: sdl,syslog",
    )
    group.add_argument(
        "--path",
        metavar="PATH",
        nargs="+",
        action="extend",
        type=path_on_node,
        help="paths on the node, beside those of a profile; all words that follow are paths",
    )
    group.add_argument(
        "--location", metavar="NAME", action=OnlyOnce, help=f"one of {', '.join(LOCATIONS)}"
    )
    window = group.add_mutually_exclusive_group()
    window.add_argument(
        "--last",
        metavar="TIME",
        action=OnlyOnce,
        type=last,
        help="only what was written within it: 30m, 2h, 3d, 1w",
    )
    window.add_argument(
        "--since",
        metavar="T",
        action=OnlyOnce,
        type=moment,
        help="local 'YYYY-MM-DD HH:MM', HH:MM, 'yesterday HH:MM', a date, -2h, or RFC 3339",
    )
    group.add_argument(
        "--until", metavar="T", action=OnlyOnce, type=moment, help="with --since: the end"
    )
    group.add_argument(
        "--written-for",
        metavar="TIME",
        action=OnlyOnce,
        type=written_for,
        help="for how long one file of a path is written to, such as 6h, or always: files that"
        " have changed so long after --until come too; without it as the profile says, else 1h",
    )
    group.add_argument("--match", metavar="RE", action=OnlyOnce, help="only names that match")
    group.add_argument("--recurs", action="store_true", default=None, help="subdirectories too")
    group.add_argument(
        "--compress", action=argparse.BooleanOptionalAction, help="let the node pack the files"
    )
    group.add_argument(
        "--snapshot",
        action=argparse.BooleanOptionalAction,
        help="run show status, show version active, utils service list and utils core active list"
        " at the end, too; of a profile that says so, all that health does",
    )
    how = add_job_options(parser, COLLECTING)
    how.add_argument(
        "--dry-run",
        action="store_true",
        help="ask the nodes for the sizes, print them at the end, and collect nothing",
    )
    add_stay_options(how)


def _paths(words: list[str]) -> tuple[str, ...]:
    """Returns the values of --path. `activelog /cm/trace` is one path, as after `file get`."""
    paths: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        paths.append(f"{word} {left.pop(0)}" if word in LOCATIONS and left else word)
    return tuple(paths)


def _collection(arguments: argparse.Namespace) -> Collection:
    since, until = arguments.since, arguments.until
    if until is not None and since is None:
        raise UsageError("--until: needs --since, the time to begin at")
    if until is not None and until.clock and until.latest <= since.earliest:
        until = next_day(until)
    if until is not None and until.latest <= since.earliest:
        both = f"{rfc3339(until.latest)} is not after --since, {rfc3339(since.earliest)}"
        raise UsageError(f"--until: {both}")
    if arguments.profile is None and not arguments.path:
        raise UsageError("nothing to collect: give --profile or --path")
    if arguments.only and arguments.profile is None:
        raise UsageError("--only: needs --profile, whose paths it chooses from")
    alone = arguments.path and arguments.profile is None
    return Collection(
        profile=arguments.profile,
        paths=_paths(arguments.path) if alone else None,
        location=arguments.location,
        match=arguments.match,
        recurs=arguments.recurs,
        compress=arguments.compress,
        last=arguments.last,
        since=rfc3339(since.earliest) if since else None,
        until=rfc3339(until.latest) if until else None,
    )


def _start(arguments: argparse.Namespace) -> int:
    collection = _collection(arguments)
    added = _paths(arguments.path) if arguments.path and arguments.profile is not None else None
    if arguments.dry_run and (arguments.wait or arguments.watch):
        raise UsageError("--dry-run: waits for the sizes; leave out --wait and --watch")
    if collection.since is not None:
        printer.note(f"window  {window(collection.since, collection.until)}")

    def check(client: Client) -> None:
        lookup.check_known(arguments.profile, client.profiles, ProfileNotFound)

    parts = arguments.only, added, arguments.written_for
    work: AskedWork = Files(collection, *parts, arguments.snapshot)
    stay = None
    if arguments.dry_run:  # a dry run takes no snapshot
        work = Estimate(collection, *parts)
        stay = and_follow(
            lambda job: "asks for sizes; nothing is collected",
            lambda: AtTheEnd(_sizes, as_json=arguments.json),
        )
    return begin_on_nodes(arguments, "start", COLLECTING, work, check=check, stay=stay)


def _sizes(job: Job) -> Iterator[str]:
    return dry_run_text.sizes(job, **printer.layout(sys.stdout))


def _retry_arguments(parser: VerbParser) -> None:
    add_job(parser)
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
    check_user(arguments, needed=False)
    nodes = arguments.nodes or None
    with Client(arguments.socket) as client:
        job = client.status(arguments.job)

        def login() -> Login | None:
            given = {arguments.user, arguments.password_file, arguments.credential} != {None}
            left = {node.node for node in job.nodes if node.status != "succeeded"}
            can_be = job.status in render.JOB_ENDED and not job.files_deleted and left
            # In other cases the daemon refuses the retry with any login, and says why.
            asks = not job.resumable and can_be and left.issuperset(arguments.nodes)
            if not given and not asks:
                return None
            if arguments.credential is None and not (arguments.user or job.username):
                text = "--user: is needed, since the job has no user; give it, or --credential"
                raise UsageError(text)
            return login_of(arguments, job.username)

        return begin(
            client,
            arguments,
            login,
            lambda login: client.retry(job.job_id, nodes, login=login, try_all=arguments.try_all),
            done="queued again",
        )


COMMANDS = {
    "start": Verb(
        "Starts a job, which collects the logs of every NODE at once. Prints its id and\n"
        "returns. With --wait or --watch it waits for the end, and the exit code says how\n"
        "the job ended. All files of a --path are collected, unless --last or --since\n"
        "give a window. The password of --user is asked for, unless it is given.\n"
        "A NODE may be the name of a cluster of the configuration (cucmctl clusters). If\n"
        "that has only a publisher, or with --cluster-of, the node is asked for the nodes\n"
        "of its cluster first.",
        "  cucmctl start ccm-pub ccm-sub1 --user administrator --last 2h \\\n"
        "          --path cm/trace/ccm/sdl cm/trace/ccm/calllogs --watch\n"
        "  cucmctl start ccm-pub --profile callmanager --credential lab \\\n"
        "          --since '2026-11-25 09:00' --until '2026-11-25 09:30' --wait\n"
        "  cucmctl start --cluster-of ccm-pub --profile callmanager --credential lab",
        _start_arguments,
        _start,
    ),
    "retry": Verb(
        "Tries the nodes of a job again that have not succeeded, or those that are named.\n"
        "The job keeps its id, its window and what it has collected. The password of its\n"
        "user is asked for, unless the job has a credential, or it is given. Prints the\n"
        "id and returns; --wait, --watch and the exit code are as for start.",
        "  cucmctl retry 3f2a --watch\n"
        "  cucmctl retry 3f2a ccm-sub1 ccm-sub2 --credential lab --wait",
        _retry_arguments,
        _retry,
    ),
}
