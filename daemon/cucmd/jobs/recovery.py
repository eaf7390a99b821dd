"""Takes up, after a restart, the jobs that a stop left unfinished, and those that have ended
unclosed.

The files that a stop left on disk are put on record before a job is resumed. A file that the store
does not call complete is recorded as incomplete. It is never deleted: it may be the only copy, if
the node has removed the file meanwhile. What is wrong with one job is logged, and the others go on.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import trio
from msgspec.structs import replace

from cucmd import durable
from cucmd.cases.files import pages
from cucmd.config.config_thread import ConfigThread, ReadTimeout
from cucmd.failure import Code, failure
from cucmd.job.job import Job
from cucmd.job.kind import OUTPUT
from cucmd.job.node import Node
from cucmd.jobs.manifest import write_manifest, write_missing_manifests
from cucmd.node.ports import NodeTask
from cucmd.node_name import folder_of
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

T = TypeVar("T")

# Makes the tasks of a job that a restart found unfinished, None for a node that has ended. None for
# the whole job if its password is not available. Reads credentials, so it is called in a thread.
Replan: TypeAlias = Callable[[Job], Sequence[NodeTask | None] | None]

# Of the nodes of a job that cannot go on.
INTERRUPTED = failure(Code.INTERRUPTED, "the daemon was stopped before this node was done")

# Seconds until the store is read again, if that has failed. The socket waits for it.
PAUSES = (0.1, 1.0)


class Unfinished(NamedTuple):
    """Describes a job that was queued or was running. `tasks`: as `Replan` gives them."""

    job: Job
    tasks: Sequence[NodeTask | None] | None
    recovered: RecoveredFiles


async def recover_jobs(
    store: Store,
    jobs: Path,
    replan: Replan,
    resume: Callable[[Unfinished], None],
) -> None:
    """Gives every unfinished job to `resume`, oldest first, and closes those that have ended.

    A cancelled job ends at once; its connections close and its files are put on record after that,
    within the grace period. A stop in between leaves it unclosed. `jobs`: where their directories
    are.
    """
    thread = ConfigThread()
    ended = await _read(store.unclosed_jobs)  # and not those that end in the meantime
    for found in await _read(store.unfinished):
        with _logged_for(found.job_id):
            job = replace(found, nodes=tuple(node.abandoned() for node in found.nodes))
            recovered = await _recovered(store, job, jobs / job.job_id)
            if recovered is None:  # left as it is, nobody could end it
                resume(Unfinished(job, None, RecoveredFiles(Counter(), recorded=False)))
                continue
            job = with_received(job, recovered.received)
            resume(Unfinished(job, await _planned(thread, replan, job), recovered))
    for job_id in ended:
        with _logged_for(job_id):
            stored = await _read(partial(store.load, job_id))
            left = None if stored is None else await _recovered(store, stored, jobs / job_id)
            if left is not None and left.recorded:
                await write_manifest(store, job_id, jobs / job_id)
                await store.close_job(job_id)
    await write_missing_manifests(store, jobs)


async def _recovered(store: Store, job: Job, directory: Path) -> RecoveredFiles | None:
    """Does what `recover_files` does. None: it is of no use; the next start looks at the files."""
    try:
        return await _read(partial(recover_files, store, job, directory))
    except StoreFailed as error:
        text = "job %s: its files are looked at by the next start: %s"
        log.error(text, job.job_id, error)  # noqa: TRY400  of the disk, not a defect
        return None


async def _read(read: Callable[[], Awaitable[T]]) -> T:
    """Tries again where the store cannot be read. Raises `StoreFailed` if it never can."""
    for pause in PAUSES:
        try:
            return await read()
        except StoreFailed:
            await trio.sleep(pause)
    return await read()


@contextmanager
def _logged_for(job_id: str) -> Iterator[None]:
    """Logs an error of one job, or of its row in the store, so that the other jobs go on."""
    try:
        yield
    except StoreFailed as error:
        log.error("job %s is left as it is: %s", job_id, error)  # noqa: TRY400  damage, not a defect
    except Exception:
        log.exception("job %s is left as it is: a defect", job_id)


async def _planned(
    thread: ConfigThread, replan: Replan, job: Job
) -> Sequence[NodeTask | None] | None:
    try:
        return await thread.read(partial(replan, job))
    except ReadTimeout as error:
        text = "job %s cannot go on: %s"
        log.error(text, job.job_id, error)  # noqa: TRY400  of the disk, not a defect
        return None
    except Exception:
        log.exception("job %s: a defect; it cannot go on", job.job_id)
        return None


class RecoveredFiles(NamedTuple):
    """Says what is known of a job's files.

    received     node -> bytes of its files, of those that came since it was queued last
    recorded     all of them are in the store
    """

    received: Counter[str]
    recorded: bool = True


async def recover_files(store: Store, job: Job, directory: Path) -> RecoveredFiles:
    """Finds the files of a job that was live: those in the store, and others on disk.

    The others are saved as incomplete. If that fails, the error is logged and `recorded` is False.
    Raises `StoreFailed` if the store cannot be read.

    A job can have hundreds of thousands of files, so the store and the disk are compared node by
    node, and only the paths of one node are in memory.
    """
    received = Counter[str]()
    found = 0
    failed: StoreFailed | OSError | None = None

    def count(file: ReceivedFile, node: Node) -> None:
        if not node.attempts_before or file.attempt > node.attempts_before:
            received[node.node] += file.size

    try:
        await trio.to_thread.run_sync(durable.drop_half_written, directory)
        for node in job.nodes:
            stored: set[str] = set()
            async with aclosing(pages(store, job.job_id, {node.node: node})) as stored_pages:
                async for page in stored_pages:
                    for file, _ in page:
                        stored.add(file.path)
                        count(file, node)
            search = partial(_files_not_stored, stored, node, directory)
            if unknown := await trio.to_thread.run_sync(search):
                found += len(unknown)
                for file in unknown:
                    count(file, node)
                try:
                    await store.save_files(job.job_id, unknown)
                except StoreFailed as error:
                    failed = error
    except OSError as error:
        failed = error
    if found:
        log.warning("job %s: %d files were cut off by the stop", job.job_id, found)
    if failed is not None:
        log.error("job %s: its files are not on record: %s", job.job_id, failed)
    return RecoveredFiles(received, recorded=failed is None)


def with_received(job: Job, received: Mapping[str, int]) -> Job:
    """Returns the job with the bytes that have come (node -> bytes).

    Figures are not saved while a transfer runs, and quotas count what came before the stop.
    """
    nodes = tuple(
        node if node.settled else replace(node, bytes_received=received.get(node.node, 0))
        for node in job.nodes
    )
    return replace(job, nodes=nodes)


def drop_half_written(state: Path) -> None:
    """Removes the temporary files of a replacement that a kill interrupted.

    The files that are replaced are the receiver's host keys and known_hosts. To be called while no
    other daemon can use the state directory.
    """
    for left in durable.drop_half_written(state):
        log.warning("%s: left half-written by a stop, removed", left)


def _files_not_stored(stored: set[str], node: Node, directory: Path) -> list[ReceivedFile]:
    """Finds the files on disk that a node pushed, or that the output of its commands was written
    to, and whose paths are not among `stored`. Raises `OSError`.
    """
    folder = directory / folder_of(node.node, marked=node.marked)
    durable.drop_half_written(folder / OUTPUT)
    found: list[ReceivedFile] = []
    for within in ("files", OUTPUT):
        for parent, _, names in os.walk(folder / within, onerror=_raise_unless_missing):
            for name in names:
                file = Path(parent, name)
                path, size = str(file.relative_to(directory)), file.lstat().st_size
                if path not in stored:
                    found.append(ReceivedFile(node.node, path, size, attempt=node.attempt))
    return found


def _raise_unless_missing(error: OSError) -> None:
    """Raises the error of `os.walk`, unless a folder is missing. A node that never began has no
    folder; one that cannot be read is an error.
    """
    if not isinstance(error, FileNotFoundError):
        raise error
