"""Runs one job, from its acceptance until its last connection has closed.

A change of the job's state happens in memory first, at once and in one place (`_change`). Then the
new state is made durable, and then it is published to watchers.

The tasks of a job
------------------
    run
        Recorder.run            saves states and publishes them, until everything below has ended
        _wait_and_work          waits for a slot of the limit for jobs, then works
            _watch_deadline     ends the job at the job timeout
            _tick               publishes the figures of running transfers
            _run_node           one task for each node, at most `concurrency` at the same time, in
                                the order of the nodes
        FileRecorder.record_rest  after the last node: the files that could not be saved so far
        _recover_again          then the files from before a restart that could not be saved

One node
--------
    0. Its login has worked on another node of the job, or it is its turn to try the login
       (`login_trials.py`).
    1. A session on the node and one of the daemon's connections are free (`services.py`).
    2. The work on the node is done (`node_work.py`). It gives notes, or a failure.
    3. The files that came are saved in the store (`file_recorder.py`).
    4. The node's state becomes `succeeded` or `failed`: in memory, in the store, then for watchers
       (`recorder.py`).
So whoever sees that a node has ended by itself finds its files in the store, unless step 3 failed.
In that case a node that had succeeded until then fails, and its files are saved later.

What ends what
--------------
    cause                       state                           tasks
    `cancel`                    nodes are cancelled             cancelled, node by node, once that
                                                                is durable, or 0.1 s later
    job timeout, `fail_all`     unfinished nodes fail           cancelled, node by node
    node timeout                the node fails                  the node's own task ends
    a defect in a node's work   the node fails as `internal`    the node's own task ends
    a defect elsewhere          unfinished nodes: `internal`    cancelled, node by node
    `stop` (of the daemon)      none; a start resumes the job   all are cancelled
A job that a start cannot resume gets `fail_all` before `stop`.

The state changes before the tasks end. A node that was cancelled is shown as cancelled at once. Its
connection closes after that, within the grace period; work that has to be ended on the node first
may take 45 s more. Then step 3 follows, which nothing cancels. At step 4 the task finds that its
node has ended already, and changes nothing.
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
from cucmd.jobs.file_recorder import FileRecorder
from cucmd.jobs.job_errors import RunStopped
from cucmd.jobs.joint_run import join_tasks
from cucmd.jobs.login_trials import LoginTrials
from cucmd.jobs.node_work import NodeProgress, do_work, record_files, wait_until_saved
from cucmd.jobs.recorder import Recorder
from cucmd.jobs.recovery import RecoveredFiles, recover_files
from cucmd.jobs.services import Address, JobServices
from cucmd.node.ports import NodeTask, Postponed
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed

log = logging.getLogger(__name__)

# Seconds between two publications of the figures of running transfers.
TICK = 0.5
# Seconds that a cancel gives the store before it ends the tasks. Hundreds of tasks that end at the
# same time would take the processor from the save, for which the caller of the cancel waits.
SAVE_FIRST = 0.1
# The hint for a node that has refused a login of `plan/kept_logins.py`.
FORGOTTEN = "the daemon has forgotten this login; check it, and log in again: cucmctl login"


class JobRun:
    """Runs one job. The top of this file explains how.

    tasks      a task for each node, or None for a node that has ended before, or cannot go on
    recovered  the files from before a restart; None for a new job
    queued_by  the user whose call has started or retried the job
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
        self.joint_run, self._tasks = join_tasks(job, tasks)
        self._services = services
        self.recorder = Recorder(job, services.store, services.feed, services.counts)
        # False after a defect, or if a restart could not save all files from before it.
        self._all_recovered = recovered is None or recovered.recorded
        self._recover_as = None if self._all_recovered else job  # the job as the restart found it
        self._directory = directory
        self._files = FileRecorder(job.job_id, services.store)
        self._trials = LoginTrials(tasks, services.working_logins, try_all=job.try_all)
        self._scopes = [trio.CancelScope() for _ in job.nodes]
        self._scope = trio.CancelScope()  # around `_wait_and_work`
        self._began = False
        self._stopping = False
        self._reports = [self._report(position) for position in range(len(job.nodes))]
        self._concurrency = trio.Semaphore(job.concurrency)
        self._first_names: dict[Address, str] = {}  # the first node of the run at each address
        # Positions of the nodes that have a connection, or are about to open one.
        self._working: set[int] = set()
        self._relabelling = trio.Lock()
        self.ended_at: float | None = None  # by the clock of the store
        self.finished = trio.Event()  # set when `run` has ended
        self.released = trio.Event()  # set by the supervisor when it has closed the job

    def _report(self, position: int) -> NodeProgress:
        return NodeProgress(
            partial(self.change_node, position),
            self._now,
            partial(self.change_node, position, late=True),
            password=lambda: self._trials.permit_password(self._task(position)),
            authenticated=lambda: self._trials.note_accepted(self._task(position)),
            saved=partial(wait_until_saved, self.recorder),
            filed=partial(record_files, self._files),
            durations=self._services.counts.durations_of(self.job),
        )

    def _task(self, position: int) -> NodeTask:
        """Returns the task of a node that has not ended before this run."""
        return cast("NodeTask", self._tasks[position])

    def _now(self) -> datetime:
        """Returns the present time, or the start of the job if the clock was set back since."""
        now = _now()
        return max(now, self.job.started_at or now)

    # The life of the job

    async def run(self) -> None:
        """Runs the job. Returns when every node has ended, every connection has closed, and the
        job's state is durable.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.recorder.run)
                try:
                    await self._without_defect(self._wait_and_work)
                    await self._without_defect(self._files.record_rest)
                    await self._without_defect(self._recover_again)
                finally:
                    self.recorder.finish()
        finally:
            self.finished.set()

    async def _without_defect(self, step: Callable[[], Awaitable[None]]) -> None:
        """Runs `step`. A defect in the step ends this job only."""
        try:
            await step()
        except Exception:
            log.exception("job %s: a defect", self.job.job_id)
            # Without all files the supervisor does not close the job, so the next start looks for
            # files on disk that the store does not have.
            self._all_recovered, self._recover_as = False, None
            self.fail_all(failure(Code.INTERNAL, "a defect of cucmd ended the job"))

    async def _recover_again(self) -> None:
        """Saves the files that a restart found and could not save.

        If this fails too, the next start tries again.
        """
        if self._recover_as is None or self._stopping or not self._files.has_saved_all:
            return
        with trio.CancelScope(shield=True), suppress(StoreFailed):
            again = await recover_files(self._services.store, self._recover_as, self._directory)
            self._all_recovered = again.recorded

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
                # A nursery starts its tasks in any order. A user who names the publisher first
                # expects it to be first, so start the tasks one by one.
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
            # A quota or a full disk, because of which the node could not end in time, is the better
            # reason than the time limit.
            if report.refusal is not None and not node.settled:
                job = job.replace_node(position, node.fail(_now(), report.refusal), _now())
        late = timeout_failure(Code.JOB_TIMEOUT, seconds, "for the whole job (job timeout)")
        self._end(job.fail_unsettled(_now(), late))

    async def _tick(self) -> None:
        """Publishes the figures of running transfers every `TICK` seconds, without saving them.

        Also lets the next node try a login if the last node has not answered in time.
        """
        while True:
            await trio.sleep(TICK)
            self.refresh()
            self.recorder.show(self.job)
            self._trials.give_turns()

    # One node

    async def _run_node(self, position: int) -> None:
        """Runs the steps 0 to 4 from the top of this file for one node."""
        task, report = self._task(position), self._reports[position]
        ending: Notes | Failure | None = None  # stays None if the node is cancelled
        self._working.add(position)
        try:
            with self._scopes[position]:
                while (ending := await self._trials.wait_for_turn(task)) is None:
                    with suppress(Postponed):
                        ending = await self._contact(task, report)
                        break
        finally:
            # Leave first, because the save may wait for a disk, and the other nodes of a capture
            # must not wait for it too. Nothing cancels the save: the files are on the disk, and the
            # node may not have them any more.
            self._leave(position)
            with trio.CancelScope(shield=True):
                ending = await self._record_files(position, ending)
            self._working.discard(position)
            self._concurrency.release()
        match ending:
            case Failure():
                self.change_node(position, lambda node: node.fail(_now(), ending))
            case tuple():
                self.change_node(position, lambda node: node.succeed(_now(), ending))

    def _leave(self, position: int) -> None:
        """Tells nodes that begin at the same moment not to wait for this node any longer."""
        if self.joint_run is not None:
            self.joint_run.leave(self.job.nodes[position].node)

    async def _contact(self, task: NodeTask, report: NodeProgress) -> Notes | Failure:
        """Works on the node once a session on it is free. Returns the notes, or the failure."""
        ending: Notes | Failure | None = None  # stays None if the node is cancelled
        try:
            # All names of a node share its sessions, so the address has to be known before a
            # session is taken. A lookup that takes long holds no connection.
            address = await self._services.locate(task.host, task.port)
            same = ""
            if (first := self._first_names.setdefault(address, task.node)) != task.node:
                host, port = address
                same = f"it is the same node as {first}: both names mean {host}, port {port}"
            if same and self.joint_run:  # two captures on it would write files of the same name
                report.attempt(task.first_attempt)
                hint = "a node works once in such a job; name it once"
                refused = failure(Code.COMMAND_REFUSED, same, hint=hint)
                return replace(refused, retryable=False)
            async with self._services.slots.session(address, task.sessions):
                ending = await do_work(self._services.work_on_node, task, report)
                if (
                    task.forget_login is not None
                    and isinstance(ending, Failure)
                    and self._trials.is_refusal(task, ending)
                ):
                    task.forget_login()
                    ending = replace(ending, hint=FORGOTTEN)
                return (*ending, same) if same and isinstance(ending, tuple) else ending
        finally:
            self._trials.note_end(task, ending if isinstance(ending, Failure) else None)

    async def _record_files(
        self, position: int, ending: Notes | Failure | None
    ) -> Notes | Failure | None:
        """Saves the received files. Returns `ending`, or the failure to save them if the node had
        succeeded until then.
        """
        report = self._reports[position]
        # From here on only complete files count as received, so the figures are computed once more.
        report.note_end()
        self._show_figures(position)
        files = report.take_files()
        if ending is None and not files:  # the job may have no directory yet
            return None
        try:
            await record_files(self._files, files)
        except NodeFailed as error:
            return error.failure if isinstance(ending, tuple) else ending
        return ending

    @property
    def has_saved_all_files(self) -> bool:
        """Says whether all received files are in the store, once `finished` is set."""
        return self._all_recovered and self._files.has_saved_all

    # State

    def _change(self, job: Job) -> None:
        """Makes `job` the current state, in memory first. All changes of state come here."""
        if job.ended and not self.job.ended:
            # Retention counts a job's age from its end. Jobs that end at the same time are closed
            # in any order, so the time of the closing would not do.
            self.ended_at = self._services.store.clock()
        self.job = replace(job, revision=self.job.revision + 1)
        self.recorder.changed(self.job)

    def change_node(
        self, position: int, change: Callable[[Node], Node], *, late: bool = False
    ) -> None:
        """Applies a change to a node, unless the node has ended.

        With `late` the change is applied in any case. It must not be a transition then.
        """
        node = self.job.nodes[position]
        if late or not node.settled:
            self._change(self.job.replace_node(position, change(node), _now()))

    def _show_figures(self, position: int) -> None:
        """Puts the present figures of a node into the job, without a change of state."""
        node = self._reports[position].figures(self.job.nodes[position])
        if self._tasks and not node.settled:  # a restart that only ends the job has made no tasks
            node = node.with_login_wait(
                self._now(), self._trials.nodes_waited_for(self._task(position))
            )
        if node is not self.job.nodes[position]:
            self.job = self.job.replace_node(position, node, _now())
            if node.settled:
                # The figures of a node that has ended are final, so they are saved. Those of a
                # running node are only shown: a save for each would keep the disk busy.
                self.recorder.changed(self.job)

    def refresh(self) -> Job:
        """Returns the job with the figures of this moment."""
        for position, node in enumerate(self.job.nodes):
            if not node.settled:
                self._show_figures(position)
        return self.job

    def works_on(self, name: str) -> bool:
        """Says whether the node of this name has not ended, or its connection is being closed."""
        return any(
            node.node == name and (not node.settled or position in self._working)
            for position, node in enumerate(self.job.nodes)
        )

    def first_attempts(self) -> dict[str, int]:
        """Returns the names of the nodes on which the job works, each with the number of the first
        attempt of its task.
        """
        return {
            task.node: task.first_attempt
            for task in self._tasks
            if task is not None and self.works_on(task.node)
        }

    def outputs_so_far(self, position: int) -> Sequence[ReceivedFile]:
        """Returns the outputs of the commands that have run so far on a node."""
        return self._reports[position].outputs

    def visible_job(self) -> Job:
        """Returns the job as clients may see it, in the newest state that is durable."""
        return self.recorder.visible_state(self.refresh())

    async def relabel(self, change: Callable[[Job], Job]) -> bool:
        """Changes the labels of the job, or the names of its nodes. Returns True once the change is
        durable. Returns False if the run has ended, so that the change has to be made in the store.

        Raises `StoreFailed` if the change cannot be saved; the labels are then set back. Changes
        are made one after the other, so that setting back undoes no other change.
        """
        async with self._relabelling:
            if self.recorder.has_ended:
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
        """Cancels these nodes, or all nodes. Returns whether this changed anything, once the change
        is durable.

        The connections close after that, within the grace period. Raises `StoreFailed` if the
        change could not be saved: the nodes are cancelled nevertheless, and saving is tried again.
        Raises `RunStopped` if nothing was changed, because the daemon stops.
        """
        if self.recorder.has_ended and not self.job.ended:
            raise RunStopped
        before = self.refresh()
        after = before.cancel(_now(), positions)
        changed = after is not before
        if changed:
            self._change(after)
        with trio.CancelScope(shield=True):  # cancel the nodes even if the client disconnects
            try:
                try:
                    with trio.move_on_after(SAVE_FIRST):
                        await self.recorder.durable()
                finally:
                    # To end hundreds of tasks takes a while. Do this in the next turn of the event
                    # loop, so that the reply, which follows in this turn, need not wait for it.
                    soon = trio.lowlevel.current_trio_token().run_sync_soon
                    soon(self._end_tasks, before, after)
                await self.recorder.durable()
            except StoreFailed as error:
                if self._stopping:  # the next start resumes the job as the store has it
                    raise
                done = "the nodes are cancelled" if changed else "nothing was left to cancel"
                raise StoreFailed(f"{done}, but this is not saved yet: {error}") from error
        return changed

    def fail_all(self, why: Failure) -> None:
        """Fails the nodes that have not ended, and stops the work on them."""
        self.refresh()
        self._end(self.job.fail_unsettled(_now(), why))

    def resume(self, without_task: Failure) -> None:
        """Queues the job again, which was unfinished when the daemon stopped.

        without_task  the failure of nodes that have not ended, and have no task to go on with
        """
        self._change(self.job.resume())
        for position, task in enumerate(self._tasks):
            if task is None:
                self.change_node(position, lambda node: node.fail(_now(), without_task))

    def stop(self) -> None:
        """Stops all work without a change of state, so that the next start resumes the job."""
        self._stopping = True
        self.recorder.stop()
        self._files.stop()
        self._scope.cancel()

    def _end(self, after: Job) -> None:
        before = self.job
        if after is not before:
            self._change(after)
            self._end_tasks(before, after)

    def _end_tasks(self, before: Job, after: Job) -> None:
        """Cancels the tasks of the nodes that differ between the two states."""
        for position in after.positions_changed_since(before):
            self._scopes[position].cancel()
        # A job that waits for its slot has no tasks of nodes that could end, so its wait is ended.
        if after.ended and not self._began:
            self._scope.cancel()


def _now() -> datetime:
    return datetime.now(UTC)
