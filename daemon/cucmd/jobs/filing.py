"""Puts the received files of one job on record: in the store, then in the manifest.

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
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from cucmd.jobs.manifest import Manifest
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between tries to put files on record, after the last node has ended.
CATCH_UP_AFTER = 1.0
# Somebody has removed the job's directory, so another try would fail too.
DIRECTORY_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


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
        """Whether every file is on record. Meaningful while no call is under way."""
        return not self._unsaved and not self._unlisted

    async def put_on_record(self, files: Sequence[ReceivedFile] = ()) -> None:
        """The files of a node that has ended, and all of which an earlier try has failed.

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
            while not self.recorded and (error := await self._try()) is not None:
                if isinstance(error, DIRECTORY_GONE):
                    log.error("job %s: files cannot be put on record: %s", self._job_id, error)
                    return
                if str(error) != logged:  # each error once, not at each try
                    log.error("job %s: files are not on record: %s", self._job_id, error)
                logged = str(error)
                if self._stopping:
                    return
                await trio.sleep(CATCH_UP_AFTER)

    def stop(self) -> None:
        """The daemon stops: `catch_up` waits no longer. The next start accounts for the files."""
        self._stopping = True

    async def _try(self) -> StoreFailed | OSError | None:
        try:
            await self.put_on_record()
        except (StoreFailed, OSError) as error:
            return error
        return None

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
