"""The manifest of a job: every file that came, by node, with size, SHA-256 and whether it is whole.

The one rule: the file on disk is replaced in one step and never shows a file as complete before
its bytes are durable.

Each write is one of the whole file, for it is one JSON document that readers see whole: one for
every node of a large job would be work that grows with the square of the job, 5 GB for 400 nodes of
250 files. But the store has each node's files by then, and a restart makes the manifest from there
(`recovery.py`): nothing is lost where a write waits. So up to `SMALL` files there is one for every
node that ends, before its end is shown, and whoever sees the end finds the files. Beyond, the next
is `due` when writing takes no more than a fiftieth of the time, and takes in all that ended
meanwhile; who cannot wait need not (`filing.py`). A share of the time is right for every size and
every disk; a number of nodes or seconds would not be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import msgspec
import trio

from cucmd.durable import replace_file
from cucmd.received_file import ReceivedFile

# Files, half a megabyte of them, up to which a write is so cheap that each node may have its own.
SMALL = 2000
# Beyond: how many times as long as the last write took it is until the next is due; in seconds, at
# most. With 100,000 files a write takes 0.13 s, and the pause 6.5 s.
PAUSE = 50
LONGEST_PAUSE = 60.0

# Files whose words are made in one go, in a third of a millisecond: the encoder does not let go of
# the interpreter before it is through, and from a thread it would hold the loop as well.
PIECE = 1000


class Entry(msgspec.Struct, frozen=True):
    """A received file, as the manifest has it."""

    node: str
    path: str
    size: int
    sha256: str
    complete: bool


class Manifest(msgspec.Struct, frozen=True):
    job_id: str
    files: tuple[Entry, ...]


class ManifestWriter:
    """Writes `manifest.json` when told to; nodes that end together share a write."""

    def __init__(self, job_id: str, directory: Path, entries: Sequence[ReceivedFile] = ()) -> None:
        self._job_id = job_id
        self._path = directory / "manifest.json"
        self._entries = _by_node(entries)
        self._files = len(entries)
        self._paused_until = -math.inf
        self._writing = trio.Lock()
        self._wanted = 1 if entries else 0
        self._written = 0

    @property
    def written(self) -> bool:
        """Whether the file says all that there is to say; so too where there is nothing."""
        return self._written >= self._wanted

    @property
    def due(self) -> float:
        """When the next write may begin, on trio's clock, if nobody needs it sooner."""
        return -math.inf if self._files <= SMALL else self._paused_until

    def entries(self, node: str) -> tuple[ReceivedFile, ...]:
        return self._entries.get(node, ())

    def add(self, node: str, files: Sequence[ReceivedFile]) -> tuple[ReceivedFile, ...]:
        """The node's files of this run, after those of earlier runs, which stay."""
        entries = (*self.entries(node), *files)
        self._entries[node] = entries
        self._files += len(files)
        self._wanted += 1
        return entries

    async def write(self) -> None:
        """Durable when it returns. Raises `OSError`."""
        mine = self._wanted
        async with self._writing:
            if self._written >= mine:
                return
            version, nodes = self._wanted, tuple(self._entries.values())
            began = trio.current_time()
            try:
                await replace(self._path, self._job_id, nodes)
            finally:
                ended = trio.current_time()
                self._paused_until = ended + min(PAUSE * (ended - began), LONGEST_PAUSE)
            self._written = version


def _by_node(entries: Sequence[ReceivedFile]) -> dict[str, tuple[ReceivedFile, ...]]:
    found: dict[str, list[ReceivedFile]] = {}
    for entry in entries:
        found.setdefault(entry.node, []).append(entry)
    return {node: tuple(files) for node, files in found.items()}


def _entry(file: ReceivedFile) -> Entry:
    return Entry(file.node, file.path, file.size, file.sha256, file.complete)


async def replace(path: Path, job_id: str, nodes: Sequence[Sequence[ReceivedFile]]) -> None:
    """In a thread: the words for a hundred thousand files, and the disk, take their time."""
    pieces = words(job_id, chain.from_iterable(nodes))
    await trio.to_thread.run_sync(replace_file, path, pieces, 0o640)


def words(job_id: str, files: Iterable[ReceivedFile]) -> Iterator[bytes]:
    """The manifest as JSON, in pieces that are soon made."""
    empty = _formatted(Manifest(job_id, ()))
    head = empty[: -len(b"]\n}")]
    tail = b"\n ]\n}"
    files, between = iter(files), b"\n"
    yield head
    while piece := tuple(islice(files, PIECE)):
        yield between
        yield _formatted(Manifest(job_id, tuple(map(_entry, piece))))[len(head) + 1 : -len(tail)]
        between = b",\n"
    yield (empty[len(head) :] if between == b"\n" else tail) + b"\n"


def _formatted(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def says(directory: Path, entries: Sequence[ReceivedFile]) -> bool:
    """Whether the manifest on disk names exactly these files; none is one without files."""
    try:
        found = msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)
    except FileNotFoundError:
        return not entries
    except (OSError, msgspec.MsgspecError):
        return False
    return set(found.files) == set(map(_entry, entries))
