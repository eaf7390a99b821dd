"""What a stop left on disk, accounted for before a job goes on: no file there is unknown.

The one rule: a file that no record calls whole is marked incomplete; it is never deleted, for it
may be all that is left of what the node had, and never passed off as whole.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio

from cucmd import durable
from cucmd.job import Job
from cucmd.jobs.manifest import ManifestWriter, says
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)


class Accounted(NamedTuple):
    """Every file of a job; not `durable` if the disk did not let the record be."""

    entries: tuple[ReceivedFile, ...]
    durable: bool


async def account_for_files(store: Store, job: Job, directory: Path) -> Accounted:
    """Every file of a job that was live: those on record, and the rest as incomplete.

    Where it cannot be made durable that is logged, and the manifest says so at the next write.
    Raises `StoreFailed` where the records cannot be read.
    """
    rows = await store.files(job.job_id)
    recorded = [msgspec.structs.replace(row, path=_shown(os.fsencode(row.path))) for row in rows]
    if job.ended and not await trio.Path(directory).exists():
        return Accounted(tuple(recorded), True)  # somebody has no more use for it
    try:
        left = await trio.to_thread.run_sync(_unrecorded, job, directory, recorded)
    except OSError as error:
        log.error("job %s: its files cannot be looked at: %s", job.job_id, error)  # noqa: TRY400  the disk's fault, not a defect
        return Accounted(tuple(recorded), False)
    entries = (*recorded, *left)
    if await trio.to_thread.run_sync(says, directory, entries):
        return Accounted(entries, True)
    if left:
        log.warning("job %s: %d files were cut off by the stop", job.job_id, len(left))
    try:
        for node in {entry.node for entry in left}:
            await store.save_files(job.job_id, [e for e in left if e.node == node])
        await ManifestWriter(job.job_id, directory, entries).write()
    except (StoreFailed, OSError) as error:
        log.error("job %s: cut-off files are not on record: %s", job.job_id, error)  # noqa: TRY400  the disk's fault, not a defect
        return Accounted(entries, False)
    return Accounted(entries, True)


def with_received(job: Job, entries: Sequence[ReceivedFile]) -> Job:
    """The job with the bytes that are on disk: figures are not saved while a transfer runs, and
    quotas count what came before the stop.
    """
    came = Counter[str]()
    for entry in entries:
        came[entry.node] += entry.size
    nodes = tuple(
        node if node.settled else msgspec.structs.replace(node, bytes_received=came[node.node])
        for node in job.nodes
    )
    return msgspec.structs.replace(job, nodes=nodes)


def drop_half_written(state: Path) -> None:
    """Files that were to take another's place when the daemon was killed: a host key of the
    receiver, known_hosts. The state directory is ours alone by now.
    """
    # Versions before `durable` left known_hosts under names of its own.
    for left in (*durable.drop_half_written(state), *state.glob(".known_hosts.*")):
        log.warning("%s: left half-written by a stop, removed", left)
        left.unlink(missing_ok=True)


def _unrecorded(job: Job, directory: Path, recorded: list[ReceivedFile]) -> list[ReceivedFile]:
    known = {entry.path for entry in recorded}
    durable.drop_half_written(directory)
    return [
        ReceivedFile(node.node, path, size)
        for node in job.nodes
        for path, size in _files_below(directory, node.folder)
        if path not in known
    ]


def _files_below(directory: Path, folder: str) -> Iterator[tuple[str, int]]:
    """Path relative to the job's directory, and size, of every file that a node pushed."""
    for parent, _, names in os.walk(directory / folder / "files", onerror=_unless_missing):
        for name in names:
            path = Path(parent, name)
            yield _shown(os.fsencode(path.relative_to(directory))), path.lstat().st_size


def _shown(path: bytes) -> str:
    """One that is not UTF-8 did not come through the receiver, but must not stop a start."""
    return path.decode(errors="backslashreplace")


def _unless_missing(error: OSError) -> None:
    """A folder that cannot be read is no empty one; a node that never began has none."""
    if not isinstance(error, FileNotFoundError):
        raise error
