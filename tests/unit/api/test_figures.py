"""`Figures` counts jobs and nodes, and how long the phases of nodes take."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from cucmd.api.figure_methods import FigureMethods
from cucmd.failure import Code
from cucmd.job.capture import Capture
from cucmd.job.node import Phase
from cucmd.jobs import job_counts
from cucmd.node.ports import NodeTask, Report
from cucmd.protocol.figures import FiguresReply, FiguresRequest
from cucmd.varlink import Caller
from rig.supervised import SupervisorHarness, fail_calls, fails_with, hang

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
OTHERS = dict.fromkeys(
    ("files_received", "bytes_received", "receiver_connections", "worker_restarts"), 0
)


async def others() -> dict[str, int]:
    await trio.lowlevel.checkpoint()
    return OTHERS


async def figures(harness: SupervisorHarness, *, per_node: bool = False) -> FiguresReply:
    methods = FigureMethods(harness.supervisor, harness.services, others)
    return await methods.figures(CALLER, FiguresRequest(per_node or None))


def of_jobs(shown: FiguresReply) -> dict[tuple[str, str], int]:
    both = (*shown.jobs, *shown.jobs_ended)
    return {(one.kind, one.status): one.jobs for one in both if one.jobs}


def ends(shown: FiguresReply) -> dict[tuple[str | None, str, str | None], int]:
    return {
        (one.node, one.status, one.failure): one.nodes for one in shown.nodes_ended if one.nodes
    }


async def test_jobs_and_nodes_are_counted(harness: SupervisorHarness) -> None:
    harness.behaviours = {"bad": fails_with(Code.AUTH_FAILED), "slow": hang}
    await harness.ended(await harness.start("a", "b", "bad"))
    slow = await harness.start("slow", "c")
    await harness.until(slow, lambda job: job.nodes[1].settled)
    shown = await figures(harness)
    assert of_jobs(shown) == {("collect", "partial"): 1, ("collect", "running"): 1}
    assert {one.status: one.nodes for one in shown.nodes} == {"pending": 0, "running": 1}
    assert ends(shown) == {(None, "succeeded", None): 3, (None, "failed", "auth_failed"): 1}
    await harness.supervisor.cancel(slow, None)
    await harness.closed()
    assert ends(await figures(harness))[None, "cancelled", None] == 1


async def test_later_failures_begin_at_zero(harness: SupervisorHarness) -> None:
    shown = await figures(harness)
    assert {one.failure for one in shown.nodes_ended if not one.nodes} >= set(Code)
    assert ("capture", "failed") in {(one.kind, one.status) for one in shown.jobs_ended}


async def test_retried_node_is_counted_twice(harness: SupervisorHarness) -> None:
    harness.behaviours = {"bad": fails_with(Code.AUTH_FAILED)}
    job_id = await harness.start("bad")
    await harness.closed()
    await harness.supervisor.retry(job_id, harness.again(0))
    await harness.closed()
    assert ends(await figures(harness)) == {(None, "failed", "auth_failed"): 2}


async def test_names_only_if_wanted(
    harness: SupervisorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(harness.services.counts.nodes)
    monkeypatch.setattr(job_counts, "MOST_NAMED", before + 1)
    await harness.ended(await harness.start("a"))
    await harness.ended(await harness.start("a", "too-many"))
    named = {("a", "succeeded", None): 2, (None, "succeeded", None): 1}
    assert ends(await figures(harness, per_node=True)) == named
    assert ends(await figures(harness)) == {(None, "succeeded", None): 3}


def phases(*steps: tuple[Phase, float]) -> Callable[[NodeTask, Report], Awaitable[tuple[str, ...]]]:
    async def work(task: NodeTask, report: Report) -> tuple[str, ...]:
        for phase, seconds in steps:
            await trio.sleep(seconds)
            report.phase(phase)
        return ()

    return work


async def test_phases_are_measured(
    harness: SupervisorHarness, autojump_clock: trio.testing.MockClock
) -> None:
    steps = (Phase.LOGIN, 2.0), (Phase.PREPARE, 0.5), (Phase.COMMAND, 1.0), (Phase.TRANSFER, 4.0)
    harness.behaviours = {"a": phases(*steps, (Phase.COMMAND, 60.0), (Phase.CLOSE, 3.0))}
    await harness.ended(await harness.start("a"))
    shown = {one.of: one for one in (await figures(harness)).durations}
    counts = {name: sum(one.counts) for name, one in shown.items()}
    assert counts["connect"] == counts["login"] == counts["transfer"] == 1
    assert counts["command"] == 2
    assert counts["store_write"] > 0
    totals = [shown[name].total for name in ("connect", "login", "command", "transfer")]
    assert totals == pytest.approx([2.0, 0.5, 7.0, 60.0])


async def test_capture_time_is_not_measured(
    harness: SupervisorHarness, autojump_clock: trio.testing.MockClock
) -> None:
    steps = (Phase.LOGIN, 1.0), (Phase.PREPARE, 1.0), (Phase.COMMAND, 1.0), (Phase.CLOSE, 600.0)
    harness.behaviours = {"a": phases(*steps)}
    await harness.ended(await harness.start("a", work=Capture("x")))
    counts = {one.of: sum(one.counts) for one in (await figures(harness)).durations}
    assert (counts["login"], counts["command"]) == (1, 0)


async def test_figures_need_no_store(harness: SupervisorHarness) -> None:
    for method in ("newest", "count", "load", "elapsed"):
        fail_calls(harness.store, method)
    assert (await figures(harness)).node_connections == 0
