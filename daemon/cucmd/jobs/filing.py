"""Puts the received files of one job on record: in the store, then in `manifest.jsonl`.

No received file is forgotten. What could not be put on record is tried again, with the next node
that ends and, once the last has ended, until it succeeds or the daemon stops. Where somebody has
removed the job's directory, or put a folder in the manifest's place, the next try is that of the
next start.

A file goes through these steps, each of which is durable before the next begins:

    step                      done by                         kept until the next step
    closed, bytes on disk     receiver/upload.py              in the upload target
    the node has ended        `put_on_record`                 `_unsaved`, once a try has failed
    in the store              `_save`, a transaction a node   `_unlisted`
    in the manifest           `_append`, one sync for all     -
                              that wait at the moment
    the node's end is shown   jobs/run.py

A kill at any point loses nothing: a restart looks for files on disk that the store does not have,
and for files of the store that the manifest does not have (`recovery.py`).

Nodes that end at the same time: each saves its own files. One of them appends to the manifest, and
takes with it what is in the store by then. The others wait for that append, because a client that
is shown a node's end must find its files. If it fails, each tries once more and fails with its own
error.

Errors (`StoreFailed`, `OSError`, mostly a full disk): the node that meets one fails with it. Its
files are kept and tried again.

The manifest
------------
One line of JSON for each received file:

    {"node":"cucm-pub","path":"cucm-pub/files/...","size":4,"sha256":"...","complete":true}

Lines are added as nodes end, and a line counts once it is durable. Of several lines with one path
the last counts. What follows the end of the last line is cut off first: a write that failed, on a
full disk say, or a kill may have left a part of a line there. Nothing else has to be repaired: a
restart makes the file again of all files that the store has (`recovery.py`), and a try that failed
is made again with the same files.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import trio

from cucmd.durable import replace_file, sync_directory
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between tries to put files on record, after the last node has ended.
CATCH_UP_AFTER = 1.0
# Somebody has removed the job's directory, so another try would fail too.
DIRECTORY_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_MODE = 0o640
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
# Bytes that are read at once while the end of the last line is looked for.
_PIECE = 64 * 1024


class Filing:
    """Puts the files of one job on record."""

    def __init__(self, job_id: str, store: Store, manifest: Manifest) -> None:
        self._job_id = job_id
        self._store = store
        self._manifest = manifest
        self._unsaved: list[ReceivedFile] = []
        self._unlisted: list[ReceivedFile] = []
        self._appending = trio.Lock()
        self._stopping = False

    @property
    def recorded(self) -> bool:
        """Says whether every file is on record. Meaningful while no call is under way."""
        return not self._unsaved and not self._unlisted

    async def put_on_record(self, files: Sequence[ReceivedFile] = ()) -> None:
        """Records the files of a node that has ended, and all for which an earlier try has failed.

        Raises `StoreFailed`, `OSError`.
        """
        await self._save(files)
        while self._unsaved:
            again, self._unsaved = self._unsaved, []
            await self._save(again)
        await self._append()

    async def catch_up(self) -> None:
        """Returns once every file is on record, or after a failed try once the daemon stops."""
        with trio.CancelScope(shield=True):
            logged = ""
            while not self.recorded:
                try:
                    await self.put_on_record()
                except (StoreFailed, OSError) as error:
                    gone = isinstance(error, DIRECTORY_GONE)
                    if str(error) != logged:  # each error once, not at each try
                        what = "cannot be put" if gone else "are not"
                        log.error("job %s: files %s on record: %s", self._job_id, what, error)  # noqa: TRY400  of the disk
                    logged = str(error)
                    if gone or self._stopping:
                        return
                    await trio.sleep(CATCH_UP_AFTER)

    def stop(self) -> None:
        """The daemon stops: `catch_up` waits no longer. The next start accounts for the files."""
        self._stopping = True

    async def _save(self, files: Sequence[ReceivedFile]) -> None:
        # While this waits the files are in no list: nodes that end together would save each
        # other's as well, and 400 of them did so 80,000 times.
        try:
            if files:
                await self._store.save_files(self._job_id, files)
        except BaseException:
            self._unsaved += files
            raise
        self._unlisted += files

    async def _append(self) -> None:
        async with self._appending:
            files, self._unlisted = self._unlisted, []
            try:
                await self._manifest.append(files)
            except BaseException:
                self._unlisted = files + self._unlisted
                raise


class Manifest:
    """Writes the manifest of the job in `directory`. It takes one call at a time.

    `read` reads the file, as `os.pread` does.
    """

    def __init__(self, directory: Path, read: Callable[[int, int, int], bytes] = os.pread) -> None:
        self._path = directory / "manifest.jsonl"
        self._read = read
        self._exists = False

    async def append(self, files: Sequence[ReceivedFile]) -> None:
        """Appends durably: on return the file exists, also where there are no files.

        Raises `OSError`; then none of the files counts as appended.
        """
        if files or not self._exists:
            await trio.to_thread.run_sync(self._append, files)
            self._exists = True

    def _append(self, files: Sequence[ReceivedFile]) -> None:
        with os.fdopen(os.open(self._path, _FLAGS, _MODE), "r+b") as file:
            length = self._end_of_lines(file.fileno())
            file.truncate(length)
            file.seek(length)
            file.writelines(map(_line, files))
            file.flush()
            os.fsync(file.fileno())
        if length == 0:
            sync_directory(self._path.parent)

    def _end_of_lines(self, descriptor: int) -> int:
        """Returns the number of bytes up to the end of the last line."""
        # Not by mmap: where the disk cannot read a page of a mapped file, the kernel kills the
        # process with SIGBUS. A read raises EIO, which fails one node.
        end = os.fstat(descriptor).st_size
        while end:
            start = max(0, end - _PIECE)
            found = self._read(descriptor, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0

    async def write(self, pages: AsyncIterator[Sequence[ReceivedFile]]) -> None:
        """Replaces the file by one of all files of the job, which need not be in memory at once.

        Raises `OSError`, and what `pages` raise.
        """

        async def next_page() -> Sequence[ReceivedFile] | None:
            return await anext(pages, None)  # on Python 3.11 a tuple is no default

        def lines() -> Iterator[bytes]:
            while page := trio.from_thread.run(next_page):
                yield from map(_line, page)

        await trio.to_thread.run_sync(replace_file, self._path, lines(), _MODE)
        # That of 0.1.0, whose lines are all in this one.
        self._path.with_suffix(".json").unlink(missing_ok=True)


class _Entry(msgspec.Struct):
    """Has the fields of a line: the facts about a file that do not change later."""

    node: str
    path: str
    size: int
    sha256: str
    complete: bool


_encode = msgspec.json.Encoder().encode


def _line(file: ReceivedFile) -> bytes:
    entry = _Entry(file.node, file.path, file.size, file.sha256, file.complete)
    return _encode(entry) + b"\n"
