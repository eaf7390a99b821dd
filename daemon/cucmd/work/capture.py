"""Captures packets on one node: logs in, looks for room, begins together with the other nodes, ends
it, gets the files, counts their packets, and removes them from the node if that was asked for.

A capture that began is ended on the node before anything else happens, and where nothing shows that
it has ended, that is reported.

How a capture ends, and what follows

    its duration is over        Ctrl-C; the files are got
    `stop` of the job           the same, not before a second of it: a node that is given Ctrl-C
                                before it has made its file has none
    the prompt comes            the count was reached, or the node has ended it; the files are got.
                                Enter must bring it again: else it was output, and the capture runs
    a question comes            Ctrl-C; the node fails
    cancel of job or node,      Ctrl-C, for at most `stop_seconds`, which nothing cuts short;
    a deadline of either,       nothing is got. Of all but the node's deadline its state has changed
    a stop of the daemon        before (jobs/job_run.py): who cancels does not wait for this
    no prompt after Ctrl-C      the node fails, and the capture may still run
    the connection is lost      the node fails, and the capture may still run
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import trio
from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail, failure, timeout_failure
from cucmd.job.capture import Capture, Captured
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import READY_WITHIN, JointRun, NodeTask, Ports, Report
from cucmd.work.capture_files import CaptureFiles
from cucmd.work.session import answer, ask, both_ends, logged_in, refusal

# Seconds until the prompt after Ctrl-C: others allow up to 90, and a stop of the daemon waits for
# this and the grace of the session, before systemd kills it after 60 (systemd/cucmd.service).
STOP_WITHIN, _STOP_AND_GRACE, _SHORTEST_STOP = 45.0, 50.0, 5.0

# Seconds that a capture lasts at least from the echo of its command, which is what a request may
# ask for, and seconds after which a stop does not wait for the echo any more.
_SHORTEST, _ECHO_WITHIN = 1.0, 5.0

PARTITION = "logging"
# Percent. A node refuses a capture from its low water mark less 5 % (V). The mark is a setting, and
# 90 is what a node takes for it where it cannot read it (V). One whose mark is lower refuses by
# itself (vos/NODES.md, sections 6.3 and 6.5).
FULL = 85
# Bytes of a packet on an Ethernet, and of its header in the file. A network card that joins packets
# gives larger ones (I).
_PACKET, _HEADER = 1514, 16

_FULL_HINT = (
    "make room on the node's logging partition: collect its traces and remove old ones; a capture "
    "that fills it makes the node delete traces"
)

_LATE = "after the first node was ready: the others have begun without this one"
_ALONE = (
    "its login took longer than that of the others, or other jobs had all of its sessions; capture "
    "again, or on this node alone"
)


def stop_seconds(grace: float) -> float:
    """Returns how long a node has until it is at its prompt again. grace: for the close of its
    session.
    """
    return min(STOP_WITHIN, max(_SHORTEST_STOP, _STOP_AND_GRACE - grace))


async def capture(task: NodeTask, what: Capture, ports: Ports, report: Report) -> tuple[str, ...]:
    """Captures packets, and gets the files. Returns notes for the user. Raises `NodeFailed`."""
    joint_run = task.joint_run
    assert joint_run is not None, "jobs/joint_run.py gives it to every task of a capture"
    async with logged_in(task, ports, report) as session:
        await answer(session, task, vos.PAGER_OFF)
        status = await ask(session, task, vos.SHOW_STATUS, vos.parse_machine)
        if full := no_room(status, what):
            raise NodeFailed(full)
        if not await joint_run.wait_for_start(task.node):
            raise NodeFailed(timeout_failure(Code.LOGIN_TIMEOUT, READY_WITHIN, _LATE, hint=_ALONE))
        report.phase(Phase.COMMAND)
        run = _NodeCapture(session, task, what, report, joint_run)
        said = await run.whole()
        files = CaptureFiles(session, task, what, ports, report)
        notes = await files.get(run.captured, said)
        report.phase(Phase.CLOSE)
        earlier = (
            f"an earlier capture may still run there, into platform/cli/{name}.cap"
            for name in task.may_run
        )
        return (*earlier, *notes)


def no_room(status: vos.Machine, what: Capture) -> Failure | None:
    """Says why nothing is captured on a node that answers `show status` so. None: it has room.

    In doubt there is none. A capture that fills the partition makes the node delete its traces,
    which may be the evidence that somebody is after (vos/NODES.md, section 6.5).
    """
    disks = [disk for disk in status.disks if disk.name == PARTITION]
    if not disks:
        message = f"its answer to 'show status' does not say how full {PARTITION} is"
        return failure(Code.COMMAND_REFUSED, message)
    disk = disks[0]
    size = largest(what)
    # Counted as the node does: what is kept for the system is neither used nor free.
    after = 100 if size >= disk.free else (disk.used + size) * 100 // (disk.used + disk.free)
    percent = max(disk.used_percent, after)
    if percent < FULL:
        return None
    free = f"{disk.free // 1024**2} MiB of its logging partition are free"
    message = f"{free}; with the capture {percent} % of it would be used, and {FULL} % are too much"
    return failure(Code.COMMAND_REFUSED, f"no packet was captured: {message}", hint=_FULL_HINT)


def largest(what: Capture) -> int:
    """Returns the bytes that the file of a capture has at most, as a rule."""
    kept = _PACKET if what.size is None else min(what.size, _PACKET)
    return what.count * (kept + _HEADER)


class _NodeCapture:
    """Leads the capture on the node, from its command until the node is at its prompt again."""

    def __init__(
        self,
        session: NodeSession,
        task: NodeTask,
        what: Capture,
        report: Report,
        joint_run: JointRun,
    ) -> None:
        self._session = session
        self._task = task
        self._what = what
        self._report = report
        self._joint_run = joint_run
        self._mask = task.mask
        self._said: Sequence[str] = ()
        self._began: float | None = None  # when the node took the command, by trio's clock
        name = what.name_of(task.first_attempt)
        self.captured = Captured(name, datetime.now(UTC), running=True)

    async def whole(self) -> tuple[str, ...]:
        """Returns what the node has said beside the options, once it is at its prompt. Raises
        `NodeFailed`.
        """
        with self._joint_run.working(self._task.node):
            # Before it is typed: after a kill it is in the store that it may run.
            self._tell(self.captured)
            try:
                await self._report.wait_saved()
                line = vos.capture_line(replace(self._what, name=self.captured.name))
                await self._session.capture(line)
                how = await self._wait()
            except NodeFailed:
                await self._end("failed")
                raise
            except BaseException:
                await self._end("cancelled")
                raise
            if (wrong := await self._end(how)) is not None:
                raise NodeFailed(wrong)
        return vos.strip_capture_options(both_ends(self._said))

    async def _wait(self) -> str:
        """Waits, and says why it is to end, or has ended. Raises `NodeFailed`."""
        sent = trio.current_time()
        try:
            with self._joint_run.until_stopped() as scope:
                scope.deadline = sent + self._what.duration
                return await self._until_it_ends(scope, self._what.duration)
            if not self._joint_run.stopped:
                return "duration"
            began = sent + _ECHO_WITHIN if self._began is None else self._began
            with trio.CancelScope(deadline=began + _SHORTEST) as scope:
                return await self._until_it_ends(scope, _SHORTEST)
            return "stop"
        finally:
            if self._began is None:  # a node that echoes nothing
                self._begin(sent)

    async def _until_it_ends(self, scope: trio.CancelScope, seconds: float) -> str:
        """Returns if the node ends it. `seconds`: from its echo to the deadline of the scope."""
        while True:
            match await self._session.next_event():
                case vos.Started():
                    self._begin(trio.current_time())
                    scope.deadline = trio.current_time() + seconds
                case vos.CommandDone(lines=lines):
                    self._said = lines
                    self._check_not_refused()
                    await self._session.ask_for_prompt()
                case vos.Prompted():
                    return "node"
                case vos.StoppedAtQuestion(question=question):
                    message = f"the node asked {question!r}; it was ended with Ctrl-C"
                    raise fail(Code.COMMAND_REFUSED, message)
                case vos.Broken(failure=broken):
                    raise NodeFailed(broken)

    def _begin(self, at: float) -> None:
        self._began = at
        ago = timedelta(seconds=trio.current_time() - at)
        self._tell(replace(self.captured, started_at=datetime.now(UTC) - ago))

    def _check_not_refused(self) -> None:
        said = refusal(self._mask, self._said)
        if said is not None:
            raise fail(Code.COMMAND_REFUSED, f"the node refused the capture; it said: {said}")

    async def _end(self, how: str) -> Failure | None:
        """Ends the capture with Ctrl-C, if it runs. Returns why its end is not known, or None.

        No cancel cuts this short, since the node would be left with a capture that runs.
        """
        wrong: Failure | None = None
        if self._session.busy:
            seconds = stop_seconds(self._task.timeouts.grace)
            wrong = timeout_failure(
                Code.COMMAND_TIMEOUT, seconds, "waiting for the prompt after Ctrl-C"
            )
            with trio.move_on_after(seconds, shield=True):
                try:
                    self._said = await self._session.interrupt() or self._said
                    wrong = None
                except NodeFailed as error:
                    wrong = error.failure
        now = datetime.now(UTC)
        ended = replace(self.captured, ended_at=now, how=how, running=wrong is not None)
        self._tell(ended)
        return wrong

    def _tell(self, captured: Captured) -> None:
        self.captured = captured
        self._report.result(captured)
