"""Answers the calls of `io.cucmd.Jobs` that search the files of a job: `Find`.

A deletion or a retry of the job ends a search, as it ends the other calls that only read.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cucmd.api.case_methods import job_and_nodes
from cucmd.api.missing_logs import missing_logs
from cucmd.api.refusals import refusals_of_files
from cucmd.cases.coverage_reader import CoverageReader
from cucmd.cases.documents import printable_path
from cucmd.cases.files import is_directory_gone, name_on_node, nodes_by_name
from cucmd.cases.finder import Finder, Found, SearchedFiles, SearchRefused
from cucmd.config import InvalidValue
from cucmd.job.node import Node
from cucmd.jobs.job_errors import FilesDeleted, JobInUse
from cucmd.jobs.supervisor import Supervisor
from cucmd.plan.resolve import parse_instant
from cucmd.protocol import cases as wire
from cucmd.toml_file import wrong_value
from cucmd.varlink import Caller, StreamReply
from cucmd.worker.frames import NO_TIME, FindIn, FoundLine

# The most characters of what is searched for, and lines around a match.
_LONGEST, _MOST_CONTEXT = 1000, 20
# The most missing logs in one reply.
_IN_A_REPLY = 500
# Seconds that a search waits at its end for the coverage of a job that was closed just now.
_WAIT_FOR_COVERAGE = 30.0
_KINDS = ("text", "regex", "number", "call_id")


class FindMethods:
    """Answers Find."""

    def __init__(self, supervisor: Supervisor, coverage: CoverageReader, finder: Finder) -> None:
        self._supervisor = supervisor
        self._coverage = coverage
        self._holds = supervisor.holds
        self._finder = finder

    async def find(
        self, caller: Caller, request: wire.FindRequest
    ) -> AsyncGenerator[StreamReply, None]:
        with refusals_of_files():
            context = request.context or 0
            if not 0 <= context <= _MOST_CONTEXT:
                raise InvalidValue("context", f"{context}: expected 0 to {_MOST_CONTEXT}")
            job, names = await job_and_nodes(self._supervisor, request.job_id, request.nodes)
            directory = self._supervisor.directory(job.job_id)
            if job.files_deleted or is_directory_gone(job, directory):
                raise FilesDeleted(job.job_id)
            search = request.search
            asked = _asked("search", search, directory, context, files=bool(request.files))
            nodes = tuple(nodes_by_name(job, names).values())
            files = SearchedFiles(job, directory, nodes, search.path)
            searching = self._finder.find(files, asked, search.call_id)
            last = Found(0, 0)
            async with aclosing(searching):
                while True:
                    found = None
                    with (
                        _named("search", search),
                        self._holds.reading_as_guest(job.job_id) as reading,
                    ):
                        found = await anext(searching, None)
                    if reading.cancel_called:
                        raise JobInUse(job.job_id, "it is being deleted, or tried again")
                    if found is None:
                        break
                    yield StreamReply(_reply(found, nodes))
                    last = found
            # The job as it is now: a node may have ended, and its files may have been examined.
            job = await self._supervisor.find(job.job_id)
            job = await self._coverage.wait_for_coverage(job, _WAIT_FOR_COVERAGE)
            since = parse_instant("search.since", search.since)
            until = parse_instant("search.until", search.until)
            nodes = tuple(nodes_by_name(job, names).values())
            missing = tuple(missing_logs(job, nodes, since, until, search.path))
            for at in range(0, len(missing), _IN_A_REPLY):
                part = missing[at : at + _IN_A_REPLY]
                yield StreamReply(wire.FindReply(last.files, last.size, missing=part))
        yield StreamReply(wire.FindReply(last.files, last.size), continues=False)


async def paths_found(
    finder: Finder, files: SearchedFiles, search: wire.Search
) -> tuple[frozenset[str], list[wire.WrongFile]]:
    """Returns the paths of the files with a match, as in `ReceivedFile`, and the files that could
    not be searched, or not to their end.

    Raises `InvalidValue` for the field `found`, `StoreFailed`, `OSError`.
    """
    asked = _asked("found", search, files.directory, 0, files=True)
    paths: set[str] = set()
    unread: list[wire.WrongFile] = []
    with _named("found", search):
        async with aclosing(finder.find(files, asked, search.call_id)) as all_found:
            async for found in all_found:
                paths.update(os.fsdecode(each.path) for each in found.counted)
                unread += _unread(found, files.nodes)
    return frozenset(paths), unread


@contextmanager
def _named(field: str, search: wire.Search) -> Iterator[None]:
    """Turns `SearchRefused` into an `InvalidValue` with the field and its value."""
    try:
        yield
    except SearchRefused as error:
        kind, value = _sought(field, search)
        raise InvalidValue(f"{field}.{kind}", wrong_value(value, str(error))) from None


def _sought(field: str, search: wire.Search) -> tuple[str, str]:
    """Returns the name of the member that says what to search for, and its value.

    Raises `InvalidValue`.
    """
    values = {kind: getattr(search, kind) for kind in _KINDS}
    given = {kind: value for kind, value in values.items() if value is not None}
    if len(given) != 1:
        raise InvalidValue(field, f"{len(given)} of {', '.join(_KINDS)} are set; expected one")
    return next(iter(given.items()))


def _asked(
    field: str, search: wire.Search, directory: Path, context: int, *, files: bool
) -> FindIn:
    """Returns the search in the form for the processes. Raises `InvalidValue`."""
    kind, value = _sought(field, search)
    if not 1 <= len(value) <= _LONGEST or "\n" in value:
        expected = f"expected 1 to {_LONGEST} characters in one line"
        raise InvalidValue(f"{field}.{kind}", wrong_value(value, expected))
    return FindIn(
        directory=os.fsencode(directory),
        text=search.text,
        regex=search.regex,
        number=search.number,
        ignore_case=bool(search.ignore_case),
        since=_milliseconds(f"{field}.since", search.since),
        until=_milliseconds(f"{field}.until", search.until),
        context=context,
        files=files,
    )


def _milliseconds(field: str, text: str | None) -> int | None:
    moment = parse_instant(field, text)
    return None if moment is None else int(moment.timestamp() * 1000)


def _unread(found: Found, nodes: Sequence[Node]) -> Iterator[wire.WrongFile]:
    for each in found.unread:
        place = _place(nodes[each.node], each.path)
        yield wire.WrongFile(*place, each.why, nodes[each.node].name)


def _place(node: Node, path: bytes) -> tuple[str, str]:
    return node.node, printable_path(name_on_node(os.fsdecode(path), node))


def _reply(found: Found, nodes: Sequence[Node]) -> wire.FindReply:
    def place(number: int, path: bytes) -> tuple[str, str]:
        return _place(nodes[number], path)

    def match(line: FoundLine) -> wire.Match:
        return wire.Match(
            *place(line.node, line.path),
            line.line.decode(errors="replace"),
            line.number,
            None if line.time == NO_TIME else datetime.fromtimestamp(line.time / 1000, UTC),
            line.member or None,
            tuple(each.decode(errors="replace") for each in line.before) or None,
            tuple(each.decode(errors="replace") for each in line.after) or None,
        )

    return wire.FindReply(
        found.files,
        found.size,
        tuple(map(match, found.lines)) or None,
        tuple(wire.FoundFile(*place(each.node, each.path), each.lines) for each in found.counted)
        or None,
        tuple(
            wire.Followed(one.kind, one.value, *(() if tie is None else place(tie.node, tie.path)))
            for one, tie in found.followed
        )
        or None,
        tuple(found.not_followed) or None,
        tuple(_unread(found, nodes)) or None,
        unordered=found.unordered or None,
        of_bytes=found.whole or None,
    )
