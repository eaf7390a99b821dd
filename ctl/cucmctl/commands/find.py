"""`find`: searches the files of a job, on all nodes at once.

Standard output has only lines of files, in the order of time. What was followed, what was searched
and what is missing is printed on standard error; with --json it is the last object.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from cucmctl.cli import exits, printer
from cucmctl.cli.options import (
    OnlyOnce,
    UsageError,
    Verb,
    VerbParser,
    add_job,
    add_nodes_of_job,
    whole_number,
)
from cucmctl.cli.typed_times import moment, next_day, rfc3339
from cucmctl.client.client import Client
from cucmctl.commands.lookup import keeps_files
from cucmctl.text import found_text, render
from cucmctl.text.found_text import FoundText, Total
from cucmctl.text.progress_line import ProgressLine
from cucmctl.text.remarks import short_names
from cucmctl.text.window import minute, window
from cucmd.protocol.cases import FoundFile, Match, Search
from cucmd.protocol.jobs import Job

_KINDS = {"regex": "--regex", "number": "--number", "call_id": "--call-id"}


def add_search(parser: argparse._ActionsContainer) -> None:
    """Declares what to search for, other than plain words."""
    add = parser.add_argument
    help_ = "a regular expression of Python's re, instead of WORDS"
    add("--regex", metavar="RE", action=OnlyOnce, help=help_)
    help_ = "a directory number, with or without + and prefixes"
    add("--number", metavar="N", action=OnlyOnce, help=help_)
    help_ = "a SIP Call-ID; the call is followed to its other legs and nodes"
    add("--call-id", metavar="ID", action=OnlyOnce, help=help_)
    add("-i", "--ignore-case", action="store_true", help="upper and lower case are the same")
    help_ = "only files with this in their path, such as sdl"
    add("--path", metavar="PART", action=OnlyOnce, help=help_)
    help_ = "only lines of T or later; T as for start, or a time of day in the job's window"
    add("--since", metavar="T", action=OnlyOnce, type=_time, help=help_)
    add("--until", metavar="T", action=OnlyOnce, type=_time, help="only lines of T or earlier")


def _time(text: str) -> str:
    moment(text)  # raises for what is not a time
    return text


def search_of(arguments: argparse.Namespace, words: str | None) -> Search:
    """Returns the search, without its times. Raises `UsageError`."""
    values = {name: getattr(arguments, name) for name in _KINDS}
    given = ["WORDS"] if words is not None else []
    given += [option for name, option in _KINDS.items() if values[name] is not None]
    if len(given) > 1:
        raise UsageError(f"{given[1]}: cannot be combined with {given[0]}; give one of them")
    if not given:
        raise UsageError(f"nothing to find: give WORDS, or {', '.join(_KINDS.values())}")
    if "" in (words, *values.values()):
        raise UsageError(f"{given[0]}: '' is in every line; expected what to find")
    return Search(
        text=words, **values, ignore_case=arguments.ignore_case or None, path=arguments.path
    )


def with_times(search: Search, arguments: argparse.Namespace, job: Job) -> Search:
    """Returns the search with its times, and prints them. Raises `UsageError`.

    A time of day means the last one before the end of the job's window.
    """
    begin, end = job.collection.since, job.collection.until
    last = job.created_at if end is None else datetime.fromisoformat(end)
    since, until = (
        None if text is None else moment(text, last if moment(text).clock else None)
        for text in (arguments.since, arguments.until)
    )
    earliest = since.earliest if since else datetime.fromisoformat(begin) if begin else None
    if until and until.clock and earliest and until.latest <= earliest:
        after = next_day(until)
        # `--since 23:20 --until 23:10` is a mistake, and does not mean the next day.
        until = after if after.latest - earliest < timedelta(hours=12) else until
    if since and until and until.latest <= since.earliest:
        ends, begins = (
            f"{at.astimezone():%Y-%m-%d %H:%M:%S}" for at in (until.latest, since.earliest)
        )
        raise UsageError(f"--until: {ends} is not after --since, {begins}")
    search = msgspec.structs.replace(
        search,
        since=rfc3339(since.earliest) if since else None,
        until=rfc3339(until.latest) if until else None,
    )
    zones = {node.zone for node in job.nodes if node.zone is not None}
    zone = zones.pop() if len(zones) == 1 else None
    if search.since is not None:
        printer.note(f"searching {window(search.since, search.until, zone)}")
    elif until:
        printer.note(f"searching up to {minute(until.latest, zone)}")
    return search


def _arguments(parser: VerbParser) -> None:
    parser.usage = (
        "%(prog)s JOB (WORDS | --regex RE | --number N | --call-id ID)\n"
        "                    [--node N] [--path PART] [--since T] [-C N] [--files]"
    )
    add_job(parser)
    parser.add_argument("words", metavar="WORDS", nargs="*", help="a plain text in one line")
    add_search(parser)
    add_nodes_of_job(parser)
    how = parser.add_mutually_exclusive_group()
    help_ = "print N lines before and behind each match too"
    how.add_argument("-C", "--context", metavar="N", type=whole_number, help=help_)
    help_ = "print the files, with the number of matches in each"
    how.add_argument("--files", action="store_true", help=help_)


def _find(arguments: argparse.Namespace) -> int:
    search = search_of(arguments, " ".join(arguments.words) if arguments.words else None)
    context, files = arguments.context, arguments.files
    total, found = Total(), list[FoundFile]()
    with Client(arguments.socket) as client, ProgressLine("searching") as progress:
        job = client.status(arguments.job)
        search = with_times(search, arguments, job)
        names = short_names(job.nodes)
        # With their dates, lines of several sites can be put into one order.
        day = None if arguments.sites_id else found_text.day_of(job)
        colour = printer.in_colour(sys.stdout)
        mark = found_text.pattern_of(search) if colour else None
        text = FoundText(names, day, around=bool(context), mark=mark)
        try:
            for reply in client.find(
                job.job_id, search, nodes=arguments.node, context=context, files=files
            ):
                total.add(reply)
                found += reply.found or ()
                progress.clear()
                if not arguments.json:
                    for line in found_text.followed_text(reply.followed or (), names):
                        printer.note(line)
                    for line in reply.not_followed or ():
                        printer.note(f"not followed: {line}")
                    if reply.followed and colour:
                        text.mark = found_text.pattern_of(search, total.followed)
                    _print(text.lines(reply.matches or ()))
                else:
                    _print_objects(reply.matches or ())
                progress.tell(reply.bytes, reply.of_bytes)
        except KeyboardInterrupt:
            progress.clear()
            printer.note(f"interrupted after {render.count_of(total.files, 'file')}")
            return exits.INTERRUPTED
    found.sort(key=lambda file: (file.node, file.path))
    if arguments.json:
        _print_objects(found)
        printer.json_line(
            {
                "matches": total.matches,
                "files": total.files,
                "bytes": total.bytes,
                "followed": total.followed,
                "not_followed": total.not_followed,
                "missing": total.missing,
                "unread": total.unread,
                "unordered": total.unordered,
            }
        )
    else:
        _print([*text.rest(), *map(text.file, found)])
    for line in found_text.result(total, names):
        printer.note(line)
    if total.matches:
        return exits.DONE
    return exits.PARTIAL if total.is_incomplete else exits.FAILED


def _print(lines: Iterable[str]) -> None:
    if text := "\n".join(lines):  # line by line takes longer than the search
        printer.line(text)


def _print_objects(objects: Iterable[Match | FoundFile]) -> None:
    for one in objects:
        values = msgspec.structs.asdict(one)
        values = {"node": values.pop("node"), "file": values.pop("path"), **values}
        printer.json_line({name: value for name, value in values.items() if value is not None})


COMMANDS = {
    "find": Verb(
        "Finds lines in the files of a job, on all nodes at once, in the order of time. Files\n"
        "that are packed are unpacked while they are read. Then says which parts of the logs\n"
        "are missing. With --json, prints one object a line; the last one says what is missing.",
        "  cucmctl find 3f2a --number 7021004\n"
        "  cucmctl find 3f2a 'SIP/2.0 503' --node ccm-sub1 --path sdl --since 23:10 -C 3",
        "0 found, 1 not found, 3 not found, but something is missing or was not read",
        _arguments,
        _find,
        keeps_files,
    ),
}
