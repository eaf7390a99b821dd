"""Answers the calls of `io.cucmd.Jobs` that search the files of a job: `Find`.

A deletion or a retry of the job ends a search, as it ends the other calls that only read.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from cucmd.api.case_methods import job_and_nodes
from cucmd.api.refusals import refusals_of_files
from cucmd.cases.documents import printable_path
from cucmd.cases.files import is_directory_gone, name_on_node, nodes_by_name
from cucmd.cases.finder import Finder, Found
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
_KINDS = ("text", "regex", "number", "call_id")


class FindMethods:
    """Answers Find."""

    def __init__(self, supervisor: Supervisor, finder: Finder) -> None:
        self._supervisor = supervisor
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
            asked = _asked(
                request.search, os.fsencode(directory), context, files=bool(request.files)
            )
            nodes = tuple(nodes_by_name(job, names).values())
            searching = self._finder.find(job, directory, nodes, asked, request.search.path)
            last = Found(0, 0)
            async with aclosing(searching):
                while True:
                    found = None
                    with self._holds.reading_as_guest(job.job_id) as reading:
                        found = await anext(searching, None)
                    if reading.cancel_called:
                        raise JobInUse(job.job_id, "it is being deleted, or tried again")
                    if found is None:
                        break
                    yield StreamReply(_reply(found, nodes))
                    last = found
        yield StreamReply(wire.FindReply(last.files, last.size), continues=False)


def _asked(search: wire.Search, directory: bytes, context: int, *, files: bool) -> FindIn:
    """Returns the search in the form for the processes. Raises `InvalidValue`."""
    given = [kind for kind in _KINDS if getattr(search, kind) is not None]
    if len(given) != 1:
        reason = f"{len(given)} of {', '.join(_KINDS)} are set: expected one"
        raise InvalidValue("search", reason)
    [kind] = given
    value = getattr(search, kind)
    if kind in ("number", "call_id"):
        raise InvalidValue(f"search.{kind}", "cannot be searched for by this version")
    if not 1 <= len(value) <= _LONGEST or "\n" in value or "\0" in value:
        expected = f"expected 1 to {_LONGEST} characters in one line"
        raise InvalidValue(f"search.{kind}", wrong_value(value, expected))
    return FindIn(
        directory=directory,
        text=search.text,
        regex=search.regex,
        ignore_case=bool(search.ignore_case),
        since=_milliseconds("search.since", search.since),
        until=_milliseconds("search.until", search.until),
        context=context,
        files=files,
    )


def _milliseconds(field: str, text: str | None) -> int | None:
    moment = parse_instant(field, text)
    return None if moment is None else int(moment.timestamp() * 1000)


def _reply(found: Found, nodes: Sequence[Node]) -> wire.FindReply:
    return wire.FindReply(
        found.files,
        found.size,
        tuple(_match(line, nodes) for line in found.lines) or None,
        tuple(
            wire.FoundFile(nodes[each.node].node, _path(each.path, nodes[each.node]), each.lines)
            for each in found.counted
        )
        or None,
        unread=tuple(
            wire.WrongFile(
                nodes[each.node].node,
                _path(each.path, nodes[each.node]),
                each.why,
                nodes[each.node].name,
            )
            for each in found.unread
        )
        or None,
        unordered=found.unordered or None,
    )


def _path(path: bytes, node: Node) -> str:
    return printable_path(name_on_node(os.fsdecode(path), node))


def _match(found: FoundLine, nodes: Sequence[Node]) -> wire.Match:
    node = nodes[found.node]
    return wire.Match(
        node.node,
        _path(found.path, node),
        found.line.decode(errors="replace"),
        found.number,
        None if found.time == NO_TIME else datetime.fromtimestamp(found.time / 1000, UTC),
        found.member or None,
        tuple(line.decode(errors="replace") for line in found.before) or None,
        tuple(line.decode(errors="replace") for line in found.after) or None,
    )
