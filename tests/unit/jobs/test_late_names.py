"""Jobs that were started before the discovery of their cluster get the names of their nodes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing
from msgspec.structs import replace

from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.jobs.late_names import Describe, LateNames
from cucmd.store import JobFilter
from rig.supervised import SupervisorHarness, hang, supervisor_harness

KNOWN = {"10.0.0.1": "pub", "10.0.0.2": "sub1"}


class Named:
    """Holds a supervisor whose jobs are named. `found` are the host names that are known."""

    def __init__(self, harness: SupervisorHarness) -> None:
        self.harness = harness
        self.found: dict[str, str] = {}
        self.names = LateNames(harness.supervisor, harness.store, self._describer)

    async def _describer(self) -> Describe:
        await trio.lowlevel.checkpoint()
        return self._describe

    def _describe(self, nodes: Sequence[Node]) -> Sequence[Node]:
        return [
            replace(node, name=self.found[node.node], role="Subscriber")
            if node.role is None and node.node in self.found
            else node
            for node in nodes
        ]

    def discover(self, found: dict[str, str]) -> None:
        self.found = found
        self.harness.store.on_discovered()

    async def job(self, job_id: str) -> Job:
        return await self.harness.supervisor.find(job_id)

    async def named(self, job_id: str) -> Job:
        while (job := await self.job(job_id)).nodes[-1].name is None:
            await trio.testing.wait_all_tasks_blocked()
        return job


@asynccontextmanager
async def naming(tmp_path: Path) -> AsyncIterator[Named]:
    async with supervisor_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        named = Named(harness)
        nursery.start_soon(named.names.run)
        yield named
        nursery.cancel_scope.cancel()


async def test_discovery_names_older_jobs(tmp_path: Path) -> None:
    async with naming(tmp_path) as named:
        harness = named.harness
        harness.behaviours["10.0.0.2"] = hang
        ended = await harness.start("10.0.0.9", "10.0.0.1")
        running = await harness.start("10.0.0.2")
        await harness.ended(ended)
        await harness.running(running)
        named.discover(KNOWN)
        assert [node.name for node in (await named.named(ended)).nodes] == [None, "pub"]
        assert [node.name for node in (await named.named(running)).nodes] == ["sub1"]
        for job_id, name in ((ended, "pub"), (running, "sub1")):
            (listed,) = await harness.supervisor.newest(10, JobFilter(target=name))
            assert listed.job_id == job_id
        await harness.supervisor.cancel(running, ["sub1"])
        stored = await harness.store.load((await harness.ended(running)).job_id)
        assert (stored.status, stored.nodes[0].name) == ("cancelled", "sub1")
        assert stored.nodes[0].named_at is not None


async def test_name_of_a_job_stays(tmp_path: Path) -> None:
    async with naming(tmp_path) as named:
        older = await named.harness.start("10.0.0.2")
        job_id = await named.harness.start("10.0.0.1")
        for one in (older, job_id):
            await named.harness.ended(one)
        named.discover({"10.0.0.1": "pub"})
        before = await named.named(job_id)
        named.discover({"10.0.0.1": "renamed", "10.0.0.2": "sub1"})
        await named.named(older)  # the newer job comes before
        assert await named.job(job_id) == before
