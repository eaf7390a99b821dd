"""Puts the received files of one job on record, which is the store.

No received file is forgotten. What could not be saved is tried again, with the next node that ends
and, once the last has ended, until it succeeds or the daemon stops.

A file goes through these steps, each of which is durable before the next begins:

    step                      done by                         kept until the next step
    closed, bytes on disk     receiver/upload.py              in the upload target
    the node has ended        `put_on_record`                 `_unsaved`, once a try has failed
    in the store              a transaction for each node     -
    the node's end is shown   jobs/run.py
    all have ended            `manifest.py`, for people and programs without the daemon

A kill at any point loses nothing: a restart looks for files on disk that the store does not have
(`recovery.py`).

If the store takes nothing (mostly a full disk), the node whose files these are fails. Its files are
kept and tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between tries to put files on record, after the last node has ended.
CATCH_UP_AFTER = 1.0


class Filing:
    """Puts the files of one job on record."""

    def __init__(self, job_id: str, store: Store) -> None:
        self._job_id = job_id
        self._store = store
        self._unsaved: list[ReceivedFile] = []
        self._stopping = False

    @property
    def recorded(self) -> bool:
        """Says whether every file is on record. Meaningful while no call is under way."""
        return not self._unsaved

    async def put_on_record(self, files: Sequence[ReceivedFile] = ()) -> None:
        """Records the files of a node that has ended, and all for which an earlier try has failed.

        Raises `StoreFailed`.
        """
        while files or self._unsaved:
            # While this waits the files are in no list: nodes that end together would save each
            # other's as well, and 400 of them did so 80,000 times.
            saving = files
            if not saving:
                saving, self._unsaved = self._unsaved, []
            files = ()
            try:
                await self._store.save_files(self._job_id, saving)
            except BaseException:
                self._unsaved += saving
                raise

    async def catch_up(self) -> None:
        """Returns once every file is on record, or after a failed try once the daemon stops."""
        with trio.CancelScope(shield=True):
            logged = ""
            while not self.recorded:
                try:
                    await self.put_on_record()
                except StoreFailed as error:
                    if str(error) != logged:  # each error once, not at each try
                        log.error("job %s: files are not on record: %s", self._job_id, error)  # noqa: TRY400  of the disk
                    logged = str(error)
                    if self._stopping:
                        return
                    await trio.sleep(CATCH_UP_AFTER)

    def stop(self) -> None:
        """The daemon stops: `catch_up` waits no longer. The next start accounts for the files."""
        self._stopping = True
