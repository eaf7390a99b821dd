"""A job with another kind of work than to collect: stored, run and shown like any other.

The work here is made up. It stands for the next variant of `cucmd.job.Work`: what a real one needs
is its struct in the union, and not a change in store, supervisor or socket.
"""

from pathlib import Path

import msgspec
import pytest

from cucmd.api.wire import job_to_wire, summary_to_wire
from cucmd.job.asked import Collection
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.kind import Kind
from cucmd.node.ports import NodeTask, Report
from cucmd.protocol.jobs import Job as ShownJob
from cucmd.store import rows
from rig.supervised import hang, statuses, supervisor_harness


class Ask(Kind, frozen=True, tag="ask"):
    command: str


class JobOfTomorrow(Job, frozen=True, kw_only=True):
    work: Collect | Ask


@pytest.fixture(autouse=True)
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_jobs", msgspec.json.Decoder(JobOfTomorrow))


async def test_other_work_reaches_the_node_as_it_was_requested(tmp_path: Path) -> None:
    done: list[object] = []

    async def ask(task: NodeTask, report: Report) -> tuple[str, ...]:
        done.append(task.work)
        return ("it answered",)

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = ask
        job = await harness.ended(await harness.start("a", work=Ask("show status")))
    assert done == [Ask("show status")]
    assert (job.status, job.nodes[0].notes) == ("succeeded", ("it answered",))


async def test_other_work_goes_on_after_a_restart_beside_a_collection(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": hang, "b": hang}
        asking = await harness.start("a", work=Ask("show status"), credential="ops", resumable=True)
        collecting = await harness.start("b", credential="ops", resumable=True)
        await harness.running(asking)
        await harness.running(collecting)

    async with supervisor_harness(tmp_path) as again:
        works: dict[str, object] = {}

        async def note(task: NodeTask, report: Report) -> tuple[str, ...]:
            works[task.node] = task.work
            return ()

        again.behaviours = {"a": note, "b": note}
        await again.supervisor.recover(again.tasks)
        assert statuses(await again.ended(asking)) == ["succeeded"]
        assert statuses(await again.ended(collecting)) == ["succeeded"]
    assert works == {"a": Ask("show status"), "b": Collect(("syslog",))}


async def test_other_work_is_shown_with_an_empty_collection(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await harness.start("a", work=Ask("show status"))
        await harness.ended(job_id)
        stored = await harness.store.load(job_id)
        assert stored is not None
        assert stored.work == Ask("show status")
        shown = job_to_wire(stored, tmp_path)
        assert shown.collection == Collection()
        assert msgspec.json.decode(msgspec.json.encode(shown), type=ShownJob) == shown
        (listed,) = await harness.supervisor.newest(9)
        assert summary_to_wire(listed).job_id == job_id
