"""Searches the files of a job by a few processes (`reading/find.py`), and merges what they find.

Each process gets every n-th file, and searches its files in the order of time. With what it finds
it sends a mark: the time before which it will find nothing more. A line is given out once the marks
of all processes are later than the line. Lines of the same time are in the order of their nodes,
files and numbers.

A process that is ahead of the others is not read while many lines wait here, so it waits too. If
the process that is behind finds too many lines with later times, the lines are given out anyway.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from heapq import heappop, heappush
from itertools import count, groupby
from pathlib import Path

import msgspec
import trio

from cucmd.cases.coverage_reader import latest_stamp
from cucmd.cases.documents import printable_path
from cucmd.cases.export_sender import file_process
from cucmd.cases.files import file_pages, is_counted, name_on_node
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.reading.call_search import (
    MOST_IDENTIFIERS,
    MOST_ROUNDS,
    MOST_TIED_BY_ONE,
    Call,
    Identifier,
    Tie,
)
from cucmd.store import Store
from cucmd.worker import frames
from cucmd.worker.frames import NO_TIME, FindIn, FoundLine, LinesFound
from cucmd.worker.process import Cause, Worker, WorkerEnded
from cucmd.worker.workers import Workers

# The role by which the worker machinery knows such a process.
FIND = "find"
# The most processes of a search, and the most searches at the same time.
_PROCESSES, _SEARCHES = min(len(os.sched_getaffinity(0)), 4), 8
# The most files in one frame, which must hold them also with the longest names.
_IN_A_FRAME = 200
# Bytes of lines that wait here: above the first number, only the process that is behind is read;
# above the second one, the earliest lines are given out although earlier ones may follow.
_MUCH, _TOO_MUCH = 4 * 1024**2, 16 * 1024**2
# Lines that are given out at once, and their bytes, of which each can need six in a reply.
_MOST_LINES, _MOST_BYTES = 500, 1024**2
# Milliseconds from 1970 to the end of the century, which no time stamp is later than.
_LATEST = 4_102_444_800_000 + 86_400_000
# Bytes that a line takes beside its text and the lines around.
_OVERHEAD = 300
# Seconds between two reports of a search that finds nothing.
_REPORT_EVERY = 1.0

_BEGUN = msgspec.msgpack.Decoder(frames.FindBegun)
_FOUND = msgspec.msgpack.Decoder(LinesFound)


class SearchRefused(Exception):
    """Raised if what is searched for is wrong, or takes too long. The text says which."""


class Found(msgspec.Struct, frozen=True):
    """Holds what was found since the last time. Nodes are numbers of the nodes that are searched.

    files, size: the files that were searched so far, and their bytes.
    whole: the bytes of all files that are searched.
    unordered: some lines are earlier than others before them.
    followed: the identifiers of a call, each with the place that ties it to the others.
    not_followed: texts that say what of the call was not followed.
    """

    files: int
    size: int
    lines: Sequence[FoundLine] = ()
    counted: Sequence[frames.CountedLines] = ()
    unread: Sequence[frames.UnsearchedFile] = ()
    unordered: bool = False
    ties: Sequence[frames.FoundTie] = ()
    followed: Sequence[tuple[Identifier, frames.FoundTie | None]] = ()
    not_followed: Sequence[str] = ()
    whole: int = 0


class SearchedFiles(msgspec.Struct, frozen=True):
    """Says which files are searched: the complete ones of these nodes that count (`is_counted`).

    path: only files on whose node the path contains this.
    """

    job: Job
    directory: Path
    nodes: Sequence[Node]
    path: str | None = None


class Finder:
    """Searches files. At most some searches go on at the same time, and the others wait."""

    def __init__(self, workers: Workers, store: Store) -> None:
        self._workers = workers
        self._store = store
        self._room = trio.CapacityLimiter(_SEARCHES)

    async def find(
        self, files: SearchedFiles, asked: FindIn, call_id: str | None = None
    ) -> AsyncGenerator[Found, None]:
        """Searches files.

        call_id: searches for this call. All files are read again and again, until no further
            identifier of the call is found, and then once more for its lines.

        Raises `SearchRefused`, `StoreFailed`, `OSError`.
        """
        async with self._room:
            if call_id is not None:
                try:
                    call = Call(call_id)
                except ValueError as error:
                    raise SearchRefused(str(error)) from None
                async with aclosing(self._follow(files, asked, call)) as rounds:
                    async for found in rounds:
                        yield found
                asked = _with_call(asked, call, ties=False)
            async with aclosing(self._search(files, asked)) as all_found:
                async for found in all_found:
                    yield found

    async def _follow(
        self, files: SearchedFiles, asked: FindIn, call: Call
    ) -> AsyncGenerator[Found, None]:
        """Adds what is found to the call. Yields its identifiers at the end."""
        places: dict[Identifier, frames.FoundTie] = {}
        found, goes_on, rounds = Found(0, 0), True, 0
        while goes_on and rounds < MOST_ROUNDS:
            rounds += 1
            came = []
            searching = self._search(files, _with_call(asked, call, ties=True))
            async with aclosing(searching) as all_found:
                async for found in all_found:
                    for tie in found.ties:
                        one = _identifier(tie.kind, tie.value)
                        places.setdefault(one, tie)
                        came.append(Tie(one, _identifier(tie.via_kind, tie.via_value)))
                    yield Found(found.files, found.size, whole=found.whole)
            goes_on = bool(call.add(came))
        yield Found(
            found.files,
            found.size,
            followed=[(one, places.get(one)) for one in call.identifiers],
            not_followed=_not_followed(call, goes_on=goes_on),
        )

    async def _search(self, files: SearchedFiles, asked: FindIn) -> AsyncGenerator[Found, None]:
        """Reads all files once."""
        async with AsyncExitStack() as stack:
            workers = [
                await stack.enter_async_context(file_process(self._workers, FIND, files.directory))
                for _ in range(_PROCESSES)
            ]
            for worker in workers:
                await worker.send(asked)
            for worker in workers:
                if (wrong := (await worker.receive(_BEGUN)).wrong) is not None:
                    raise SearchRefused(wrong)
            whole = await self._deal(files, workers)
            async with aclosing(merged(workers, files.nodes, whole)) as all_found:
                async for found in all_found:
                    yield found

    async def _deal(self, files: SearchedFiles, workers: Sequence[Worker]) -> int:
        """Gives each process its files. Returns the bytes of all files."""
        whole = 0
        numbers = {node.node: number for number, node in enumerate(files.nodes)}
        by_name = {node.node: node for node in files.nodes}
        job, dealt = files.job, 0
        async with aclosing(file_pages(self._store, job.job_id, by_name)) as all_pages:
            async for page in all_pages:
                chosen = [
                    file
                    for file, node in page
                    if file.complete
                    and is_counted(file, node, job.work)
                    and (files.path is None or files.path in name_on_node(file.path, node))
                ]
                whole += sum(file.size for file in chosen)
                for name, of_node in groupby(chosen, key=lambda file: file.node):
                    paths = [os.fsencode(file.path) for file in of_node]
                    node = by_name[name]
                    stamp = latest_stamp(node)
                    for number, worker in enumerate(workers):
                        own = paths[(number - dealt) % len(workers) :: len(workers)]
                        for at in range(0, len(own), _IN_A_FRAME):
                            part = tuple(own[at : at + _IN_A_FRAME])
                            page_of_node = frames.FindPage(numbers[name], stamp, node.zone, part)
                            await worker.send(page_of_node)
                    dealt += len(paths)
        for worker in workers:
            await worker.send(frames.FindPage())
        return whole


def _with_call(asked: FindIn, call: Call, *, ties: bool) -> FindIn:
    known, too_common = (
        tuple((one.kind, one.value) for one in all_) for all_ in (call.identifiers, call.too_common)
    )
    return msgspec.structs.replace(asked, call=known, too_common=too_common, ties=ties)


def _identifier(kind: str, value: str) -> Identifier:
    """Makes an identifier of what a process has sent. Raises `WorkerEnded` for an unknown kind."""
    try:
        return msgspec.convert({"kind": kind, "value": value}, Identifier)
    except msgspec.ValidationError as error:
        raise WorkerEnded(Cause.WRONG, str(error)) from error


def _not_followed(call: Call, *, goes_on: bool) -> list[str]:
    """Returns texts that say what of a call was not followed.

    goes_on: the last round has found something to follow.
    """
    texts = [
        f"{one.kind} {one.value}, which is tied to more than {MOST_TIED_BY_ONE} others"
        for one in call.too_common
    ]
    if call.is_cut:
        texts.append(f"more than {MOST_IDENTIFIERS} identifiers of one call")
    if goes_on:
        texts.append(f"what was found after {MOST_ROUNDS} searches through all files")
    return texts


async def merged(
    workers: Sequence[Worker], nodes: Sequence[Node], whole: int = 0
) -> AsyncGenerator[Found, None]:
    """Yields what the processes find, in the order of time. Raises `SearchRefused`."""
    running = dict(enumerate(workers))
    last = {number: LinesFound(-1, 0, 0) for number in running}
    heap: list[tuple[int, int, bytes, str, int, int, FoundLine]] = []
    numbers = count()  # two files in an archive may have the same name
    held = 0
    latest = -1
    reported_at = trio.current_time()
    while running:
        lowest = min(last[number].mark for number in running)
        read = {n: w for n, w in running.items() if held < _MUCH or last[n].mark == lowest}
        await _wait_any(tuple(read.values()))
        counted: list[frames.CountedLines] = []
        unread: list[frames.UnsearchedFile] = []
        ties: list[frames.FoundTie] = []
        for number, worker in read.items():
            for frame in worker.receive_arrived(_FOUND):
                if not _is_plausible(frame, len(nodes)):
                    raise WorkerEnded(Cause.WRONG, "its answer names a node or time that is none")
                last[number] = frame
                for line in frame.lines:
                    place = (line.node, line.path, line.member, line.number)
                    heappush(heap, (line.time, *place, next(numbers), line))
                    held += _size(line)
                counted += frame.counted
                unread += frame.unread
                ties += frame.ties
                if frame.too_long and frame.unread:
                    stopped = frame.unread[-1]
                    name = name_on_node(os.fsdecode(stopped.path), nodes[stopped.node])
                    raise SearchRefused(f"{stopped.why} of {printable_path(name)}")
                if frame.ended:
                    del running[number]
        lowest = min((last[number].mark for number in running), default=NO_TIME + 1)
        files = sum(frame.files for frame in last.values())
        size = sum(frame.size for frame in last.values())
        is_due = trio.current_time() - reported_at > _REPORT_EVERY
        while (
            counted
            or unread
            or ties
            or is_due
            or (heap and (heap[0][0] < lowest or held > _TOO_MUCH))
        ):
            lines: list[FoundLine] = []
            unordered = False
            given = 0
            while (
                heap
                and len(lines) < _MOST_LINES
                and given < _MOST_BYTES
                and (heap[0][0] < lowest or held > _TOO_MUCH)
            ):
                line = heappop(heap)[-1]
                held -= _size(line)
                given += _size(line)
                unordered = unordered or line.time < latest
                latest = max(latest, line.time)
                lines.append(line)
            yield Found(files, size, lines, counted, unread, unordered, ties, whole=whole)
            counted, unread, ties, is_due = [], [], [], False
            reported_at = trio.current_time()
    yield Found(files, size, whole=whole)


def _size(line: FoundLine) -> int:
    around = sum(map(len, line.before + line.after))
    return len(line.line) + around + len(line.member) + _OVERHEAD


def _is_plausible(frame: LinesFound, nodes: int) -> bool:
    """Returns whether a frame can come from a process that works as it should.

    Hostile bytes may have taken over the process.
    """
    numbers = [
        *(line.node for line in frame.lines),
        *(file.node for file in frame.counted),
        *(file.node for file in frame.unread),
        *(tie.node for tie in frame.ties),
    ]
    times = (line.time for line in frame.lines)
    return all(0 <= number < nodes for number in numbers) and all(
        0 <= time <= _LATEST or time == NO_TIME for time in times
    )


async def _wait_any(workers: Sequence[Worker]) -> None:
    """Waits until one of the processes has sent something. Raises `WorkerEnded`."""
    ended: list[WorkerEnded] = []

    async def wait(worker: Worker) -> None:
        try:
            await worker.wait_readable()
        except WorkerEnded as error:
            ended.append(error)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for worker in workers:
            nursery.start_soon(wait, worker)
    if ended:
        raise ended[0]
