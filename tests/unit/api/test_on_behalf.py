"""Calls that one local user makes for others."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.api.case_methods import CaseMethods
from cucmd.api.job_methods import JobMethods
from cucmd.config import Config
from cucmd.failure import Code
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.jobs.deletion import Deletions
from cucmd.plan.planner import Planner
from cucmd.protocol.cases import DeleteRequest, PruneRequest
from cucmd.protocol.jobs import RetryRequest
from cucmd.protocol.requests import (
    CancelRequest,
    ListRequest,
    StatusRequest,
    WatchRequest,
)
from cucmd.varlink import Caller, VarlinkError
from rig.supervised import SupervisorHarness, fails_with, hang, supervisor_harness

ITSELF = Caller(uid=600, gid=600, groups=frozenset(), pid=4711)
ALICE, BOB = replace(ITSELF, asked_by="alice"), replace(ITSELF, asked_by="bob")
LOGIN = Login("administrator", "secret")
START = StartRequest(("a",), LOGIN, Collection(paths=("syslog",)))


class Api:
    def __init__(self, harness: SupervisorHarness) -> None:
        planner = Planner(Config(), {}, harness.supervisor.directory)
        deletions = Deletions(harness.supervisor, harness.store)
        self.harness = harness
        self.jobs = JobMethods(harness.supervisor, harness.feed, lambda: planner)
        self.cases = CaseMethods(harness.supervisor, harness.store, deletions)

    async def start(self, caller: Caller, **fields: object) -> str:
        return (await self.jobs.start(caller, replace(START, **fields))).job.job_id


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Api]:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = hang
        yield Api(harness)


async def test_job_has_name_in_asked_by(tmp_path: Path) -> None:
    async with opened(tmp_path) as api, aclosing(api.jobs.watch(BOB, WatchRequest())) as replies:
        await anext(replies)
        job_id = await api.start(ALICE)
        watched = (await anext(replies)).parameters.job
        (listed,) = (await api.jobs.list(BOB, ListRequest())).jobs
        status = (await api.jobs.status(BOB, StatusRequest(job_id))).job
        own = await api.harness.supervisor.find(await api.start(ITSELF))
    for shown in (watched, listed, status):
        assert (shown.asked_by, shown.owner) == ("alice", 600)
    assert own.asked_by is None


async def test_calls_are_logged_with_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with opened(tmp_path) as api:
        api.harness.behaviours["a"] = fails_with(Code.STALLED)
        job_id = await api.start(ALICE)
        await api.harness.ended(job_id)
        await api.harness.supervisor.wait_closed(job_id)
        caplog.clear()
        again = (await api.jobs.retry(BOB, RetryRequest(job_id, login=LOGIN))).job
        await api.jobs.cancel(BOB, CancelRequest(job_id))
        await api.harness.supervisor.wait_closed(job_id)
        await api.cases.delete(BOB, DeleteRequest(job_id, files_only=True))
        await api.cases.prune(BOB, PruneRequest(keep=0))
    assert again.asked_by == "alice"
    lines = [one.getMessage() for one in caplog.records if "uid 600" in one.getMessage()]
    assert len(lines) >= 4
    assert [line for line in lines if "asked by 'bob'" not in line] == []


async def test_each_name_has_own_start_keys(tmp_path: Path) -> None:
    async with opened(tmp_path) as api:
        callers = (ALICE, BOB, ITSELF)
        first = [await api.start(caller, start_key="k") for caller in callers]
        again = [await api.start(caller, start_key="k") for caller in callers]
        with pytest.raises(VarlinkError) as caught:
            await api.start(ALICE, nodes=("b",), start_key="k")
    assert (len(set(first)), again) == (3, first)
    assert caught.value.parameters.parameter == "start_key"
    assert first[0] in caught.value.parameters.reason
