"""Makes one tar of a job: says what is in it and how long it will be, and gives its parts.

The length is told before the first byte, and a tar that is not whole never has it. So the files are
looked at twice, a page at a time: `measure` adds up, and finds what is missing or has another size
while an error can still be told; `parts` says what is sent (`sending.py`).

    summary.txt         what a person reads first
    SHA256SUMS          before the files, so that they can be checked as they pass
    manifest.json       the job, its nodes, all files
    transcripts/NODE.log
    NODE/...            the files, as the node named them, but for what names.py says
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from itertools import compress
from pathlib import Path

import msgspec
import trio

from cucmd.cases import documents
from cucmd.cases.documents import ExportedNode
from cucmd.cases.files import Page, counts, folder, name_of, nodes_by_name, pages
from cucmd.cases.names import portable
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.received_file import GONE, NOT_REGULAR, ReceivedFile, other_size
from cucmd.store import Store
from cucmd.worker.frames import ExportPart

DOCUMENTS = ("summary.txt", "SHA256SUMS", "manifest.json")
# Two blocks of zeros; not padded to a record of 20 blocks, which no reader needs.
_END = bytes(2 * tarfile.BLOCKSIZE)
# Bytes of a list of parts: a frame of a worker has at most four times as many.
_MOST_LISTED = 256 * 1024


class UnknownFile(Exception):
    """The archive has no file of that name."""


class Measured(msgspec.Struct, frozen=True):
    """Says what a tar will have. `length`: bytes that are sent of it. `files`, `size`: how many
    files are in all of it, and their bytes.

    `damaged`: for each node, as `ExportedNode` has them.
    """

    length: int
    files: int
    size: int
    left_out: int
    damaged: dict[str, dict[str, str]]


class TarEntry(msgspec.Struct, frozen=True):
    """Describes a file in the tar. `name`: the path in the tar. `size`: bytes. `modified`: seconds
    since 1970. `path`: below the directory of the job; "" of a document.
    """

    name: str
    size: int
    modified: int
    path: str = ""

    def header(self) -> bytes:
        """Writes the header in the pax format, which has no limit for names and sizes."""
        info = tarfile.TarInfo(self.name)
        info.size, info.mtime, info.mode = self.size, self.modified, 0o640
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def length(self) -> int:
        """Counts the bytes of header, content and padding."""
        return len(self.header()) + self.size + -self.size % tarfile.BLOCKSIZE


def exported_name(file: ReceivedFile, node: Node, alike: frozenset[bytes]) -> str:
    """Returns the name of a file in the archive. `alike`: paths in lower case that several files of
    the job have.
    """
    differs_in_case = bool(alike) and os.fsencode(file.path).lower() in alike
    return f"{portable(folder(node))}/{portable(name_of(file, node), alike=differs_in_case)}"


class Archive:
    """Exports one job, which must be closed. `nodes`: only these. `incomplete`: such files too.
    `after`: only what is behind the file of this name.

    `measure` first, then `parts`. What is gone, or has another size, is left out, and named in the
    summary; so are the files that are known to be `damaged`, by path.
    """

    def __init__(
        self,
        store: Store,
        job: Job,
        directory: Path,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        damaged: Mapping[str, str] | None = None,
        after: str | None = None,
    ) -> None:
        self._store = store
        self._job = job
        self._directory = directory
        self._nodes = nodes_by_name(job, nodes)
        self._incomplete = incomplete
        self._damaged = dict(damaged or {})
        self._after = after
        self._behind = True  # what comes next
        self._alike: frozenset[bytes] = frozenset()  # paths in lower case
        # Of nodes of which all attempts count: what came in each, below the folder of the attempt.
        self._complete: dict[str, set[str]] = {}
        self._cut: dict[str, set[str]] = {}
        self._figures = {name: ExportedNode() for name in self._nodes}
        self._checksums_length = 0
        self._manifest_length = 0
        self._transcripts: list[TarEntry] = []
        self._modified = int((job.completed_at or job.created_at).timestamp())

    async def measure(self) -> Measured:
        """Raises `UnknownFile` for that of `after`, `OSError`, `StoreFailed`."""
        self._behind = self._after is None
        self._alike = await self._store.paths_alike(self._job.job_id)
        sent = [self._is_behind(name) for name in DOCUMENTS]  # how long they are, shows at the end
        self._transcripts = await trio.to_thread.run_sync(self._find_transcripts)
        length = sum(one.length() for one in self._transcripts if self._is_behind(one.name))
        async with aclosing(pages(self._store, self._job.job_id, self._nodes)) as all_pages:
            async for page in all_pages:
                length += await trio.to_thread.run_sync(self._measure_page, page)
        if not self._behind and self._after is not None:
            raise UnknownFile(self._after)
        for name, cut in self._cut.items():
            self._figures[name].left_out = len(cut - self._complete.get(name, set()))
        self._manifest_length += len(self._manifest_beginning()) + len(documents.MANIFEST_END)
        documents_sent = compress(self._documents(), sent)
        figures = self._figures.values()
        return Measured(
            length + sum(one.length() for one in documents_sent) + len(_END),
            sum(one.files for one in figures),
            sum(one.size for one in figures),
            sum(one.left_out for one in figures),
            {name: one.damaged for name, one in self._figures.items() if one.damaged},
        )

    async def parts(self) -> AsyncGenerator[list[ExportPart], None]:
        """Yields the parts of the tar, in lists that each fit in a frame. Raises `StoreFailed`."""
        self._behind = self._after is None
        contents = (self._summary(), self._checksums(), self._manifest())
        for entry, content in zip(self._documents(), contents, strict=True):
            if not self._is_behind(entry.name):
                continue
            yield [ExportPart(entry.header())]
            async with aclosing(content) as pieces:
                async for piece in pieces:
                    for first in range(0, len(piece), _MOST_LISTED):
                        yield [ExportPart(piece[first : first + _MOST_LISTED])]
            yield [ExportPart(bytes(-entry.size % tarfile.BLOCKSIZE))]
        for some in self._parts_of(self._transcripts):
            yield some
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                for some in await trio.to_thread.run_sync(self._parts_of_files, page):
                    yield some
        yield [ExportPart(_END)]

    # What is in it

    def _is_behind(self, name: str) -> bool:
        """Says whether a file is behind that of `after`. To be asked of each, in their order."""
        behind = self._behind
        self._behind = behind or name == self._after
        return behind

    def _documents(self) -> tuple[TarEntry, ...]:
        summary = len(documents.summary(self._job, self._figures))
        sizes = (summary, self._checksums_length, self._manifest_length)
        named = zip(DOCUMENTS, sizes, strict=True)
        return tuple(TarEntry(name, size, self._modified) for name, size in named)

    async def _pages(self) -> AsyncGenerator[Page, None]:
        """Yields the files that are exported."""
        async with aclosing(pages(self._store, self._job.job_id, self._nodes)) as all_pages:
            async for page in all_pages:
                yield [(file, node) for file, node in page if self._is_exported(file, node)]

    def _is_exported(self, file: ReceivedFile, node: Node) -> bool:
        wanted = counts(file, node) and (file.complete or self._incomplete)
        return wanted and file.path not in self._damaged

    def _entry(self, file: ReceivedFile, node: Node) -> TarEntry:
        modified = self._modified if file.modified is None else file.modified
        return TarEntry(exported_name(file, node, self._alike), file.size, modified, file.path)

    def _find_transcripts(self) -> list[TarEntry]:
        """Finds the transcripts of the nodes. A node that was never reached has none."""
        found = []
        for node in self._nodes.values():
            path = f"{folder(node)}/transcript.log"
            try:
                size = (self._directory / path).lstat().st_size
            except FileNotFoundError:
                continue
            name = portable(f"transcripts/{folder(node)}.log")
            found.append(TarEntry(name, size, self._modified, path))
        return found

    def _manifest_beginning(self) -> bytes:
        return documents.manifest_beginning(self._job, self._figures)

    # In a worker thread, a page at a time

    def _measure_page(self, page: Page) -> int:
        """Returns how many bytes are sent of the files."""
        for file, node in page:
            if counts(file, node) and (file.complete or self._incomplete):
                known = self._damaged.get(file.path)
                if wrong := known or _wrong_on_disk(self._directory / file.path, file.size):
                    self._damaged[file.path] = wrong
                    name = documents.shown(name_of(file, node))
                    self._figures[file.node].damaged[name] = wrong
            if counts(file, node):
                # A node makes a folder `IP/DATE` for each command, and pushes its own into it. A
                # file that two attempts left incomplete counts once, and not at all if one has it.
                name = name_of(file, node)
                name = name.split("/", 2)[2] if name.count("/") > 1 else name
                if not file.complete and not self._incomplete:
                    self._cut.setdefault(file.node, set()).add(name)
                elif file.complete and node.attempt > 1:
                    self._complete.setdefault(file.node, set()).add(name)
        exported = [(file, node) for file, node in page if self._is_exported(file, node)]
        self._manifest_length += len(
            documents.manifest_files(self._named(exported), first=not self._manifest_length)
        )
        length = 0
        for file, node in exported:
            entry, figures = self._entry(file, node), self._figures[file.node]
            figures.files += 1
            figures.size += file.size
            if entry.name != (given := f"{folder(node)}/{name_of(file, node)}"):
                figures.renamed.append((documents.shown(given), entry.name))
            if file.sha256:
                self._checksums_length += len(documents.checksum_line(file, entry.name))
            if self._is_behind(entry.name):
                length += entry.length()
        return length

    def _named(self, page: Page) -> list[tuple[ReceivedFile, Node, str]]:
        return [(file, node, exported_name(file, node, self._alike)) for file, node in page]

    def _parts_of_files(self, page: Page) -> list[list[ExportPart]]:
        return self._parts_of([self._entry(file, node) for file, node in page])

    def _parts_of(self, entries: Sequence[TarEntry]) -> list[list[ExportPart]]:
        """Makes the parts of those that are sent, in lists that each fit in a frame."""
        lists: list[list[ExportPart]] = []
        left = 0
        for entry in entries:
            if not self._is_behind(entry.name):
                continue
            path = os.fsencode(self._directory / entry.path)
            part = ExportPart(entry.header(), path, entry.size)
            if left <= 0:
                lists.append([])
                left = _MOST_LISTED
            lists[-1].append(part)
            left -= len(part.head) + len(path)
        return lists

    # Bytes of the documents

    async def _summary(self) -> AsyncGenerator[bytes, None]:
        yield documents.summary(self._job, self._figures)

    async def _checksums(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                lines = [
                    documents.checksum_line(file, name)
                    for file, _, name in self._named(page)
                    if file.sha256
                ]
                yield b"".join(lines)

    async def _manifest(self) -> AsyncGenerator[bytes, None]:
        yield self._manifest_beginning()
        first = True
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                piece = documents.manifest_files(self._named(page), first=first)
                first = first and not piece
                yield piece
        yield documents.MANIFEST_END


def _wrong_on_disk(path: Path, size: int) -> str | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return GONE
    if not stat.S_ISREG(found.st_mode):
        return NOT_REGULAR
    return None if found.st_size == size else other_size(found.st_size, size)
