"""The work on one node, and what its end means for the job: notes, or a failure.

Only a cancel and `Postponed` come out of here as exceptions; whatever else goes wrong on a node is
that node's failure, and no other's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import trio

from cucmd.failure import FULL_DISK, Code, Failure, NodeFailed, failure, timed_out
from cucmd.jobs.filing import Filing
from cucmd.jobs.progress import NodeProgress
from cucmd.jobs.recorder import Recorder
from cucmd.node.ports import NodeTask, Postponed, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed

log = logging.getLogger(__name__)

Notes: TypeAlias = tuple[str, ...]
# Does what a task says on its node, and returns what a person should read of it.
WorkOnNode: TypeAlias = Callable[[NodeTask, Report], Awaitable[Notes]]


async def do_work(work: WorkOnNode, task: NodeTask, progress: NodeProgress) -> Notes | Failure:
    """The notes of the node, or why it failed. Raises `trio.Cancelled` and `Postponed` only."""
    try:
        with trio.fail_after(task.timeouts.node):
            await trio.to_thread.run_sync(_make_folder, task.folder)
            return await work(task, progress)
    except NodeFailed as error:
        return error.failure
    except Postponed:
        raise
    except trio.TooSlowError:
        where = f"for the whole node, in phase {progress.last_phase} (node timeout)"
        return progress.refusal or timed_out(Code.NODE_TIMEOUT, task.timeouts.node, where)
    except OSError as error:
        log.warning("job %s, node %s: %s", task.job_id, task.node, error)
        return _of_os_error(error)
    except Exception as error:
        log.exception("job %s, node %s: a defect", task.job_id, task.node)
        return failure(Code.INTERNAL, f"{type(error).__name__} in phase {progress.last_phase}")


async def saved(recorder: Recorder) -> None:
    """Returns once the job's state of this moment is in the store. Raises `NodeFailed`."""
    try:
        await recorder.durable()
    except StoreFailed as error:
        raise NodeFailed(_of_store("the job's state", error)) from error


async def filed(filing: Filing, files: Sequence[ReceivedFile]) -> None:
    """Puts files on record. Raises `NodeFailed`; then they follow later (`filing.py`)."""
    try:
        await filing.put_on_record(files)
    except StoreFailed as error:
        raise NodeFailed(_of_store("the files' record", error)) from error
    except OSError as error:
        raise NodeFailed(_of_os_error(error)) from error


def _of_store(what: str, error: StoreFailed) -> Failure:
    code = Code.DISK_FULL if error.disk_full else Code.INTERNAL
    return failure(code, f"{what} could not be saved: {error}")


def _of_os_error(error: OSError) -> Failure:
    code = Code.DISK_FULL if error.errno in FULL_DISK else Code.INTERNAL
    return failure(code, f"{error.strerror or error}: {error.filename or 'state directory'}")


def _make_folder(folder: Path) -> None:
    (folder / "files").mkdir(mode=0o750, parents=True, exist_ok=True)
