"""What came of a job's files, put on record.

The one rule: a file that came is on record in store and manifest, however often it takes. In the
store it is before its node's end is shown; in the manifest too where that is cheap, and always
before a job is shown as ended because its last node has ended (`manifest.py` has the reasons).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from cucmd.jobs.manifest import ManifestWriter
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between tries to put files on record.
CATCH_UP_AFTER = 1.0
# Somebody removed the job's folder: no time brings it back.
TAKEN_AWAY = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class Filing:
    """Of one job; `add` says what there is, and the others see that it is kept.

    `stopped` says whether the daemon stops.
    """

    def __init__(
        self, job_id: str, store: Store, manifest: ManifestWriter, stopped: Callable[[], bool]
    ) -> None:
        self._job_id = job_id
        self._store = store
        self._manifest = manifest
        self._stopped = stopped
        self._put_off = trio.Event()
        self._hurried = trio.Event()
        self._unfiled: dict[str, tuple[ReceivedFile, ...]] = {}

    @property
    def recorded(self) -> bool:
        """Whether every file that we know of is on record, while nothing is on its way there."""
        return not self._unfiled and self._manifest.written

    def add(self, node: str, files: Sequence[ReceivedFile]) -> None:
        """What came of a node in this run."""
        self._unfiled[node] = self._manifest.add(node, files)

    async def put_on_record(self, last: Callable[[], bool]) -> None:
        """Into the manifest at once if that is due, or `last`: with this node the job will end.

        Raises `StoreFailed`, `OSError`; what it did not come to is tried again with the next.
        """
        await self._save()
        if self._manifest.due <= trio.current_time() or last():
            await self._manifest.write()
        else:
            self._put_off.set()

    async def _save(self) -> None:
        while self._unfiled:
            # Taken out meanwhile: nodes that end together would save each other's files as well,
            # and 400 of them did so 80,000 times.
            node, entries = self._unfiled.popitem()
            try:
                await self._store.save_files(self._job_id, entries)
            except BaseException:
                self._unfiled.setdefault(node, entries)
                raise

    def hurry(self) -> None:
        """What was put off is not to wait any longer: the job is about to be shown as ended."""
        self._hurried.set()

    async def keep_up(self) -> None:
        """Writes the manifest, where that was put off, once it is due. Runs until cancelled."""
        while True:
            await self._put_off.wait()
            self._put_off = trio.Event()
            with trio.move_on_at(self._manifest.due):
                await self._hurried.wait()
            self._hurried = trio.Event()
            await self._until_recorded()

    async def catch_up(self) -> None:
        """What was put off, or kept off the record by a full disk, is put there: now, or once
        there is room again.

        A stop ends the wait: the next start accounts for them (`recovery.py`).
        """
        with trio.CancelScope(shield=True):
            await self._until_recorded()

    async def _until_recorded(self) -> None:
        said = ""
        while not self.recorded and (error := await self._attempt()) is not None:
            if isinstance(error, TAKEN_AWAY):
                log.error("job %s: files cannot be put on record: %s", self._job_id, error)
                return
            if str(error) != said:  # once for each trouble, not for each try
                log.error("job %s: files are not on record: %s", self._job_id, error)
            said = str(error)
            if self._stopped():
                return
            await trio.sleep(CATCH_UP_AFTER)

    async def _attempt(self) -> StoreFailed | OSError | None:
        """What comes meanwhile is not waited for: its own node sees to it."""
        try:
            await self._save()
            await self._manifest.write()
        except (StoreFailed, OSError) as error:
            return error
        return None
