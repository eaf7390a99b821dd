"""Captures packets on one node: logs in, checks the free space, begins together with the other
nodes, ends the capture, gets its files, counts their packets, and removes them from the node on
request.

A capture that has begun is always ended on the node. If nothing shows that it has ended, the job
reports that it may still run.

How a capture ends, and what follows

    its duration is over        Ctrl-C; the files are got
    `stop` of the job           the same, but not within its first second: a node that gets Ctrl-C
                                before it has made its file has no file
    the prompt comes            the count was reached, or the node has ended the capture; the files
                                are got. If Enter does not bring the prompt again, the prompt was
                                output of the capture, which still runs
    a question comes            Ctrl-C; the node fails
    cancel of job or node,      Ctrl-C, for at most `stop_seconds`, which nothing cuts short; no
    a deadline of either,       file is got. Except for the node's deadline, the node has its final
    a stop of the daemon        state before that (jobs/job_run.py), so no cancel waits for Ctrl-C
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
from cucmd.job.node import Notes, Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import READY_WITHIN, JointRun, NodeTask, Ports, Report
from cucmd.work.capture_files import CaptureFiles
from cucmd.work.session import ask, first_and_last_lines, logged_in, refusal_text, run_plain_command

# Seconds until the prompt after Ctrl-C. Other programs allow up to 90 s. A stop of the daemon waits
# for this and for the grace period of the session, and systemd kills the daemon after 60 s
# (systemd/cucmd.service).
STOP_WITHIN, _STOP_AND_GRACE, _SHORTEST_STOP = 45.0, 50.0, 5.0

# The shortest capture in seconds from the echo of its command, which is also the shortest duration
# that can be requested; and seconds after which a stop no longer waits for the echo.
_SHORTEST_CAPTURE, _ECHO_WITHIN = 1.0, 5.0

PARTITION = "logging"
# (V) marks what documents of the vendor show, and (I) what is only inferred; see vos/NODES.md.
# Percent. A node refuses a capture from 5 % below its low water mark (V). The mark is a setting,
# and a node assumes 90 if it cannot read it (V). A node with a lower mark refuses by itself
# (vos/NODES.md, sections 6.3 and 6.5).
FULL = 85
# The bytes of a packet on an Ethernet, and of its header in the file. Packets are larger if the
# network card joins them (I).
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
    """Returns how many seconds a node has to return to its prompt after Ctrl-C.

    grace: the seconds that closing the session may take afterwards.
    """
    return min(STOP_WITHIN, max(_SHORTEST_STOP, _STOP_AND_GRACE - grace))


async def capture(task: NodeTask, request: Capture, ports: Ports, report: Report) -> Notes:
    """Captures packets, and gets the files. Returns notes for the user. Raises `NodeFailed`."""
    joint_run = task.joint_run
    assert joint_run is not None, "jobs/joint_run.py gives it to every task of a capture"
    async with logged_in(task, ports, report) as session:
        await run_plain_command(session, task, vos.PAGER_OFF)
        machine = await ask(session, task, vos.SHOW_STATUS, vos.parse_machine)
        if full := failure_if_no_room(machine, request):
            raise NodeFailed(full)
        if not await joint_run.wait_for_start(task.node):
            raise NodeFailed(timeout_failure(Code.LOGIN_TIMEOUT, READY_WITHIN, _LATE, hint=_ALONE))
        report.phase(Phase.COMMAND)
        node_capture = _NodeCapture(session, task, request, report, joint_run)
        lines = await node_capture.take()
        files = CaptureFiles(session, task, request, ports, report)
        notes = await files.get(node_capture.captured, lines)
        report.phase(Phase.CLOSE)
        still_running = (
            f"an earlier capture may still run there, into platform/cli/{name}.cap"
            for name in task.may_run
        )
        return (*still_running, *notes)


def failure_if_no_room(machine: vos.Machine, request: Capture) -> Failure | None:
    """Returns a failure if the partition has no room for the capture; otherwise None.

    If the free space is not known, nothing is captured, because a capture that fills the partition
    makes the node delete traces, which the user may need (vos/NODES.md, section 6.5).
    """
    disks = [disk for disk in machine.disks if disk.name == PARTITION]
    if not disks:
        message = f"the answer to 'show status' does not say how full the partition {PARTITION} is"
        return failure(Code.COMMAND_REFUSED, message)
    disk = disks[0]
    size = largest_size(request)
    # Like the node, this counts space that is reserved for the system as neither used nor free.
    after = 100 if size >= disk.free else (disk.used + size) * 100 // (disk.used + disk.free)
    percent = max(disk.used_percent, after)
    if percent < FULL:
        return None
    free = f"{disk.free // 1024**2} MiB of its logging partition are free"
    message = f"{free}; the capture would fill it to {percent} %, and the limit is {FULL} %"
    return failure(Code.COMMAND_REFUSED, f"no packet was captured: {message}", hint=_FULL_HINT)


def largest_size(request: Capture) -> int:
    """Returns the most bytes that the file of a capture usually has."""
    packet_size = _PACKET if request.size is None else min(request.size, _PACKET)
    return request.count * (packet_size + _HEADER)


class _NodeCapture:
    """Runs the capture on the node, from its command until the node is at its prompt again."""

    def __init__(
        self,
        session: NodeSession,
        task: NodeTask,
        request: Capture,
        report: Report,
        joint_run: JointRun,
    ) -> None:
        self._session = session
        self._task = task
        self._request = request
        self._report = report
        self._joint_run = joint_run
        self._mask = task.mask
        self._lines: Sequence[str] = ()
        self._began: float | None = None  # when the node took the command, by trio's clock
        name = request.name_of(task.first_attempt)
        self.captured = Captured(name, datetime.now(UTC), running=True)

    async def take(self) -> tuple[str, ...]:
        """Runs the capture until the prompt. Returns what the node printed besides its options.

        Raises `NodeFailed`.
        """
        with self._joint_run.working(self._task.node):
            # Before the command is typed, the store must have that the capture may run, so that
            # this is known even if the daemon is killed.
            self._report_capture(self.captured)
            try:
                await self._report.wait_saved()
                line = vos.capture_line(replace(self._request, name=self.captured.name))
                await self._session.capture(line)
                how = await self._wait()
            except NodeFailed:
                await self._end("failed")
                raise
            except BaseException:
                await self._end("cancelled")
                raise
            if (end_unknown := await self._end(how)) is not None:
                raise NodeFailed(end_unknown)
        return vos.strip_capture_options(first_and_last_lines(self._lines))

    async def _wait(self) -> str:
        """Waits for a reason to end the capture, and returns it. Raises `NodeFailed`."""
        sent = trio.current_time()
        try:
            with self._joint_run.until_stopped() as scope:
                scope.deadline = sent + self._request.duration
                return await self._until_it_ends(scope, self._request.duration)
            if not self._joint_run.stopped:
                return "duration"
            began = sent + _ECHO_WITHIN if self._began is None else self._began
            with trio.CancelScope(deadline=began + _SHORTEST_CAPTURE) as scope:
                return await self._until_it_ends(scope, _SHORTEST_CAPTURE)
            return "stop"
        finally:
            if self._began is None:  # the node echoes nothing
                self._note_start(sent)

    async def _until_it_ends(self, scope: trio.CancelScope, seconds: float) -> str:
        """Returns once the node has ended the capture. Raises `NodeFailed`.

        When the node echoes the command, the deadline of `scope` is set to `seconds` later.
        """
        while True:
            match await self._session.next_event():
                case vos.Started():
                    self._note_start(trio.current_time())
                    scope.deadline = trio.current_time() + seconds
                case vos.CommandDone(lines=lines):
                    self._lines = lines
                    self._check_not_refused()
                    await self._session.ask_for_prompt()
                case vos.Prompted():
                    return "node"
                case vos.StoppedAtQuestion(question=question):
                    message = f"the node asked {question!r}; the command was ended with Ctrl-C"
                    raise fail(Code.COMMAND_REFUSED, message)
                case vos.Broken(failure=broken):
                    raise NodeFailed(broken)

    def _note_start(self, at: float) -> None:
        self._began = at
        ago = timedelta(seconds=trio.current_time() - at)
        self._report_capture(replace(self.captured, started_at=datetime.now(UTC) - ago))

    def _check_not_refused(self) -> None:
        lines = refusal_text(self._mask, self._lines)
        if lines is not None:
            raise fail(Code.COMMAND_REFUSED, f"the node refused the capture; it said: {lines}")

    async def _end(self, how: str) -> Failure | None:
        """Ends the capture with Ctrl-C if it runs. Returns why it may still run, or None.

        No cancel cuts this short, since the capture would keep running on the node.
        """
        end_unknown: Failure | None = None
        if self._session.busy:
            seconds = stop_seconds(self._task.timeouts.grace)
            end_unknown = timeout_failure(
                Code.COMMAND_TIMEOUT, seconds, "waiting for the prompt after Ctrl-C"
            )
            with trio.move_on_after(seconds, shield=True):
                try:
                    self._lines = await self._session.interrupt() or self._lines
                    end_unknown = None
                except NodeFailed as error:
                    end_unknown = error.failure
        now = datetime.now(UTC)
        ended = replace(self.captured, ended_at=now, how=how, running=end_unknown is not None)
        self._report_capture(ended)
        return end_unknown

    def _report_capture(self, captured: Captured) -> None:
        self.captured = captured
        self._report.result(captured)
