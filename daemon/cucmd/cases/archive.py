"""Makes one tar of a job: says what is in it and how long it will be, and gives its bytes.

The length is told before the first byte, and a tar that is not whole never has it. So the files are
looked at twice, a page at a time: `measure` adds up, and finds what is missing or has another size
while an error can still be told; `stream` reads.

    summary.txt         what a person reads first
    SHA256SUMS          before the files, so that they can be checked as they pass
    manifest.json       the job, its nodes, all files
    transcripts/NODE.log
    NODE/...            the files, as the node named them, but for what names.py says
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

import msgspec
import trio

from cucmd.cases import documents
from cucmd.cases.documents import ExportedNode
from cucmd.cases.exported import (
    END,
    GONE,
    MOST_TOGETHER,
    NOT_REGULAR,
    OpenedFile,
    TarEntry,
    WantedFile,
    contents,
    open_all,
    other_size,
)
from cucmd.cases.files import Page, counts, folder, name_of, nodes_by_name, pages
from cucmd.cases.names import portable
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store


class Measured(msgspec.Struct, frozen=True):
    """Says what a tar will have. `length`, `size`: bytes, of the tar and of the files in it.

    `damaged`: for each node, as `ExportedNode` has them.
    """

    length: int
    files: int
    size: int
    left_out: int
    damaged: dict[str, dict[str, str]]


class Archive:
    """Exports one job, which must be closed. `nodes`: only these. `incomplete`: such files
    too.

    `measure` first, then `stream`, or `opened` for who makes the tar from open files.
    What is gone by then, or has another size, is left out, and named in the summary; so is what the
    caller knows to be `wrong`: a name in the archive, and why.
    `verify`: to compare the files, and no transcripts. All complete ones are in it, and `opened`
    says what is wrong with one.
    """

    def __init__(
        self,
        store: Store,
        job: Job,
        directory: Path,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        wrong: Mapping[str, str] | None = None,
        verify: bool = False,
    ) -> None:
        self._store = store
        self._job = job
        self._directory = directory
        self._nodes = nodes_by_name(job, nodes)
        self._incomplete = incomplete
        self._wrong = wrong or {}
        self._verify = verify
        self._damaged: set[str] = set()  # paths
        self._alike: frozenset[bytes] = frozenset()  # paths in lower case
        # Of nodes of which all attempts count: what came in each, below the folder of the attempt.
        self._complete: dict[str, set[str]] = {}
        self._cut: dict[str, set[str]] = {}
        self._figures = {name: ExportedNode() for name in self._nodes}
        self._checksums_length = 0
        self._manifest_length = 0
        self._transcripts: list[WantedFile] = []
        self._modified = int((job.completed_at or job.created_at).timestamp())

    async def measure(self) -> Measured:
        """Raises `OSError`, `StoreFailed`."""
        length = 0
        self._alike = await self._store.alike(self._job.job_id)
        async with aclosing(pages(self._store, self._job.job_id, self._nodes)) as all_pages:
            async for page in all_pages:
                length += await trio.to_thread.run_sync(self._measure_page, page)
        for name, cut in self._cut.items():
            self._figures[name].left_out = len(cut - self._complete.get(name, set()))
        self._transcripts = await trio.to_thread.run_sync(self._find_transcripts)
        self._manifest_length += len(self._manifest_beginning()) + len(documents.MANIFEST_END)
        transcripts = [one.entry for one in self._transcripts]
        for entry in (*self.documents(), *transcripts):
            length += entry.length()
        figures = self._figures.values()
        return Measured(
            length + len(END),
            sum(one.files for one in figures),
            sum(one.size for one in figures),
            sum(one.left_out for one in figures),
            {name: one.damaged for name, one in self._figures.items() if one.damaged},
        )

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yields the bytes of the tar. Raises `CannotExport`, `OSError`, `StoreFailed` in the
        middle.
        """
        for entry, content in zip(self.documents(), self._contents(), strict=True):
            yield entry.header()
            async with aclosing(content) as pieces:
                async for piece in pieces:
                    yield piece
            yield entry.padding()
        async with aclosing(self._wanted()) as lists:
            async for wanted in lists:
                files = ((one.entry, self._directory / one.path) for one in wanted)
                async with aclosing(contents(files)) as pieces:
                    async for piece in pieces:
                        yield piece
        yield END

    async def _open(
        self, wanted: list[WantedFile], opening: trio.CapacityLimiter
    ) -> list[OpenedFile]:
        work = partial(open_all, self._directory, wanted, damaged=self._verify)
        return await trio.to_thread.run_sync(work, limiter=opening)

    def documents(self) -> tuple[TarEntry, TarEntry, TarEntry]:
        """Returns the documents, which come before the files. `content_of_documents` gives the
        bytes of all.
        """
        summary = len(documents.summary(self._job, self._figures))
        return (
            TarEntry("summary.txt", summary, self._modified),
            TarEntry("SHA256SUMS", self._checksums_length, self._modified),
            TarEntry("manifest.json", self._manifest_length, self._modified),
        )

    async def content_of_documents(self) -> AsyncGenerator[bytes, None]:
        """Raises `StoreFailed`."""
        for content in self._contents():
            async with aclosing(content) as pieces:
                async for piece in pieces:
                    yield piece

    async def opened(self, opening: trio.CapacityLimiter) -> AsyncGenerator[list[OpenedFile], None]:
        """Opens the same files, and yields them in lists of one to `MOST_TOGETHER`. Who takes a
        list closes them.

        `opening` limits how many lists are opened at a time.
        Raises `CannotExport`, `OSError`, `StoreFailed`.
        """
        left: list[WantedFile] = []
        async with aclosing(self._wanted()) as lists:
            async for wanted in lists:
                left += wanted
                while len(left) >= MOST_TOGETHER:
                    yield await self._open(left[:MOST_TOGETHER], opening)
                    del left[:MOST_TOGETHER]
        if left:
            yield await self._open(left, opening)

    # What is in it

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
        return TarEntry(self._name(file, node), file.size, modified)

    def _name(self, file: ReceivedFile, node: Node) -> str:
        if self._verify:  # nobody unpacks it
            return documents.shown(f"{folder(node)}/{name_of(file, node)}")
        alike = bool(self._alike) and os.fsencode(file.path).lower() in self._alike
        return f"{portable(folder(node))}/{portable(name_of(file, node), alike=alike)}"

    async def _wanted(self) -> AsyncGenerator[list[WantedFile], None]:
        """Yields all that comes behind the documents."""
        if not self._verify:
            yield self._transcripts
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                yield [
                    WantedFile(self._entry(file, node), file.path, file.node, file.sha256)
                    for file, node in page
                ]

    def _find_transcripts(self) -> list[WantedFile]:
        """Finds the transcripts of the nodes. A node that was never reached has none."""
        found = []
        for node in self._nodes.values():
            path = f"{folder(node)}/transcript.log"
            try:
                size = (self._directory / path).lstat().st_size
            except FileNotFoundError:
                continue
            name = portable(f"transcripts/{folder(node)}.log")
            entry = TarEntry(name, size, self._modified)
            found.append(WantedFile(entry, path, node.node))
        return found

    def _manifest_beginning(self) -> bytes:
        return documents.manifest_beginning(self._job, self._figures)

    # Measuring; in a worker thread, a page at a time

    def _measure_page(self, page: Page) -> int:
        for file, node in page:
            if self._is_exported(file, node) and not self._verify:
                self._look_at(file, node)
            if counts(file, node):
                self._note_whether_whole(file, node)
        exported = [(file, node) for file, node in page if self._is_exported(file, node)]
        self._manifest_length += len(
            documents.manifest_files(self._named(exported), first=not self._manifest_length)
        )
        return sum(self._measure_file(file, node) for file, node in exported)

    def _measure_file(self, file: ReceivedFile, node: Node) -> int:
        entry = self._entry(file, node)
        figures = self._figures[file.node]
        figures.files += 1
        figures.size += file.size
        if entry.name != (given := f"{folder(node)}/{name_of(file, node)}"):
            figures.renamed.append((documents.shown(given), entry.name))
        if file.sha256:
            self._checksums_length += len(documents.checksum_line(file, entry.name))
        return entry.length()

    def _look_at(self, file: ReceivedFile, node: Node) -> None:
        wrong = self._wrong.get(self._name(file, node))
        if wrong := wrong or self._wrong_on_disk(file):
            self._damaged.add(file.path)
            self._figures[file.node].damaged[documents.shown(name_of(file, node))] = wrong

    def _wrong_on_disk(self, file: ReceivedFile) -> str | None:
        try:
            found = (self._directory / file.path).lstat()
        except FileNotFoundError:
            return GONE
        if not stat.S_ISREG(found.st_mode):
            return NOT_REGULAR
        return None if found.st_size == file.size else other_size(found.st_size, file.size)

    def _note_whether_whole(self, file: ReceivedFile, node: Node) -> None:
        """Lets a file of two attempts be left out once, and not at all if one has all of it."""
        name = _without_attempt(name_of(file, node))
        if not file.complete and not self._incomplete:
            self._cut.setdefault(file.node, set()).add(name)
        elif file.complete and node.attempt > 1:
            self._complete.setdefault(file.node, set()).add(name)

    def _named(self, page: Page) -> list[tuple[ReceivedFile, Node, str]]:
        return [(file, node, self._name(file, node)) for file, node in page]

    # Bytes

    def _contents(self) -> tuple[AsyncGenerator[bytes, None], ...]:
        return self._summary(), self._checksums(), self._manifest()

    async def _summary(self) -> AsyncGenerator[bytes, None]:
        yield documents.summary(self._job, self._figures)

    async def _checksums(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                lines = [
                    documents.checksum_line(file, self._entry(file, node).name)
                    for file, node in page
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


def _without_attempt(name: str) -> str:
    """Cuts off `IP/DATE`: a node makes that folder for each command, and pushes its own into it."""
    parts = name.split("/", 2)
    return parts[-1] if len(parts) == 3 else name
