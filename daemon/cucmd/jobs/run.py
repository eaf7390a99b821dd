"""Runs one job, from its acceptance until its last connection has closed.

The job's state changes in memory first, at once and in one place (`_change`). Then it is made
durable, then it is published to watchers.

The tasks of a job
------------------
    run
        Recorder.run            saves states and publishes them, until all of the rest has ended
        _wait_and_work          waits for a slot of the job limit, then works
            _watch_deadline     ends the job at the job timeout
            _tick               publishes the figures of running transfers
            _run_node           a task a node, at most `concurrency` at once, in the nodes' order
        Filing.catch_up         after the last node: files that could not be put on record so far
        _recover_again          then those of before a restart

One node
--------
    0. Its login has worked on another node of the job, or it is its turn to try it
       (`hold_back.py`).
    1. A session on the node, and one of the daemon's connections, is free (`services.py`).
    2. The work on the node (`node_work.py`). It gives notes, or a failure.
    3. The files that came are put on record, which is the store (`filing.py`).
    4. The node's state is `succeeded` or `failed`: in memory, in the store, then for watchers
       (`recorder.py`).
So whoever sees that a node has ended by itself finds its files on record, unless step 3 failed. A
node that had succeeded until then fails for that reason; its files follow later (`filing.py`).

Who may end what
----------------
    cause                       state                           tasks
    `cancel`                    nodes are cancelled             cancelled, node by node, once that
                                                                is on record, or 0.1 s later
    job timeout, `end_all`      unfinished nodes fail           cancelled, node by node
    node timeout                the node fails                  the node's own ends
    a defect in a node's work   the node fails as `internal`    the node's own ends
    a defect elsewhere          unfinished nodes: `internal`    cancelled, node by node
    `stop` (of the daemon)      none; a start resumes the job   all are cancelled
A job that a start cannot resume gets `end_all` before `stop`.

The state changes before the tasks end. A node that was cancelled is shown as cancelled at once; its
connection closes after that, within the grace period (work that has to be ended on the node first
may take 45 s more), and then step 3 follows, which nothing cancels. At step 4 the task finds that
its node has ended already, and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import trio
from msgspec.structs import replace

from cucmd.failure import Code, NodeFailed, failure, timeout_failure
from cucmd.job.failure import Failure
from cucmd.job.job import Job
from cucmd.job.node import Node, Notes
from cucmd.jobs.errors import JobStopped
from cucmd.jobs.filing import Filing
from cucmd.jobs.hold_back import HoldBack
from cucmd.jobs.node_work import NodeProgress, do_work, filed, saved
from cucmd.jobs.recorder import Recorder
from cucmd.jobs.recovery import RecoveredFiles, recover_files
from cucmd.jobs.services import JobServices
from cucmd.jobs.together import together_of
from cucmd.node.ports import NodeTask, Postponed
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed

log = logging.getLogger(__name__)

# How often figures of running transfers are shown to watchers, in seconds.
TICK = 0.5
# Seconds that a cancel leaves to its record before it ends the tasks: hundreds of them at once take
# the processor from it, and its caller waits for it.
RECORD_FIRST = 0.1


class JobRun:
    """Runs one job, see the top of this file.

    `tasks`: a task for each node; None for one that ended before a restart.
    `recovered`: the files from before the restart; None for a new job.
    `queued_by`: the user whose call has queued it; of a retry that need not be the job's owner.
    """

    def __init__(
        self,
        job: Job,
        tasks: Sequence[NodeTask | None],
        directory: Path,
        services: JobServices,
        recovered: RecoveredFiles | None = None,
        *,
        queued_by: int | None = None,
    ) -> None:
        self.job = job
        self.queued_by = queued_by
        self.together, self._tasks = together_of(job, tasks)
        self._services = services
        self.recorder = Recorder(job, services.store, services.feed)
        # False after a defect, or where a restart could not put all files on record.
        self._all_known = recovered is None or recovered.recorded
        self._found = None if self._all_known else job  # of such a restart
        self._directory = directory
        self._filing = Filing(job.job_id, services.store)
        self._hold_back = HoldBack(tasks, services.trusted, try_all=job.try_all)
        self._scopes = [trio.CancelScope() for _ in job.nodes]
        self._scope = trio.CancelScope()  # of `_wait_and_work`
        self._began = False
        self._stopping = False
        self._reports = [self._report(position) for position in range(len(job.nodes))]
        self._concurrency = trio.Semaphore(job.concurrency)
        # Positions of nodes with a connection, or about to open one.
        self._at_work: set[int] = set()
        self._relabelling = trio.Lock()
        self.ended_at: float | None = None  # by the clock of the store
        self.over = trio.Event()
        self.kept = trio.Event()  # set by the supervisor, when it holds the job no longer

    def _report(self, position: int) -> NodeProgress:
        return NodeProgress(
            partial(self.change_node, position),
            self._now,
            partial(self.change_node, position, late=True),
            password=lambda: self._hold_back.password(self._task(position)),
            authenticated=lambda: self._hold_back.worked(self._task(position)),
            saved=partial(saved, self.recorder),
            filed=partial(filed, self._filing),
        )

    def _task(self, position: int) -> NodeTask:
        """Only a node that has ended has none."""
        return cast("NodeTask", self._tasks[position])

    def _now(self) -> datetime:
        """Returns no time before the job's start, even if somebody sets the clock back."""
        now = _now()
        return max(now, self.job.started_at or now)

    # The life of the job

    async def run(self) -> None:
        """Ends when every node has ended, every connection has closed and all is durable."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.recorder.run)
                try:
                    await self._without_defect(self._wait_and_work)
                    await self._without_defect(self._filing.catch_up)
                    await self._without_defect(self._recover_again)
                finally:
                    self.recorder.finish()
        finally:
            self.over.set()

    async def _without_defect(self, step: Callable[[], Awaitable[None]]) -> None:
        """Runs `step`: a defect in it ends this job, and no other."""
        try:
            await step()
        except Exception:
            log.exception("job %s: a defect", self.job.job_id)
            self._all_known, self._found = False, None
            self.end_all(failure(Code.INTERNAL, "a defect of cucmd ended the job"))

    async def _recover_again(self) -> None:
        """Puts on record what the restart could not; else the next start tries again."""
        if self._found is None or self._stopping or not self._filing.recorded:
            return
        with trio.CancelScope(shield=True), suppress(StoreFailed):
            again = await recover_files(self._services.store, self._found, self._directory)
            self._all_known = again.recorded

    async def _wait_and_work(self) -> None:
        with self._scope:
            async with self._services.slots.jobs:
                if self.job.ended:  # cancelled after the slot was given, before this task ran
                    return
                self._began = True
                self._change(self.job.begin(_now()))
                await self._work()

    async def _work(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_deadline)
            nursery.start_soon(self._tick)
            async with trio.open_nursery() as nodes:
                # One by one: a nursery starts its tasks in any order, and a user who names the
                # publisher first expects it to be first.
                for position in range(len(self.job.nodes)):
                    await self._concurrency.acquire()
                    if self.job.nodes[position].settled:
                        self._leave(position)
                        self._concurrency.release()
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
        late = timeout_failure(Code.JOB_TIMEOUT, seconds, "for the whole job (job timeout)")
        self._end(job.fail_unsettled(_now(), late))

    async def _tick(self) -> None:
        """Publishes the figures of running transfers, without a transaction of the store. Lets
        another node try a login of which the last one says nothing.
        """
        while True:
            await trio.sleep(TICK)
            self.refresh()
            self.recorder.show(self.job)
            self._hold_back.look()

    # One node

    async def _run_node(self, position: int) -> None:
        task, report = self._task(position), self._reports[position]
        ending: Notes | Failure | None = None  # None: cancelled
        self._at_work.add(position)
        try:
            with self._scopes[position]:
                while (ending := await self._hold_back.wait(task)) is None:
                    with suppress(Postponed):
                        ending = await self._contact(task, report)
                        break
        finally:
            self._leave(position)
            with trio.CancelScope(shield=True):
                ending = await self._record_files(position, ending)
            self._at_work.discard(position)
            self._concurrency.release()
        match ending:
            case Failure():
                self.change_node(position, lambda node: node.fail(_now(), ending))
            case tuple():
                self.change_node(position, lambda node: node.succeed(_now(), ending))

    def _leave(self, position: int) -> None:
        """Nodes that begin together wait for it no longer."""
        if self.together is not None:
            self.together.leave(self.job.nodes[position].node)

    async def _contact(self, task: NodeTask, report: NodeProgress) -> Notes | Failure:
        """Does the work on the node, once a session on it is free."""
        ending: Notes | Failure | None = None  # None: cancelled
        try:
            address = await self._services.locate(task.host, task.port)
            if self.together and (twice := self.together.twice(task.node, address)):
                report.attempt(task.first_attempt)
                return twice
            async with self._services.slots.session(address, task.sessions):
                ending = await do_work(self._services.work_on_node, task, report)
                return ending
        finally:
            self._hold_back.ended(task, ending if isinstance(ending, Failure) else None)

    async def _record_files(
        self, position: int, ending: Notes | Failure | None
    ) -> Notes | Failure | None:
        """Puts the received files on record. Gives the ending, or the failure of a node that had
        succeeded until then.
        """
        report = self._reports[position]
        report.at_end()
        self._show_figures(position)
        files = report.take_files()
        if ending is None and not files:  # the job may have no directory yet
            return None
        try:
            await filed(self._filing, files)
        except NodeFailed as error:
            return error.failure if isinstance(ending, tuple) else ending
        return ending

    @property
    def recorded(self) -> bool:
        """Says whether all received files are on record. Meaningful once `over` is set."""
        return self._all_known and self._filing.recorded

    # State

    def _change(self, job: Job) -> None:
        if job.ended and not self.job.ended:
            self.ended_at = self._services.store.clock()
        self.job = replace(job, revision=self.job.revision + 1)
        self.recorder.changed(self.job)

    def change_node(
        self, position: int, change: Callable[[Node], Node], *, late: bool = False
    ) -> None:
        """Applies a transition, unless the node has ended; with `late` what is none, also then."""
        node = self.job.nodes[position]
        if late or not node.settled:
            self._change(self.job.replace_node(position, change(node), _now()))

    def _show_figures(self, position: int) -> None:
        node = self._reports[position].figures(self.job.nodes[position])
        if self._tasks and not node.settled:  # a restart that ends it has made none
            node = node.waiting(self._now(), self._hold_back.waits_for(self._task(position)))
        if node is not self.job.nodes[position]:
            self.job = self.job.replace_node(position, node, _now())
            if node.settled:
                self.recorder.changed(self.job)

    def refresh(self) -> Job:
        """Returns the job with the figures of this moment."""
        for position, node in enumerate(self.job.nodes):
            if not node.settled:
                self._show_figures(position)
        return self.job

    def works_on(self, name: str) -> bool:
        """Says whether the node of that name has not ended, or its connection is being closed."""
        return any(
            node.node == name and (not node.settled or position in self._at_work)
            for position, node in enumerate(self.job.nodes)
        )

    def first_attempts(self) -> dict[str, int]:
        """Returns the nodes on which it works, by name, each with the first attempt of its task."""
        return {
            task.node: task.first_attempt
            for task in self._tasks
            if task is not None and self.works_on(task.node)
        }

    def written(self, position: int) -> Sequence[ReceivedFile]:
        """Returns what commands have printed so far on a node."""
        return self._reports[position].written

    def shown(self) -> Job:
        """Returns the job as clients may see it: the newest state that is durable."""
        return self.recorder.visible_state(self.refresh())

    async def relabel(self, change: Callable[[Job], Job]) -> bool:
        """Applies a change of labels: durable on return. False: it is too late for a change here.

        One after the other, since a change that is not saved is taken back. Raises `StoreFailed`.
        """
        async with self._relabelling:
            if self.recorder.over:
                return False
            before = self.refresh()
            self._change(change(before))
            try:
                with trio.CancelScope(shield=True):
                    await self.recorder.durable()
            except StoreFailed:
                self._change(replace(self.job, labels=before.labels))
                raise
            return True

    # Cancel and stop

    async def cancel(self, positions: frozenset[int] | None = None) -> bool:
        """Cancels these nodes, or all; returns whether that changed anything. Durable on return.

        Connections close after that, within the grace period. Raises `StoreFailed`: the nodes are
        cancelled nevertheless, and that is saved once the store takes it. Raises `JobStopped`: it
        is too late, and nothing has changed.
        """
        if self.recorder.over and not self.job.ended:
            raise JobStopped
        before = self.refresh()
        after = before.cancel(_now(), positions)
        changed = after is not before
        if changed:
            self._change(after)
        with trio.CancelScope(shield=True):  # the cancel holds even if its client disconnects
            try:
                try:
                    with trio.move_on_after(RECORD_FIRST):
                        await self.recorder.durable()
                finally:
                    # In the next turn of the loop: that takes a while for hundreds of nodes, and
                    # the reply, which is all that is left to do in this turn, need not wait for it.
                    soon = trio.lowlevel.current_trio_token().run_sync_soon
                    soon(self._end_tasks, before, after)
                await self.recorder.durable()
            except StoreFailed as error:
                if self._stopping:  # the next start resumes what the store has
                    raise
                what = "the cancel holds" if changed else "nothing was left to cancel"
                raise StoreFailed(f"{what}, its record will follow: {error}") from error
        return changed

    def end_all(self, why: Failure) -> None:
        """Fails the nodes that have not ended, and stops the work on them."""
        self.refresh()
        self._end(self.job.fail_unsettled(_now(), why))

    def resume(self) -> None:
        """Queues a job again that was unfinished when the daemon stopped."""
        self._change(self.job.resume())

    def stop(self) -> None:
        """Stops all work without a change of state: the next start resumes the job."""
        self._stopping = True
        self.recorder.stop()
        self._filing.stop()
        self._scope.cancel()

    def _end(self, after: Job) -> None:
        before = self.job
        if after is not before:
            self._change(after)
            self._end_tasks(before, after)

    def _end_tasks(self, before: Job, after: Job) -> None:
        for position in after.changed_since(before):
            self._scopes[position].cancel()
        if after.ended and not self._began:
            self._scope.cancel()


def _now() -> datetime:
    return datetime.now(UTC)
