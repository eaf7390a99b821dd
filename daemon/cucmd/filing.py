"""What came of a job's files, put on record.

The one rule: a file that came is on record in store and manifest, however often it takes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence

import trio

from cucmd.collect.doors import ReceivedFile
from cucmd.manifest import Entry, ManifestWriter
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between tries to put files on record.
CATCH_UP_AFTER = 1.0


class Filing:
    """Of one job; `add` says what there is, `put_on_record` and `catch_up` see that it is kept."""

    def __init__(self, job_id: str, store: Store, manifest: ManifestWriter) -> None:
        self._job_id = job_id
        self._store = store
        self._manifest = manifest
        self._unfiled: dict[str, tuple[Entry, ...]] = {}

    @property
    def recorded(self) -> bool:
        """Whether every file that we know of is on record, while nothing is on its way there."""
        return not self._unfiled and self._manifest.written

    def add(
        self, node: str, folder: str, files: Sequence[ReceivedFile], whole: Container[str]
    ) -> None:
        """What came of a node in this run; `whole` are the paths of those that count."""
        self._unfiled[node] = self._manifest.add(node, folder, files, whole)

    async def put_on_record(self) -> None:
        """Raises `StoreFailed`, `OSError`; what it did not come to is tried again with the next."""
        await self._save()
        await self._manifest.write()

    async def _save(self) -> None:
        while self._unfiled:
            # Taken out meanwhile: nodes that end together would save each other's files as well,
            # and 400 of them did so 80,000 times.
            node, entries = self._unfiled.popitem()
            try:
                await self._store.save_files(self._job_id, node, entries)
            except BaseException:
                self._unfiled.setdefault(node, entries)
                raise

    async def catch_up(self, stopped: Callable[[], bool]) -> None:
        """Files that a full disk kept off the record are put there once it has room again.

        A stop ends the wait: the next start accounts for them (`recovery.py`).
        """
        said = ""
        with trio.CancelScope(shield=True):
            while not self.recorded and not stopped():
                await trio.sleep(CATCH_UP_AFTER)
                try:
                    await self.put_on_record()
                except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                    log.error("job %s: files cannot be put on record: %s", self._job_id, error)  # noqa: TRY400  somebody took the folder away
                    return
                except (StoreFailed, OSError) as error:
                    if str(error) != said:  # once for each trouble, not for each try
                        log.error("job %s: files are not on record: %s", self._job_id, error)  # noqa: TRY400  the disk's fault, not a defect
                    said = str(error)
