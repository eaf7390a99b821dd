"""One job while it lives: a nursery, a cancel scope for each node, and its state.

The one rule: the state changes in memory first, at once and in one place (`_change`); then it is
made durable, then watchers hear of it, in that order. Tasks of nodes that a cancel or a deadline
has settled find that out when they try to settle them, and change nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from cucmd.failure import FULL_DISK, Code, Failure, NodeFailed, failure, timed_out
from cucmd.job import Failed, Job, Node
from cucmd.jobs.events import Feed
from cucmd.jobs.filing import Filing
from cucmd.jobs.limits import Address, Admission
from cucmd.jobs.manifest import ManifestWriter
from cucmd.jobs.progress import NodeProgress
from cucmd.jobs.recorder import Recorder
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# How often figures of running transfers are shown to watchers, in seconds.
TICK = 0.5

Notes: TypeAlias = tuple[str, ...]
# Does what a task says on its node, and returns what a person should read of it.
WorkOnNode: TypeAlias = Callable[[NodeTask, Report], Awaitable[Notes]]
# (host, port) to what its other names have in common with it.
Locate: TypeAlias = Callable[[str, int], Awaitable[Address]]


class JobServices(msgspec.Struct, frozen=True):
    """What every job needs of the daemon."""

    store: Store
    feed: Feed
    admission: Admission
    work_on_node: WorkOnNode
    locate: Locate


class JobRun:
    """Owns the job from its acceptance until its last connection has closed."""

    def __init__(
        self,
        job: Job,
        tasks: Sequence[NodeTask | None],
        directory: Path,
        entries: Sequence[ReceivedFile],
        services: JobServices,
    ) -> None:
        self.job = job
        self._tasks = tasks
        self._services = services
        self._recorder = Recorder(job, services.store, services.feed)
        manifest = ManifestWriter(job.job_id, directory, entries)
        self._filing = Filing(job.job_id, services.store, manifest, lambda: self._stopping)
        self._scopes = [trio.CancelScope() for _ in job.nodes]
        self._waiting = trio.CancelScope()
        self._works = False
        self._stopping = False
        self.whole = True  # no file came of which nobody knows: after a defect, none can tell
        self._reports = [self._report(position) for position in range(len(job.nodes))]
        self._places = trio.Semaphore(job.concurrency)
        self.over = trio.Event()

    def _report(self, position: int) -> NodeProgress:
        return NodeProgress(partial(self.change_node, position), self._now)

    def _now(self) -> datetime:
        """A node begins after its job, though somebody sets the clock back meanwhile."""
        now = _now()
        return max(now, self.job.started_at or now)

    # The life of the job

    async def run(self) -> None:
        """Ends when every node has settled, every connection has closed and all is durable."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._recorder.run)
                try:
                    await self._as_far_as_it_goes(self._wait_and_work)
                    await self._as_far_as_it_goes(self._filing.catch_up)
                finally:
                    self._recorder.finish()
        finally:
            self.over.set()

    async def _as_far_as_it_goes(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Exception:
            log.exception("job %s: a defect", self.job.job_id)
            self.whole = False
            self.end_all(failure(Code.INTERNAL, "a defect of cucmd ended the job"))

    async def _wait_and_work(self) -> None:
        with self._waiting:
            async with self._services.admission.job():
                if self.job.ended:  # cancelled in the very moment in which its turn came
                    return
                self._works = True
                self._change(self.job.begin(_now()))
                await self._work()

    async def _work(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_deadline)
            nursery.start_soon(self._tick)
            nursery.start_soon(self._filing.keep_up)
            async with trio.open_nursery() as nodes:
                # One by one as places come free: a nursery starts its tasks in any order, and a
                # person who names the publisher first means it to be first.
                for position in range(len(self.job.nodes)):
                    await self._places.acquire()
                    if self.job.nodes[position].settled:
                        self._places.release()
                    else:
                        nodes.start_soon(self._run_node, position)
            nursery.cancel_scope.cancel()

    async def _watch_deadline(self) -> None:
        seconds = self.job.timeouts.job
        await trio.sleep(seconds)
        job = self.refresh()
        for position, report in enumerate(self._reports):
            node = job.nodes[position]
            if report.refusal is not None and not node.settled:
                job = job.replace_node(position, node.fail(_now(), report.refusal), _now())
        late = timed_out(Code.JOB_TIMEOUT, seconds, "for the whole job (job timeout)")
        self._end(job.fail_unsettled(_now(), late))

    async def _tick(self) -> None:
        """Shows watchers how running transfers grow; figures alone are not worth a transaction."""
        while True:
            await trio.sleep(TICK)
            self.refresh()
            self._recorder.show(self.job)

    # One node

    async def _run_node(self, position: int) -> None:
        task, report = self._tasks[position], self._reports[position]
        assert task is not None, "only a settled node has none"
        ending: Notes | Failure | None = None
        problem: Failure | None = None
        try:
            with self._scopes[position]:
                address = await self._services.locate(task.host, task.port)
                async with self._services.admission.session(address, task.sessions):
                    ending = await self._attempt(task, report)
        finally:
            with trio.CancelScope(shield=True):
                problem = await self._file_away(position, task, report, reached=ending is not None)
            self._places.release()
        if ending is not None:
            failed = isinstance(ending, Failure)  # and then what came first is what to show
            self._settle(position, ending if failed or problem is None else problem)

    async def _attempt(self, task: NodeTask, report: NodeProgress) -> Notes | Failure:
        """Works on the node; its notes, or why it failed. Only a cancel comes out as itself."""
        try:
            with trio.fail_after(task.timeouts.node):
                await trio.to_thread.run_sync(_make_folder, task.folder)
                return await self._services.work_on_node(task, report)
        except NodeFailed as error:
            return error.failure
        except trio.TooSlowError:
            where = f"for the whole node, in phase {report.last_phase} (node timeout)"
            return report.refusal or timed_out(Code.NODE_TIMEOUT, task.timeouts.node, where)
        except OSError as error:
            log.warning("job %s, node %s: %s", self.job.job_id, task.node, error)
            return _of_os_error(error)
        except Exception as error:
            log.exception("job %s, node %s: a defect", self.job.job_id, task.node)
            return failure(Code.INTERNAL, f"{type(error).__name__} in phase {report.last_phase}")

    async def _file_away(
        self, position: int, task: NodeTask, report: NodeProgress, *, reached: bool
    ) -> Failure | None:
        """Puts what came into the store and the manifest. A failure to do so fails the node."""
        report.at_end()
        self._show_figures(position)
        files = report.take_files()
        if not files and not reached:
            return None
        self._filing.add(task.node, files)
        try:
            await self._filing.put_on_record(partial(self._ends_the_job, position))
        except StoreFailed as error:
            code = Code.DISK_FULL if error.disk_full else Code.INTERNAL
            return failure(code, f"the files' record could not be saved: {error}")
        except OSError as error:
            return _of_os_error(error)
        return None

    def _ends_the_job(self, position: int) -> bool:
        """Whether the job is seen to end with this node: no other is at work or still to come."""
        pairs = zip(self.job.nodes, self._reports, strict=True)
        return not self.job.nodes[position].settled and all(
            node.settled or report.ended for node, report in pairs
        )

    @property
    def recorded(self) -> bool:
        """Whether every file that we know of is on record."""
        return self._filing.recorded

    # State

    def _change(self, job: Job) -> None:
        before, self.job = self.job, job
        self._recorder.changed(job)
        if job.ended:
            self._filing.hurry()
        _log_endings(before, job)

    def change_node(self, position: int, change: Callable[[Node], Node]) -> None:
        """Applies a transition, unless the node has settled meanwhile."""
        node = self.job.nodes[position]
        if not node.settled:
            self._change(self.job.replace_node(position, change(node), _now()))

    def _settle(self, position: int, ending: Notes | Failure) -> None:
        def change(node: Node) -> Node:
            if isinstance(ending, Failure):
                return node.fail(_now(), ending)
            return node.succeed(_now(), ending)

        self.change_node(position, change)

    def _show_figures(self, position: int) -> None:
        node = self._reports[position].figures(self.job.nodes[position])
        if node is not self.job.nodes[position]:
            self.job = self.job.replace_node(position, node, _now())
            if node.settled:
                self._recorder.changed(self.job)

    def refresh(self) -> Job:
        """The job with the figures of this moment."""
        for position, node in enumerate(self.job.nodes):
            if not node.settled:
                self._show_figures(position)
        return self.job

    def shown(self) -> Job:
        """The job as whoever asks may see it: the newest state that is durable."""
        return self._recorder.visible_state(self.refresh())

    @property
    def unsaved(self) -> str | None:
        """Why what is shown is not how it is: the newest state cannot be stored."""
        return self._recorder.trouble

    # Ending it from outside

    async def cancel(self, positions: frozenset[int] | None = None) -> bool:
        """Cancels, and says whether that changed anything; durable on return.

        Connections close behind it, inside the grace period. Raises `StoreFailed`: what it changed
        holds all the same, and is made durable once that can be.
        """
        before = self.refresh()
        self._end(self.job.cancel(_now(), positions))
        changed = self.job is not before
        with trio.CancelScope(shield=True):  # a client that goes away takes nothing back
            try:
                await self._recorder.durable()
            except StoreFailed as error:
                if self._stopping:  # the next start takes up what is on disk
                    raise
                what = "the cancel holds" if changed else "nothing was left to cancel"
                raise StoreFailed(f"{what}, its record will follow: {error}") from error
        return changed

    def end_all(self, why: Failure) -> None:
        """Fails what has not settled, and stops work on it."""
        self.refresh()
        self._end(self.job.fail_unsettled(_now(), why))

    def take_up(self) -> None:
        """Queues a job again that a stop had left unfinished."""
        self._change(self.job.resume())

    def stop(self) -> None:
        """Stops all work without settling anything: a later start takes the job up again."""
        self._stopping = True
        self._recorder.stop()
        self._waiting.cancel()

    def _end(self, after: Job) -> None:
        before = self.job
        if after is before:
            return
        self._change(after)
        pairs = zip(before.nodes, after.nodes, self._scopes, strict=True)
        for node_before, node_after, scope in pairs:
            if node_after is not node_before:
                scope.cancel()
        if after.ended and not self._works:
            self._waiting.cancel()


def _log_endings(before: Job, after: Job) -> None:
    """So that the log tells how what it saw begin has ended."""
    for old, new in zip(before.nodes, after.nodes, strict=True):
        if new is not old and isinstance(new.state, Failed) and not old.settled:
            why = new.state.failure
            log.warning("job %s, node %s: %s: %s", after.job_id, new.node, why.code, why.message)
    if after.ended and not before.ended:
        count = Counter(node.status for node in after.nodes)
        said = ", ".join(f"{number} {status}" for status, number in count.items())
        log.info("job %s: ended %s (nodes: %s)", after.job_id, after.status, said)


def _now() -> datetime:
    return datetime.now(UTC)


def _make_folder(folder: Path) -> None:
    (folder / "files").mkdir(mode=0o750, parents=True, exist_ok=True)


def _of_os_error(error: OSError) -> Failure:
    code = Code.DISK_FULL if error.errno in FULL_DISK else Code.INTERNAL
    return failure(code, f"{error.strerror or error}: {error.filename or 'state directory'}")
