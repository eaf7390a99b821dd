"""The replies of Cancel, about a job and about some of its nodes."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from cucmd.api.job_methods import JobMethods
from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_feed import JobFeed
from cucmd.protocol.requests import CancelReply, CancelRequest
from cucmd.varlink import Caller

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
JOB_ID = "0a1b2c3d4e5f"
RUNNING = Node("r").begin(NOW, 1)
DONE = Node("d").begin(NOW, 1).succeed(NOW)
FAILED = Node("f").begin(NOW, 1).fail(NOW, failure(Code.STALLED, ""))


def job(*nodes: Node) -> Job:
    begun = Job(JOB_ID, NOW, Collect(("x",)), Timeouts(), 8, tuple(Node(n.node) for n in nodes))
    begun = begun.begin(NOW)
    for position, node in enumerate(nodes):
        begun = begun.replace_node(position, node, NOW)
    return begun


class Supervisor:
    """Cancels one job as the real supervisor does, and stores nothing."""

    def __init__(self, shown: Job, *, live: bool) -> None:
        self.shown = shown
        self.live = live

    async def cancel(self, prefix: str, nodes: Sequence[str] | None) -> tuple[Job, bool]:
        before = self.shown
        if self.live:
            positions = [p for p, node in enumerate(before.nodes) if node.node in (nodes or ())]
            self.shown = before.cancel(NOW, frozenset(positions) if nodes else None)
        return self.shown, self.shown is not before


async def cancel(
    shown: Job, nodes: tuple[str, ...] | None = None, *, live: bool = True
) -> CancelReply:
    jobs = JobMethods(Supervisor(shown, live=live), JobFeed(), planner=lambda: None)
    return await jobs.cancel(CALLER, CancelRequest(JOB_ID, nodes))


@pytest.mark.parametrize(
    ("shown", "live", "cancelled", "says"),
    [
        (job(RUNNING, Node("p")), True, True, "is cancelled: 2 of 2 nodes cancelled"),
        (job(DONE, RUNNING), True, True, "1 had finished before; it ends partial"),
        (job(RUNNING).cancel(NOW), True, True, "was cancelled before: it is cancelled"),
        (job(FAILED), True, False, "had already finished: it is failed; nothing changed"),
        (job(RUNNING), False, False, "is running, but nothing runs that could be cancelled"),
    ],
)
async def test_cancel_reply_describes_job(
    shown: Job, live: bool, cancelled: bool, says: str
) -> None:
    reply = await cancel(shown, live=live)
    assert (reply.cancelled, reply.message.startswith(f"job {JOB_ID}")) == (cancelled, True)
    assert reply.message.endswith(says)


async def test_cancel_reply_describes_named_nodes() -> None:
    shown = job(RUNNING, DONE, Node("p"))
    reply = await cancel(shown, ("r", "d"))
    assert (reply.status, reply.cancelled) == ("running", False)
    assert reply.message == "r is cancelled, d is succeeded"
    reply = await cancel(shown, ("d",))
    assert (reply.cancelled, reply.message) == (False, "nothing changed: d is succeeded")
