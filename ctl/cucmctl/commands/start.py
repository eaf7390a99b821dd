"""`start` starts a collection. `retry` tries nodes of a job again, in the same job.

Options that were not given are not sent, so the profile, the cluster and the configuration decide.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime

from cucmctl.cli import exits, printer
from cucmctl.cli.options import (
    NODES_FIRST,
    OnlyOnce,
    UsageError,
    Verb,
    VerbParser,
    add_job,
    add_targets,
    checked_by,
    comma_separated,
    path_on_node,
)
from cucmctl.cli.typed_times import last, moment, next_day, rfc3339
from cucmctl.client.client import Client
from cucmctl.client.errors import InvalidRequest, ProfileNotFound
from cucmctl.commands import lookup
from cucmctl.commands.begin import (
    COLLECTING,
    NEEDS_PASSWORD,
    add_job_options,
    add_login_options,
    add_try_all,
    add_wait_options,
    and_follow,
    begin,
    begin_on_nodes,
    check_strict,
    check_user,
    login_of,
)
from cucmctl.commands.watch import add_strict
from cucmctl.text import dry_run_text
from cucmctl.text.views import AtTheEnd
from cucmctl.text.window import window
from cucmd.job.duration import parse_written_for
from cucmd.job.kind import WorkRequest
from cucmd.job.work_request import LOCATIONS, Collection, Estimate, Files, Login
from cucmd.protocol.jobs import Job

_LOCAL = "%Y-%m-%d %H:%M:%S %Z"


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
        "a host, host:port, or a cluster of the configuration; or NAME:publisher,"
        " NAME:subscribers, NAME:cups for some nodes of a cluster",
    )
    group = parser.add_argument_group("what to collect")
    group.add_argument(
        "--profile",
        metavar="NAME",
        action=OnlyOnce,
        help="the paths of a profile (see cucmctl profiles)",
    )
    group.add_argument(
        "--only",
        metavar="NAMES",
        action=OnlyOnce,
        type=comma_separated,
        help="only paths of the profile with these words in their names: sdl,syslog",
    )
    group.add_argument(
        "--path",
        metavar="PATH",
        nargs="+",
        action="extend",
        type=path_on_node,
        help="paths on the node, added to those of a profile; all words that follow are paths",
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
        help="only files written within this time: 30m, 2h, 3d, 1w",
    )
    window.add_argument(
        "--since",
        metavar="T",
        action=OnlyOnce,
        type=moment,
        help="only files written since T: local 'YYYY-MM-DD HH:MM', HH:MM, 'yesterday HH:MM', a"
        " date, -2h, or RFC 3339",
    )
    group.add_argument(
        "--until", metavar="T", action=OnlyOnce, type=moment, help="end of the window of --since"
    )
    group.add_argument(
        "--written-for",
        metavar="TIME",
        action=OnlyOnce,
        type=checked_by(parse_written_for),
        help="how long a node writes to one file of a path, such as 6h, or always; files that"
        " change within this time after --until come too (default: as in the profile, else 1h)",
    )
    group.add_argument("--match", metavar="RE", action=OnlyOnce, help="only file names that match")
    group.add_argument("--recurs", action="store_true", default=None, help="include subdirectories")
    group.add_argument(
        "--compress", action=argparse.BooleanOptionalAction, help="let the nodes pack the files"
    )
    group.add_argument(
        "--snapshot",
        action=argparse.BooleanOptionalAction,
        help="at the end also run show status, show version active, utils service list, utils core"
        " active list; or a health check, if the profile says so",
    )
    how = add_job_options(parser, COLLECTING)
    how.add_argument(
        "--dry-run", action="store_true", help="only ask the nodes for the sizes, and print them"
    )
    add_wait_options(how)
    add_strict(how)


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
        # `--since 10:00 --until 09:00` at noon is a mistake, and does not mean tomorrow.
        local = since.earliest.astimezone()
        if not (since.clock and local.date() == datetime.now().date()):
            until = next_day(until)
    if until is not None and until.latest <= since.earliest:
        wrong, advice = "is not after --since,", ""
        if until.clock and until.latest.astimezone().date() < since.earliest.astimezone().date():
            # The time of day is still to come today, so it was taken for yesterday's.
            until, wrong = next_day(until), "has not come yet; --since is"
            advice = "; for a window up to now, leave --until out"
        end, begin = (f"{at.astimezone():{_LOCAL}}" for at in (until.latest, since.earliest))
        raise UsageError(f"--until: {end} {wrong} {begin}{advice}")
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
    check_strict(arguments)
    if collection.since is not None:
        printer.note(f"window  {window(collection.since, collection.until)}")

    def check(client: Client) -> None:
        if arguments.profile is not None:
            lookup.check_known(arguments.profile, client.profiles, ProfileNotFound)

    parts = arguments.only, added, arguments.written_for
    work: WorkRequest = Files(collection, *parts, arguments.snapshot)
    on_start = None
    if arguments.dry_run:  # a dry run takes no snapshot
        work = Estimate(collection, *parts)
        on_start = and_follow(
            lambda job: "asks for sizes; nothing is collected",
            lambda: AtTheEnd(_sizes, as_json=arguments.json),
        )
    return begin_on_nodes(arguments, "start", COLLECTING, work, check=check, on_start=on_start)


def _sizes(job: Job) -> Iterable[str]:
    return dry_run_text.TEXT.findings(job, **printer.layout(sys.stdout))


def _retry_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument(
        "nodes",
        metavar="NODE",
        nargs="*",
        help="only these nodes, by name or address (default: all that have not succeeded)",
    )
    add_login_options(parser)
    how = parser.add_argument_group("how")
    add_try_all(how)
    add_wait_options(how)
    add_strict(how)


def _retry(arguments: argparse.Namespace) -> int:
    check_user(arguments, needed=False)
    check_strict(arguments)
    nodes = arguments.nodes or None
    with Client(arguments.socket) as client:

        def ask() -> Login:
            kept = lookup.check_operator(client, arguments.credential)
            user = arguments.user or client.status(arguments.job).username
            if arguments.credential is None and not user:
                text = "--user: is needed, since the job has no user; give it, or --credential"
                raise UsageError(text)
            return login_of(arguments, kept, user)

        def retry(login: Login) -> Job:
            return client.retry(arguments.job, nodes, login=login, try_all=arguments.try_all)

        if {arguments.user, arguments.password_file, arguments.credential} == {None}:
            # Only the daemon knows which nodes are meant and whether it has a login for them. So a
            # password is asked for only if nothing but the login is missing.
            try:
                return begin(client, arguments, Login, retry, done="queued again")
            except InvalidRequest as error:
                if error.parameters.parameter not in NEEDS_PASSWORD:
                    raise
        return begin(client, arguments, ask, retry, done="queued again")


COMMANDS = {
    "start": Verb(
        "Starts a job that collects log files of every NODE, and prints the id of the job.\n"
        "Without --last or --since, all files below the paths are collected. NODE may be a\n"
        "cluster of the configuration. If only its publisher is known, the publisher is first\n"
        "asked for the other nodes. So is the node of --cluster-of.",
        "  cucmctl start ccm-pub ccm-sub1 --user administrator --last 2h \\\n"
        "          --path cm/trace/ccm/sdl cm/trace/ccm/calllogs --watch\n"
        "  cucmctl start berlin --profile callmanager \\\n"
        "          --since '2026-11-25 09:00' --until '2026-11-25 09:30' --wait",
        f"{exits.STARTED}; with --dry-run: 3 the files do not fit",
        _start_arguments,
        _start,
    ),
    "retry": Verb(
        "Tries nodes of a job again that have not succeeded, and prints the id of the job.\n"
        "The job keeps its window and the files that it has collected. A typed password is\n"
        "not kept, so it is asked for again.",
        "  cucmctl retry 3f2a --watch\n"
        "  cucmctl retry 3f2a ccm-sub1 ccm-sub2 --credential lab --wait",
        exits.STARTED,
        _retry_arguments,
        _retry,
        lambda job: job.status != "succeeded",
    ),
}
