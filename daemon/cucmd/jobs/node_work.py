"""Does the work on one node: passes on to its job what it reports, and what its end means.

Only a cancel and `Postponed` come out of it as exceptions; whatever else goes wrong on a node is
that node's failure, and no other's. Of its progress transitions are passed on at once, figures only
when `figures` is called.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import msgspec
import trio

from cucmd.durable import make_directories
from cucmd.failure import FULL_DISK, Code, NodeFailed, failure, timeout_failure
from cucmd.job.failure import Failure
from cucmd.job.kind import Result
from cucmd.job.node import Node, Notes, Phase
from cucmd.jobs.filing import Filing
from cucmd.jobs.recorder import Recorder
from cucmd.node.ports import NodeTask, Postponed, Report, Session, UploadTarget
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed

log = logging.getLogger(__name__)

# Folders that are made at once. A disk that hangs keeps these threads, and takes none from others.
_FOLDERS = trio.CapacityLimiter(8)

# Does what a task says on its node, and returns what a person should read of it.
WorkOnNode: TypeAlias = Callable[[NodeTask, Report], Awaitable[Notes]]
ChangeNode: TypeAlias = Callable[[Callable[[Node], Node]], None]


async def do_work(work: WorkOnNode, task: NodeTask, progress: NodeProgress) -> Notes | Failure:
    """Gets the node's notes, or why it failed. Raises `trio.Cancelled` and `Postponed` only."""
    try:
        with trio.fail_after(task.timeouts.node):
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


def _of_store(what: str, error: StoreFailed) -> Failure:
    code = Code.DISK_FULL if error.disk_full else Code.INTERNAL
    return failure(code, f"{what} could not be saved: {error}")


class NodeProgress:
    """Keeps the progress of the work on one node: its `Report`, and the upload target.

    `change`: applies a transition to the node, unless it has ended meanwhile.
    `now`: the time of a transition.
    `password`: called before the password is sent.
    `authenticated`: called when the node has accepted the login.
    `amend`: as `change`, also where the node has ended.
    `saved`: returns once all changes so far are in the store.
    `filed`: puts files on record.
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
    ) -> None:
        self._saved, self._file = saved, filed
        self._filed: set[str] = set()  # paths
        self._amend = amend or change
        self._change = change
        self._now = now
        self.password, self.authenticated = password, authenticated
        self._target: UploadTarget | None = None
        self._session: Session | None = None
        self._heard: tuple[float, datetime] | None = None  # by trio's clock, and as it is shown
        self._all_announced = False
        self._files_announced: int | None = None
        self._bytes_announced: int | None = None
        self._complete: set[str] = set()  # paths
        self._written: list[ReceivedFile] = []  # here, not pushed: what commands have printed
        self._taken = 0  # of these, by `take_files`
        self._growing = 0  # bytes of one that is still written
        self._ended = False
        self._attempt = 0
        self.last_phase = Phase.CONNECT

    def attempt(self, number: int) -> None:
        now, self._attempt = self._now(), number
        self._session, self._heard = None, (trio.current_time(), now)
        self._change(lambda node: node.begin(now, number))

    def phase(self, phase: Phase) -> None:
        self.last_phase = phase
        self._change(lambda node: node.enter(phase))

    def clock(self, zone: str | None, ahead: float) -> None:
        self._change(lambda node: msgspec.structs.replace(node, zone=zone, clock_ahead=ahead))

    def session(self, session: Session) -> None:
        self._session = session

    def result(self, result: Result) -> None:
        change = self._amend if result.late else self._change
        change(lambda node: msgspec.structs.replace(node, result=result))

    async def saved(self) -> None:
        if self._saved is not None:
            await self._saved()

    async def filed(self) -> None:
        files = [file for file in self._pushed() if file.complete]
        if self._file is not None:
            await self._file(files)
            self._filed.update(file.path for file in files)

    def upload_target(self, target: UploadTarget) -> None:
        self._target = target

    def announced(self, files: int, size: int, *, all_of_them: bool) -> None:
        self._files_announced, self._bytes_announced = files, size
        self._all_announced = all_of_them

    def growing(self, size: int) -> None:
        self._growing = size

    def kept(self, file: ReceivedFile) -> None:
        self._growing = 0
        self._written.append(msgspec.structs.replace(file, attempt=self._attempt))

    @property
    def written(self) -> Sequence[ReceivedFile]:
        """Returns those that were kept, so far."""
        return tuple(self._written)

    def complete(self, files: Sequence[ReceivedFile]) -> None:
        self._complete.update(file.path for file in files if file.closed)

    @property
    def refusal(self) -> Failure | None:
        """Says why the upload target refused an upload; None: it refused none."""
        return self._target.refusal if self._target is not None else None

    def at_end(self) -> None:
        """The work has ended: from now on complete files are counted, and not closed ones."""
        self._ended = True

    def take_files(self) -> Sequence[ReceivedFile]:
        """Returns the files of the upload target, marked as complete or not, and those that were
        written; without those that `filed` has put on record.

        Empty at the second call.
        """
        pushed, self._target = self._pushed(), None
        written, self._taken = self._written[self._taken :], len(self._written)
        return [*(file for file in pushed if file.path not in self._filed), *written]

    def _pushed(self) -> list[ReceivedFile]:
        files = self._target.files() if self._target is not None else ()
        return [
            msgspec.structs.replace(
                file, complete=file.path in self._complete, attempt=self._attempt
            )
            for file in files
        ]

    def figures(self, node: Node) -> Node:
        """Returns the node with its present figures; `node` itself where nothing has changed."""
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
        elif self._taken < len(self._written) or self._growing:  # it opens no upload target
            after = msgspec.structs.replace(
                after,
                files_received=sum(file.complete for file in self._written),
                bytes_received=sum(file.size for file in self._written) + self._growing,
            )
        return node if after == node else after

    def _heard_at(self) -> datetime | None:
        """Returns when the node was heard last. It stays the same, to the digit, while the node is
        silent: every difference is sent to watchers.
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
