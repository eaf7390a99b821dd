"""Makes one tar of a job: its content, its length, and its parts.

The client gets the length before the first byte, so that it can notice a tar that was cut off. So
the files are listed twice, a page at a time. `measure` adds up the sizes, and finds files that are
missing or have another size while an error can still be reported. `parts` then yields the parts to
send (`export_sender.py`).

    summary.txt           what a person reads first
    SHA256SUMS            before the files, so that they can be checked as they pass
    manifest.json         the job, its nodes, all files
    transcripts/NODE.log
    NODE/...              the files, named as on the node, but portably (names.py)

NODE is the host name of the node, or else its address (`export_folder`).
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import AsyncGenerator, Container, Mapping, Sequence
from contextlib import aclosing
from itertools import compress
from pathlib import Path

import msgspec
import trio

from cucmd.cases import documents
from cucmd.cases.documents import ExportedNode
from cucmd.cases.files import (
    Page,
    export_folder,
    file_pages,
    is_counted,
    name_on_node,
    node_folder,
    nodes_by_name,
)
from cucmd.cases.names import portable_name
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.received_file import GONE, NOT_REGULAR, ReceivedFile, other_size
from cucmd.store import Store
from cucmd.worker.frames import ExportPart

SUMMARY, MANIFEST = "summary.txt", "manifest.json"
DOCUMENTS = (SUMMARY, "SHA256SUMS", MANIFEST)
# Two blocks of zeros. The tar is not padded to a record of 20 blocks, which no reader needs.
_END = bytes(2 * tarfile.BLOCKSIZE)
# The most bytes in a list of parts. A frame of a worker may have four times as many.
_MOST_LISTED = 256 * 1024


class UnknownFile(Exception):
    """Raised if the archive has no file of that name."""


class Measured(msgspec.Struct, frozen=True):
    """Describes a tar before it is sent.

    length: bytes that are sent. files, size: the files of the whole tar and their bytes, including
    those that `after` leaves out. damaged: for each node, as in `ExportedNode`.
    """

    length: int
    files: int
    size: int
    left_out: int
    damaged: dict[str, dict[str, str]]


class TarEntry(msgspec.Struct, frozen=True):
    """Describes a file in the tar.

    name: the path in the tar. size: bytes. modified: seconds since 1970. path: the path below the
    directory of the job, or "" for a document.
    """

    name: str
    size: int
    modified: int
    path: str = ""

    def header(self) -> bytes:
        """Returns the header in the pax format, which has no limit for names and sizes."""
        info = tarfile.TarInfo(self.name)
        info.size, info.mtime, info.mode = self.size, self.modified, 0o640
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def length(self) -> int:
        """Returns the bytes of header, content and padding."""
        return len(self.header()) + self.size + -self.size % tarfile.BLOCKSIZE


def exported_name(file: ReceivedFile, node: Node, paths_alike: frozenset[bytes]) -> str:
    """Returns the name of a file in the archive.

    paths_alike: the paths, in lower case, that several files of the job have.
    """
    differs_in_case = bool(paths_alike) and os.fsencode(file.path).lower() in paths_alike
    name = portable_name(name_on_node(file.path, node), alike=differs_in_case)
    return f"{portable_name(export_folder(node))}/{name}"


class Archive:
    """Exports one job, which must be closed. `measure` comes first, then `parts`.

    nodes: export only these. incomplete: export incomplete files too. after: send only the files
    that come after the one with this name. damaged: files that are known to be damaged, by path.
    only: export only files with these paths.

    Files that are damaged, gone, or of another size are left out and named in the summary.
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
        only: Container[str] | None = None,
    ) -> None:
        self._store = store
        self._job = job
        self._directory = directory
        self._nodes = nodes_by_name(job, nodes)
        self._incomplete = incomplete
        self._damaged = dict(damaged or {})
        self._after = after
        self._only = only
        self._reached = True  # whether the file of `after` was passed
        # Paths that differ only in case, stored in lower case.
        self._paths_alike: frozenset[bytes] = frozenset()
        # The names of the files that came, by node, where all attempts of the node count.
        self._complete_names: dict[str, set[str]] = {}
        self._incomplete_names: dict[str, set[str]] = {}
        self._figures = {name: ExportedNode() for name in self._nodes}
        self._checksums_length = 0
        self._manifest_length = 0
        self._transcripts: list[TarEntry] = []
        self._modified = int((job.completed_at or job.created_at).timestamp())

    async def measure(self) -> Measured:
        """Adds up the sizes. Raises `OSError`, `StoreFailed`, and `UnknownFile` for `after`."""
        self._reached = self._after is None
        self._paths_alike = await self._store.paths_alike(self._job.job_id)
        sent = [self._is_sent(name) for name in DOCUMENTS]  # their lengths are known at the end
        self._transcripts = await trio.to_thread.run_sync(self._find_transcripts)
        length = sum(entry.length() for entry in self._transcripts if self._is_sent(entry.name))
        async with aclosing(self._all_pages()) as all_pages:
            async for page in all_pages:
                length += await trio.to_thread.run_sync(self._measure_page, page)
        if not self._reached and self._after is not None:
            raise UnknownFile(self._after)
        for name, cut in self._incomplete_names.items():
            self._figures[name].left_out = len(cut - self._complete_names.get(name, set()))
        beginning = documents.manifest_beginning(self._job, self._figures)
        self._manifest_length += len(beginning) + len(documents.MANIFEST_END)
        documents_sent = compress(self._documents(), sent)
        figures = self._figures.values()
        return Measured(
            length + sum(entry.length() for entry in documents_sent) + len(_END),
            sum(node.files for node in figures),
            sum(node.size for node in figures),
            sum(node.left_out for node in figures),
            {name: node.damaged for name, node in self._figures.items() if node.damaged},
        )

    async def parts(self) -> AsyncGenerator[list[ExportPart], None]:
        """Yields the parts of the tar, in lists that each fit in a frame. Raises `StoreFailed`."""
        self._reached = self._after is None
        for entry in self._documents():
            if not self._is_sent(entry.name):
                continue
            yield [ExportPart(entry.header())]
            async with aclosing(self._content(entry.name)) as pieces:
                async for piece in pieces:
                    for first in range(0, len(piece), _MOST_LISTED):
                        yield [ExportPart(piece[first : first + _MOST_LISTED])]
            yield [ExportPart(bytes(-entry.size % tarfile.BLOCKSIZE))]
        for parts in self._parts_of_entries(self._transcripts):
            yield parts
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                for parts in await trio.to_thread.run_sync(self._parts_of_files, page):
                    yield parts
        yield [ExportPart(_END)]

    # What is in it

    def _is_sent(self, name: str) -> bool:
        """Returns whether a file comes after `after`. Call this for each file in order."""
        is_after = self._reached
        self._reached = is_after or name == self._after
        return is_after

    def _documents(self) -> tuple[TarEntry, ...]:
        summary = len(documents.summary(self._job, self._figures))
        sizes = (summary, self._checksums_length, self._manifest_length)
        named = zip(DOCUMENTS, sizes, strict=True)
        return tuple(TarEntry(name, size, self._modified) for name, size in named)

    async def _pages(self) -> AsyncGenerator[Page, None]:
        """Yields the files that are exported."""
        async with aclosing(self._all_pages()) as all_pages:
            async for page in all_pages:
                yield [(file, node) for file, node in page if self._is_exported(file, node)]

    async def _all_pages(self) -> AsyncGenerator[Page, None]:
        async with aclosing(file_pages(self._store, self._job.job_id, self._nodes)) as all_pages:
            async for page in all_pages:
                only = self._only
                yield [each for each in page if only is None or each[0].path in only]

    def _is_exported(self, file: ReceivedFile, node: Node) -> bool:
        wanted = is_counted(file, node, self._job.work) and (file.complete or self._incomplete)
        return wanted and file.path not in self._damaged

    def _entry(self, file: ReceivedFile, node: Node) -> TarEntry:
        modified = self._modified if file.modified is None else file.modified
        return TarEntry(
            exported_name(file, node, self._paths_alike), file.size, modified, file.path
        )

    def _find_transcripts(self) -> list[TarEntry]:
        """Returns the transcripts of the nodes. A node that was never reached has none."""
        found = []
        for node in self._nodes.values():
            path = f"{node_folder(node)}/transcript.log"
            try:
                size = (self._directory / path).lstat().st_size
            except FileNotFoundError:
                continue
            name = portable_name(f"transcripts/{export_folder(node)}.log")
            found.append(TarEntry(name, size, self._modified, path))
        return found

    # In a worker thread, a page at a time

    def _measure_page(self, page: Page) -> int:
        """Counts the files of a page. Returns how many bytes of the tar are sent for them."""
        for file, node in page:
            if is_counted(file, node, self._job.work) and (file.complete or self._incomplete):
                known = self._damaged.get(file.path)
                if wrong := known or _wrong_on_disk(self._directory / file.path, file.size):
                    self._damaged[file.path] = wrong
                    name = documents.printable_path(name_on_node(file.path, node))
                    self._figures[file.node].damaged[name] = wrong
            if is_counted(file, node, self._job.work):
                # A node makes a folder `IP/DATE` for each command and pushes its own folders into
                # it. A file that two attempts left incomplete is counted once, and not at all if
                # one attempt has it complete.
                name = name_on_node(file.path, node)
                name = name.split("/", 2)[2] if name.count("/") > 1 else name
                if not file.complete and not self._incomplete:
                    self._incomplete_names.setdefault(file.node, set()).add(name)
                elif file.complete and node.attempt > 1:
                    self._complete_names.setdefault(file.node, set()).add(name)
        exported = [(file, node) for file, node in page if self._is_exported(file, node)]
        self._manifest_length += len(
            documents.manifest_files(self._named(exported), first=not self._manifest_length)
        )
        length = 0
        for file, node in exported:
            entry, figures = self._entry(file, node), self._figures[file.node]
            figures.files += 1
            figures.size += file.size
            figures.incomplete += not file.complete
            if entry.name != (given := f"{export_folder(node)}/{name_on_node(file.path, node)}"):
                figures.renamed.append((documents.printable_path(given), entry.name))
            self._checksums_length += len(documents.checksum_line(file, entry.name))
            if self._is_sent(entry.name):
                length += entry.length()
        return length

    def _named(self, page: Page) -> list[tuple[ReceivedFile, Node, str]]:
        return [(file, node, exported_name(file, node, self._paths_alike)) for file, node in page]

    def _parts_of_files(self, page: Page) -> list[list[ExportPart]]:
        return self._parts_of_entries([self._entry(file, node) for file, node in page])

    def _parts_of_entries(self, entries: Sequence[TarEntry]) -> list[list[ExportPart]]:
        """Returns the parts of the entries that are sent, in lists that each fit in a frame."""
        lists: list[list[ExportPart]] = []
        left = 0
        for entry in entries:
            if not self._is_sent(entry.name):
                continue
            path = os.fsencode(self._directory / entry.path)
            part = ExportPart(entry.header(), path, entry.size)
            if left <= 0:
                lists.append([])
                left = _MOST_LISTED
            lists[-1].append(part)
            left -= len(part.head) + len(path)
        return lists

    async def _content(self, document: str) -> AsyncGenerator[bytes, None]:
        """Yields the bytes of a document, in pieces. Raises `StoreFailed`."""
        if document == SUMMARY:
            yield documents.summary(self._job, self._figures)
            return
        if document == MANIFEST:
            yield documents.manifest_beginning(self._job, self._figures)
        first = True
        async with aclosing(self._pages()) as all_pages:
            async for page in all_pages:
                named = self._named(page)
                if document == MANIFEST:
                    piece = documents.manifest_files(named, first=first)
                    first = first and not piece
                else:
                    lines = (documents.checksum_line(file, name) for file, _, name in named)
                    piece = b"".join(lines)
                yield piece
        if document == MANIFEST:
            yield documents.MANIFEST_END


def _wrong_on_disk(path: Path, size: int) -> str | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return GONE
    if not stat.S_ISREG(found.st_mode):
        return NOT_REGULAR
    return None if found.st_size == size else other_size(found.st_size, size)
