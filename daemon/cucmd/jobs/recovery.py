"""Puts the files that a stop left on disk on record, before the job is resumed.

The one rule: a file that the store does not call complete is recorded as incomplete. It is never
deleted: it may be the only copy, if the node has removed the file meanwhile.
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
from cucmd.jobs.manifest import Manifest
from cucmd.node_name import folder_of
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)


class RecoveredFiles(NamedTuple):
    """Every file of a job; `recorded`: all of them are on record, in store and manifest."""

    files: tuple[ReceivedFile, ...]
    recorded: bool


async def recover_files(store: Store, job: Job, directory: Path) -> RecoveredFiles:
    """The files of a job that was live: those that the store has, and the others as incomplete.

    The others are saved, and the manifest gets the lines that it lacks. If that fails, it is logged
    and `recorded` is False. Raises `StoreFailed` if the store cannot be read.
    """
    stored = [_with_text(file) for file in await store.files(job.job_id)]
    if not await trio.Path(directory).exists() and (job.ended or not stored):
        # It never began, or somebody has removed its files.
        return RecoveredFiles(tuple(stored), True)
    try:
        unknown = await trio.to_thread.run_sync(_not_stored, stored, job, directory)
    except OSError as error:
        log.error("job %s: its files cannot be looked at: %s", job.job_id, error)  # noqa: TRY400  of the disk, not a defect
        return RecoveredFiles(tuple(stored), False)
    files = (*stored, *unknown)
    if unknown:
        log.warning("job %s: %d files were cut off by the stop", job.job_id, len(unknown))
    try:
        if unknown:
            await store.save_files(job.job_id, unknown)
        await Manifest(directory).append(files)
    except (StoreFailed, OSError) as error:
        log.error("job %s: its files are not on record: %s", job.job_id, error)  # noqa: TRY400  of the disk, not a defect
        return RecoveredFiles(files, False)
    return RecoveredFiles(files, True)


def with_received(job: Job, files: Sequence[ReceivedFile]) -> Job:
    """The job with the bytes that are on disk.

    Figures are not saved while a transfer runs, and quotas count what came before the stop.
    """
    came = Counter[str]()
    for file in files:
        came[file.node] += file.size
    nodes = tuple(
        node if node.settled else msgspec.structs.replace(node, bytes_received=came[node.node])
        for node in job.nodes
    )
    return msgspec.structs.replace(job, nodes=nodes)


def drop_half_written(state: Path) -> None:
    """Removes the temporary files of a replacement that a kill interrupted.

    The files that are replaced are the receiver's host keys and known_hosts. To be called while no
    other daemon can use the state directory.
    """
    # Versions before `durable` left known_hosts under names of its own.
    for left in (*durable.drop_half_written(state), *state.glob(".known_hosts.*")):
        log.warning("%s: left half-written by a stop, removed", left)
        left.unlink(missing_ok=True)


def _not_stored(stored: Sequence[ReceivedFile], job: Job, directory: Path) -> list[ReceivedFile]:
    """The files on disk that are not among `stored`. Raises `OSError`."""
    known = {file.path for file in stored}
    durable.drop_half_written(directory)
    return [
        ReceivedFile(node.node, path, size, attempt=node.attempt)
        for node in job.nodes
        for path, size in _files_below(directory, folder_of(node.node, marked=node.marked))
        if path not in known
    ]


def _files_below(directory: Path, folder: str) -> Iterator[tuple[str, int]]:
    """Path relative to the job's directory, and size, of every file that a node pushed."""
    for parent, _, names in os.walk(directory / folder / "files", onerror=_raise_unless_missing):
        for name in names:
            path = Path(parent, name)
            yield _text(os.fsencode(path.relative_to(directory))), path.lstat().st_size


def _with_text(file: ReceivedFile) -> ReceivedFile:
    """Mostly the same object: of a job with 100,000 files there is no second copy."""
    path = _text(os.fsencode(file.path))
    return file if path == file.path else msgspec.structs.replace(file, path=path)


def _text(path: bytes) -> str:
    """A path that is not UTF-8 did not come through the receiver. It must not prevent a start."""
    return path.decode(errors="backslashreplace")


def _raise_unless_missing(error: OSError) -> None:
    """For `os.walk`. A node that never began has no folder; one that cannot be read is an error."""
    if not isinstance(error, FileNotFoundError):
        raise error
