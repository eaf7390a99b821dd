"""Records the received files of one job in the store.

No received file is forgotten. A file that could not be saved is tried again together with the files
of the next node that ends. After the last node has ended, the recorder tries until it succeeds or
the daemon stops.

A file goes through these steps. Each step is durable before the next one begins:

    step                      done by                         who knows the file until the next step
    closed, bytes on disk     receiver/upload.py              the upload target
    the node has ended        `record`                        `_unsaved`, if a try has failed
    in the store              a transaction for each node     the store
    the node's end is shown   job_run.py                      the store
    all nodes have ended      manifest.py writes the list     the store, and readers of the list

A kill at any point loses nothing, because a restart looks for files on disk that the store does not
have (`recovery.py`). If a node's files cannot be saved, in most cases because the disk is full, the
node fails.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between two tries of `retry_until_saved`.
RETRY_AFTER = 1.0


class FileRecorder:
    """Records the received files of one job in the store."""

    def __init__(self, job_id: str, store: Store) -> None:
        self._job_id = job_id
        self._store = store
        self._unsaved: list[ReceivedFile] = []
        self._stopping = False

    @property
    def has_saved_all(self) -> bool:
        """Says whether every file is in the store. Only meaningful while no call is under way."""
        return not self._unsaved

    async def record(self, files: Sequence[ReceivedFile] = ()) -> None:
        """Saves the files of a node that has ended, then all files that earlier calls could not
        save.

        Raises `StoreFailed`. The files that were not saved are kept for a later call.
        """
        while files or self._unsaved:
            # The files are in no list while this call waits for the store. Otherwise nodes that end
            # at the same time would also save the files of each other: 400 nodes saved files 80,000
            # times.
            saving = files
            if not saving:
                saving, self._unsaved = self._unsaved, []
            files = ()
            try:
                await self._store.save_files(self._job_id, saving)
            except BaseException:
                self._unsaved += saving
                raise

    async def record_rest(self) -> None:
        """Returns once every file is in the store, or after a failed try if the daemon stops."""
        with trio.CancelScope(shield=True):
            what = f"job {self._job_id}: its files"
            await retry_until_saved(self.record, what, lambda: self._stopping)

    def stop(self) -> None:
        """Lets `record_rest` give up after a failed try, because the daemon stops."""
        self._stopping = True


async def retry_until_saved(
    save: Callable[[], Awaitable[object]], what: str, stopping: Callable[[], bool]
) -> bool:
    """Calls `save` until it succeeds, and returns True. Returns False after a failed try if the
    daemon stops. Logs each error once, and not at each try.
    """
    logged = ""
    while True:
        try:
            await save()
        except StoreFailed as error:
            if str(error) != logged:
                logged = str(error)
                log.error("%s could not be saved: %s", what, error)  # noqa: TRY400  of the disk
            if stopping():
                return False
            await trio.sleep(RETRY_AFTER)
        else:
            return True
