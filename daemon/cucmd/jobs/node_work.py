"""Runs the work on one node, and keeps what the work reports to its job.

`do_work` turns whatever goes wrong on a node into a failure of that node, so that no other node is
affected. Only a cancel and `Postponed` leave it as exceptions.

`NodeProgress` is the `Report` of `node/ports.py`. It passes transitions on to the job at once.
Figures (files, bytes, when the node was heard last) change all the time, so the job asks for them
when it needs them (`figures`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import msgspec
import trio

from cucmd.durable import make_directories
from cucmd.failure import FULL_DISK, Code, NodeFailed, failure, timeout_failure
from cucmd.histogram import Histogram
from cucmd.job.failure import Failure
from cucmd.job.kind import Result
from cucmd.job.node import Node, Notes, Phase
from cucmd.jobs.file_recorder import FileRecorder
from cucmd.jobs.recorder import Recorder
from cucmd.node.ports import NodeTask, Postponed, Report, Session, UploadTarget
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed

log = logging.getLogger(__name__)

# The threads that make folders. If the disk hangs, only these threads are blocked, and not the
# threads that other work needs.
_FOLDERS = trio.CapacityLimiter(8)

# A function that does the work of a task on its node, and returns notes for a person.
WorkOnNode: TypeAlias = Callable[[NodeTask, Report], Awaitable[Notes]]
ChangeNode: TypeAlias = Callable[[Callable[[Node], Node]], None]


async def do_work(work: WorkOnNode, task: NodeTask, progress: NodeProgress) -> Notes | Failure:
    """Works on the node. Returns the notes, or why the work failed.

    Raises nothing but `trio.Cancelled` and `Postponed`.
    """
    try:
        with trio.fail_after(task.timeouts.node):
            # `task.folder` is STATE/jobs/JOB/NODE. Each folder below STATE is made and synced, so
            # that no file of the node is lost with a folder's name after a power failure.
            state, files = task.folder.parents[2], task.folder / "files"
            make = partial(make_directories, state, files, 0o750)
            await trio.to_thread.run_sync(make, limiter=_FOLDERS)
            return await work(task, progress)
    except NodeFailed as error:
        return error.failure
    except Postponed:
        raise
    except trio.TooSlowError:
        where = f"for the whole node, in phase {progress.last_phase} (node timeout)"
        return progress.refusal or timeout_failure(Code.NODE_TIMEOUT, task.timeouts.node, where)
    except OSError as error:
        log.warning("job %s, node %s: %s", task.job_id, task.node, error)
        code = Code.DISK_FULL if error.errno in FULL_DISK else Code.INTERNAL
        where = error.filename or "state directory"
        return failure(code, f"{error.strerror or error}: {where}")
    except Exception as error:
        log.exception("job %s, node %s: a defect", task.job_id, task.node)
        return failure(Code.INTERNAL, f"{type(error).__name__} in phase {progress.last_phase}")


async def wait_until_saved(recorder: Recorder) -> None:
    """Returns once the present state of the job is in the store. Raises `NodeFailed`."""
    try:
        await recorder.durable()
    except StoreFailed as error:
        raise NodeFailed(_store_failure("the job's state", error)) from error


async def record_files(recorder: FileRecorder, files: Sequence[ReceivedFile]) -> None:
    """Saves files in the store.

    Raises `NodeFailed` if the store takes nothing. The files are saved later then.
    """
    try:
        await recorder.record(files)
    except StoreFailed as error:
        raise NodeFailed(_store_failure("the files' record", error)) from error


def _store_failure(what: str, error: StoreFailed) -> Failure:
    code = Code.DISK_FULL if error.disk_full else Code.INTERNAL
    return failure(code, f"{what} could not be saved: {error}")


class NodeProgress:
    """Keeps the progress of the work on one node. It is the `Report` of the work.

    change         applies a change to the node, unless the node has ended
    now            returns the time of a transition
    amend          applies a change to the node, even if the node has ended
    password       is called before the password is sent, and may raise
    authenticated  is called when the node has accepted the login
    saved          returns once all changes so far are in the store
    filed          saves files in the store
    durations      counts how long a phase took once the next one begins
    """

    def __init__(
        self,
        change: ChangeNode,
        now: Callable[[], datetime],
        amend: ChangeNode | None = None,
        *,
        password: Callable[[], None] = lambda: None,
        authenticated: Callable[[], None] = lambda: None,
        saved: Callable[[], Awaitable[None]] | None = None,
        filed: Callable[[Sequence[ReceivedFile]], Awaitable[None]] | None = None,
        durations: Mapping[Phase, Histogram] = MappingProxyType({}),
    ) -> None:
        self._durations = durations
        self._phase_began = 0.0  # by trio's clock, meaningful once the first attempt has begun
        self._wait_until_saved, self._record_files = saved, filed
        self._recorded: set[str] = set()  # paths of pushed files that are in the store
        self._amend = amend or change
        self._change = change
        self._now = now
        self.password, self.authenticated = password, authenticated
        self._target: UploadTarget | None = None
        self._session: Session | None = None
        self._heard: tuple[float, datetime] | None = None  # by trio's clock, and as a job shows it
        self._all_announced = False
        self._files_announced: int | None = None
        self._bytes_announced: int | None = None
        self._complete: set[str] = set()  # paths of pushed files
        self._outputs: list[ReceivedFile] = []  # what commands have printed, which we write here
        self._outputs_taken = 0  # how many of these `take_files` has returned
        self._growing = 0  # bytes of the output that is being written
        self._ended = False
        self._attempt = 0
        self.last_phase = Phase.CONNECT

    def attempt(self, number: int) -> None:
        now, self._attempt = self._now(), number
        # The session of the last attempt says nothing about this one, and the pause before a
        # further attempt is no silence of the node.
        self._phase_began = trio.current_time()
        self.last_phase = Phase.CONNECT
        self._session, self._heard = None, (self._phase_began, now)
        self._change(lambda node: node.begin(now, number))

    def phase(self, phase: Phase) -> None:
        at, now = trio.current_time(), self._now()
        if self.last_phase in self._durations:
            self._durations[self.last_phase].observe(at - self._phase_began)
        self.last_phase, self._phase_began = phase, at
        self._change(lambda node: node.enter(phase, now))

    def clock(self, zone: str | None, ahead: float) -> None:
        self._change(lambda node: msgspec.structs.replace(node, zone=zone, clock_ahead=ahead))

    def session(self, session: Session) -> None:
        self._session = session

    def result(self, result: Result) -> None:
        change = self._amend if result.changes_after_end else self._change
        change(lambda node: msgspec.structs.replace(node, result=result))

    async def wait_saved(self) -> None:
        if self._wait_until_saved is not None:
            await self._wait_until_saved()

    async def record_files(self) -> None:
        files = [file for file in self._pushed() if file.complete]
        if self._record_files is not None:
            await self._record_files(files)
            self._recorded.update(file.path for file in files)

    def upload_target(self, target: UploadTarget) -> None:
        self._target = target

    def report_announced(self, files: int, size: int, *, all_of_them: bool) -> None:
        self._files_announced, self._bytes_announced = files, size
        self._all_announced = all_of_them

    def report_size(self, size: int) -> None:
        self._growing = size

    def add_own_file(self, file: ReceivedFile) -> None:
        self._growing = 0
        self._outputs.append(msgspec.structs.replace(file, attempt=self._attempt))

    @property
    def outputs(self) -> Sequence[ReceivedFile]:
        """Returns the outputs of the commands that have run so far."""
        return tuple(self._outputs)

    def complete_files(self, files: Sequence[ReceivedFile]) -> None:
        self._complete.update(file.path for file in files if file.closed)

    @property
    def refusal(self) -> Failure | None:
        """Returns why the upload target refused an upload, or None if no upload was refused."""
        return self._target.refusal if self._target is not None else None

    def note_end(self) -> None:
        """Notes that the work has ended. From now on only complete files count as received.

        Before that every file counts that its client has closed, because the node reports the end
        of a command only after all its files.
        """
        self._ended = True

    def take_files(self) -> Sequence[ReceivedFile]:
        """Returns the files that are not in the store yet: pushed files, marked as complete or not,
        and outputs of commands.

        A second call returns none of these files again.
        """
        pushed, self._target = self._pushed(), None
        written, self._outputs_taken = self._outputs[self._outputs_taken :], len(self._outputs)
        return [*(file for file in pushed if file.path not in self._recorded), *written]

    def _pushed(self) -> list[ReceivedFile]:
        files = self._target.files() if self._target is not None else ()
        return [
            msgspec.structs.replace(
                file, complete=file.path in self._complete, attempt=self._attempt
            )
            for file in files
        ]

    def figures(self, node: Node) -> Node:
        """Returns the node with its present figures, or `node` itself if nothing has changed."""
        after = node
        if not node.settled:
            after = msgspec.structs.replace(node, heard_at=self._heard_at() or node.heard_at)
        target = self._target
        if target is not None:
            after = msgspec.structs.replace(
                after,
                files_announced=self._files_announced,
                bytes_announced=self._bytes_announced,
                files_received=len(self._complete) if self._ended else target.files_received,
                bytes_received=target.bytes_received,
                all_announced=self._all_announced,
            )
        elif self._outputs_taken < len(self._outputs) or self._growing:  # it has no upload target
            after = msgspec.structs.replace(
                after,
                files_received=sum(file.complete for file in self._outputs),
                bytes_received=sum(file.size for file in self._outputs) + self._growing,
            )
        return node if after == node else after

    def _heard_at(self) -> datetime | None:
        """Returns when the node was heard last.

        The time stays exactly the same while the node is silent, because every difference is sent
        to watchers.
        """
        if self._heard is None:
            return None
        last, _ = self._heard
        if self._session is not None:
            last = max(last, self._session.last_heard)
        if self._target is not None:
            last = max(last, self._target.last_activity)
        if last > self._heard[0]:
            self._heard = last, self._now() - timedelta(seconds=trio.current_time() - last)
        return self._heard[1]
