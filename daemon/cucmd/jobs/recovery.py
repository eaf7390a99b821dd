"""After a restart, resumes the jobs that a stop left unfinished, and closes those that had ended.

Before a job is resumed, the files that the stop left on disk are recorded in the store. A file that
the store does not call complete is recorded as incomplete. It is never deleted: it may be the only
copy, if the node has removed the file meanwhile. If something is wrong with one job, this is
logged, and the other jobs go on.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import trio
from msgspec.structs import replace

from cucmd import durable
from cucmd.cases.files import file_pages
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

# Makes the tasks of a job that a restart found unfinished. The task is None for a node that has
# ended, or that cannot go on because its password is not available. Returns None if no node can go
# on. A thread calls this, because it reads credentials from the disk.
Replan: TypeAlias = Callable[[Job], Sequence[NodeTask | None] | None]

# The failure of the unfinished nodes of a job that cannot go on.
INTERRUPTED = failure(Code.INTERRUPTED, "the daemon was stopped before this node was done")
# The failure of the nodes that cannot go on, if others can.
NO_LOGIN = failure(
    Code.INTERRUPTED,
    "the daemon was stopped before this node was done, and has no login for this node any more",
    hint="try again with --credential or --user; the configuration may have lost the node",
)

# Seconds before each further try to read the store, if a try has failed. The pauses are short,
# because the socket opens only after the recovery.
PAUSES = (0.1, 1.0)


# Takes a job that was queued or running when the daemon stopped, what `Replan` has returned for the
# job, and the files of the job.
Resume: TypeAlias = "Callable[[Job, Sequence[NodeTask | None] | None, RecoveredFiles], None]"


async def recover_jobs(store: Store, jobs: Path, replan: Replan, resume: Resume) -> None:
    """Gives every unfinished job to `resume`, oldest first, then closes the jobs that had ended.

    A job has ended but is not closed if the daemon stopped before the connections were closed and
    the files recorded. `jobs` is the folder with the directories of all jobs.

    Raises `StoreFailed` if the list of jobs cannot be read.
    """
    thread = ConfigThread()
    # Read before the unfinished jobs are resumed, so that jobs that end meanwhile are not in it.
    ended = await _read_with_retries(store.unclosed_jobs)
    for found in await _read_with_retries(store.unfinished):
        with _errors_logged(found.job_id):
            job = replace(found, nodes=tuple(node.abandoned() for node in found.nodes))
            recovered = await _recover_or_log(store, job, jobs / job.job_id)
            if recovered is None:  # resume the job nevertheless, so that it can be cancelled
                resume(job, None, RecoveredFiles(Counter(), Counter(), recorded=False))
                continue
            job = with_received(job, recovered)
            resume(job, await _replan_in_thread(thread, replan, job), recovered)
    for job_id in ended:
        with _errors_logged(job_id):
            stored = await _read_with_retries(partial(store.load, job_id))
            files = None if stored is None else await _recover_or_log(store, stored, jobs / job_id)
            if files is not None and files.recorded:
                await write_manifest(store, job_id, jobs / job_id)
                await store.close_job(job_id)
    await write_missing_manifests(store, jobs)


async def _recover_or_log(store: Store, job: Job, directory: Path) -> RecoveredFiles | None:
    """Calls `recover_files`. Logs an error and returns None if the store cannot be read."""
    try:
        return await _read_with_retries(partial(recover_files, store, job, directory))
    except StoreFailed as error:
        text = "job %s: its files are not known before the next start: %s"
        log.error(text, job.job_id, error)  # noqa: TRY400  of the disk, not a defect
        return None


async def _read_with_retries(read: Callable[[], Awaitable[T]]) -> T:
    """Calls `read` until the store can be read. Raises `StoreFailed` after the third try."""
    for pause in PAUSES:
        try:
            return await read()
        except StoreFailed:
            await trio.sleep(pause)
    return await read()


@contextmanager
def _errors_logged(job_id: str) -> Iterator[None]:
    """Logs an error that concerns one job, so that the other jobs go on."""
    try:
        yield
    except StoreFailed as error:
        log.error("job %s is left as it is: %s", job_id, error)  # noqa: TRY400  damage, not a defect
    except Exception:
        log.exception("job %s is left as it is: a defect", job_id)


async def _replan_in_thread(
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
    """Describes the files of a job.

    received  node -> bytes of the files that came since the node was queued last
    complete  node -> how many of these files are complete
    recorded  all files are in the store
    """

    received: Counter[str]
    complete: Counter[str]
    recorded: bool = True


async def recover_files(store: Store, job: Job, directory: Path) -> RecoveredFiles:
    """Finds the files of a job that was live: those in the store, and others on disk.

    The others are saved as incomplete. If this fails, the error is logged and `recorded` is False.
    Raises `StoreFailed` if the store cannot be read.

    A job can have hundreds of thousands of files, so the store and the disk are compared node by
    node, and only the paths of one node are in memory.
    """
    received, complete = Counter[str](), Counter[str]()
    found = 0
    failed: StoreFailed | OSError | None = None

    def count(file: ReceivedFile, node: Node) -> None:
        if not node.attempts_before or file.attempt > node.attempts_before:
            received[node.node] += file.size
            complete[node.node] += file.complete

    try:
        await trio.to_thread.run_sync(durable.drop_half_written, directory)
        for node in job.nodes:
            stored: set[str] = set()
            async with aclosing(file_pages(store, job.job_id, {node.node: node})) as stored_pages:
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
        text = (
            "job %s: %d files were not on record when the daemon stopped, and count as incomplete"
        )
        log.warning(text, job.job_id, found)
    if failed is not None:
        log.error("job %s: its files are not on record: %s", job.job_id, failed)
    return RecoveredFiles(received, complete, recorded=failed is None)


def with_received(job: Job, files: RecoveredFiles) -> Job:
    """Returns the job with the figures of the files that its unfinished nodes have received.

    The store does not have these figures, because they are not saved while a transfer runs. Quotas
    need them, because bytes received before the daemon stopped count too.
    """
    nodes = tuple(
        node
        if node.settled
        else replace(
            node,
            files_received=files.complete[node.node],
            bytes_received=files.received[node.node],
        )
        for node in job.nodes
    )
    return replace(job, nodes=nodes)


def drop_half_written(state: Path) -> None:
    """Removes the temporary files that a kill left in the state directory.

    They belong to the receiver's host keys and to known_hosts, which are replaced as a whole. Call
    this while no other daemon can use the state directory.
    """
    for left in durable.drop_half_written(state):
        log.warning("%s: left half-written by a stop, removed", left)


def _files_not_stored(stored: set[str], node: Node, directory: Path) -> list[ReceivedFile]:
    """Returns the files of a node on disk, pushed or written here, whose paths are not in `stored`.

    Raises `OSError`.
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
    """Raises the error of `os.walk`, unless a folder is missing.

    A node that never began has no folder, but a folder that cannot be read is an error.
    """
    if not isinstance(error, FileNotFoundError):
        raise error
