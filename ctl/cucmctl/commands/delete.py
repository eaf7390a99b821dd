"""`delete` and `prune`: delete jobs and the files that they collected.

Nothing is deleted before a person has agreed, at the terminal or with `--yes`.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TextIO

from cucmctl.cli import exits, printer, terminal
from cucmctl.cli.options import (
    UsageError,
    Verb,
    VerbParser,
    add_job,
    add_label,
    labels_of,
    size_in_bytes,
    whole_number,
)
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError
from cucmctl.commands.lookup import check_operator
from cucmctl.text import job_list, render
from cucmctl.text.kind_text import text_of
from cucmd.protocol.cases import PruneReply


def _delete_arguments(parser: VerbParser) -> None:
    add_job(parser, name="jobs", nargs="+", help_="ids, their first characters, or @last")
    parser.add_argument("--files", action="store_true", help="only the files; the record stays")
    _add_yes(parser)


def _add_yes(parser: VerbParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _check_yes(arguments: argparse.Namespace) -> None:
    if not arguments.yes and not (sys.stdin and sys.stdin.isatty()):
        raise _nobody_to_ask()


def _nobody_to_ask() -> UsageError:
    return UsageError("--yes: needed without a terminal, where nobody can be asked")


def _delete(arguments: argparse.Namespace) -> int:
    _check_yes(arguments)
    with Client(arguments.socket) as client:
        # All jobs are looked up first, so that nothing is deleted if one name is wrong.
        found = {job.job_id: job for job in map(client.status, arguments.jobs)}
        if not arguments.yes:
            check_operator(client)
            for job in found.values():
                does = f"{job.kind} {text_of(job).summarize(job)}".rstrip()
                line = f"  {job.job_id}  {job.status}  {render.local(job.created_at)}  {does}"
                printer.line(printer.visible(line), sys.stderr)
            number = render.count_of(len(found), "job")
            what = f"the files of {number}" if arguments.files else f"{number} with all files"
            if not _says_yes(f"delete {what}?"):
                return _nothing_deleted()
        code = exits.DONE
        for job_id in found:
            try:
                reply = client.delete(job_id, files_only=arguments.files)
            except ClientError as error:  # go on with the other jobs
                printer.note(exits.message_of(error))
                code = code or exits.code_of_error(error)
            else:
                done = "files deleted" if arguments.files else "deleted"
                text = f"job {reply.job.job_id}: {done}, {render.size(reply.bytes)}"
                printer.show(reply, [printer.visible(text)], as_json=arguments.json)
        return code


def _says_yes(asked: str) -> bool:
    try:
        return terminal.says_yes(asked)
    except KeyboardInterrupt:
        _nothing_deleted()
        raise
    except OSError:  # standard input is a terminal, but not the one that controls this process
        raise _nobody_to_ask() from None


def _nothing_deleted() -> int:
    printer.note("nothing was deleted")
    return exits.FAILED


def _prune_arguments(parser: VerbParser) -> None:
    parser.add_argument("--older-than", metavar="AGE", help="jobs that ended longer ago: 30d, 12h")
    parser.add_argument(
        "--keep",
        metavar="N",
        type=whole_number,
        help="keep the newest N jobs of each kind with these labels",
    )
    parser.add_argument(
        "--larger-than",
        metavar="SIZE",
        type=size_in_bytes,
        help="jobs whose files are larger: 10G or 500M",
    )
    add_label(parser, "only jobs with this label")
    parser.add_argument("--dry-run", action="store_true", help="only show these jobs")
    _add_yes(parser)


def _prune(arguments: argparse.Namespace) -> int:
    labels = labels_of("--label", arguments.label) or None
    criteria = arguments.older_than, arguments.keep, arguments.larger_than, labels
    if criteria == (None, None, None, None):
        raise UsageError(
            "none of --older-than, --keep, --larger-than and --label was given; expected one"
        )
    if not arguments.dry_run:
        _check_yes(arguments)
    with Client(arguments.socket) as client:
        prune = partial(
            client.prune,
            older_than=arguments.older_than,
            keep=arguments.keep,
            larger_than=arguments.larger_than,
            labels=labels,
        )
        ask = not (arguments.dry_run or arguments.yes)
        reply = prune(dry_run=ask or arguments.dry_run)
        while ask and reply.jobs:
            _show(reply, sys.stderr)
            if not _says_yes(f"delete {_sum(reply)}?"):
                return _nothing_deleted()
            shown, reply = _ids(reply), prune(dry_run=True)
            if _ids(reply) <= shown:
                reply = prune(dry_run=False)
                break
            printer.note("more jobs match by now; these would be deleted:")
    if arguments.json:
        printer.json_line(reply)
        return exits.DONE
    _show(reply, sys.stdout)
    printer.note(f"{_sum(reply)} {'would be deleted' if arguments.dry_run else 'deleted'}")
    return exits.DONE


def _ids(reply: PruneReply) -> set[str]:
    return {job.job_id for job in reply.jobs}


def _show(reply: PruneReply, stream: TextIO) -> None:
    if reply.jobs:
        for text in job_list.jobs(reply.jobs, datetime.now(UTC), **printer.layout(stream)):
            printer.line(text, stream)


def _sum(reply: PruneReply) -> str:
    count = len(reply.jobs) + (reply.more or 0)
    return f"{render.count_of(count, 'job')}, {render.size(reply.bytes)}"


COMMANDS = {
    "delete": Verb(
        "Deletes jobs that have ended, with all of their files. Asks on a terminal;\n"
        "elsewhere --yes is needed.",
        "  cucmctl delete 3f2a\n  cucmctl delete 3f2a 9c01 --files --yes",
        "0 done, 1 the answer was no, 75 a job still runs or is in use",
        _delete_arguments,
        _delete,
    ),
    "prune": Verb(
        "Deletes all jobs that have ended and that match every option. Jobs with the label\n"
        "keep stay, and so do jobs that are being exported. Shows the jobs and asks on a\n"
        "terminal; elsewhere --yes is needed.",
        "  cucmctl prune --older-than 30d --dry-run\n"
        "  cucmctl prune --older-than 30d --keep 10 --yes",
        "0 done, 1 the answer was no",
        _prune_arguments,
        _prune,
    ),
}
