"""The id of a call is in its reply or error, in the log, and in the job."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cucmd.api.job_methods import JobMethods
from cucmd.config import ClusterSettings, Config, Limits, Profile
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.plan.planner import Planner
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.jobs import StartReply
from cucmd.protocol.requests import INTERFACE, CancelReply, CancelRequest
from cucmd.varlink import Caller, VarlinkError
from rig.supervised import SupervisorHarness, hang, supervisor_harness

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
LOGIN = Login("administrator", "secret")
PATHS = Collection(paths=("syslog",))


class Api:
    def __init__(self, harness: SupervisorHarness) -> None:
        self.harness = harness
        self.planner = Planner(Config(), {}, harness.supervisor.directory)
        self.jobs = JobMethods(harness.supervisor, harness.feed, lambda: self.planner)

    def plan_with(self, cluster: ClusterSettings) -> None:
        config = Config(clusters={cluster.name: cluster})
        self.planner = Planner(config, {}, self.harness.supervisor.directory)

    async def start(self, node: str = "a", **fields: object) -> StartReply:
        values = {"nodes": (node,), "login": LOGIN, "collection": PATHS, **fields}
        return await self.jobs.start(CALLER, StartRequest(**values))

    async def cancel(self, job_id: str, **fields: object) -> CancelReply:
        return await self.jobs.cancel(CALLER, CancelRequest(job_id, **fields))


@asynccontextmanager
async def api(tmp_path: Path, limits: Limits | None = None) -> AsyncIterator[Api]:
    async with supervisor_harness(tmp_path, limits) as harness:
        harness.behaviours["a"] = hang
        yield Api(harness)


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def lines_with(caplog: pytest.LogCaptureFixture, request_id: str) -> list[logging.LogRecord]:
    return [one for one in caplog.records if f"request {request_id}" in one.getMessage()]


@pytest.mark.parametrize("given", ["case 1/2", None])
async def test_replies_have_request_ids(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str | None
) -> None:
    async with api(tmp_path) as a:
        started = await a.start(request_id=given)
        cancelled = await a.cancel(started.job.job_id, request_id=given and "case 3")
        again = await a.cancel(started.job.job_id)
        stored = await a.harness.store.load(started.job.job_id)
    assert started.request_id == started.job.request_id == stored.request_id
    assert started.request_id == given or given is None
    assert cancelled.request_id == "case 3" or given is None
    assert len({started.request_id, cancelled.request_id, again.request_id}) == 3
    for reply in (started, cancelled, again):
        (line,) = lines_with(caplog, reply.request_id)
        assert line.uid == CALLER.uid


REFUSED = {
    "InvalidRequest": {"nodes": ("no node",)},
    "ProfileNotFound": {"collection": Collection(profile="none")},
    "CredentialNotFound": {"login": Login(credential="none")},
}


@pytest.mark.parametrize("given", ["case 1/2", None])
@pytest.mark.parametrize("name", REFUSED)
async def test_refused_start_has_request_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, given: str | None
) -> None:
    async with api(tmp_path) as a:
        with pytest.raises(VarlinkError) as caught:
            await a.start(**REFUSED[name], request_id=given)
    assert_refused(caught.value, name, given, caplog)


@pytest.mark.parametrize(("given", "logged"), [("cucmd.berlin", True), ("pass word!", False)])
async def test_possible_password_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str, logged: bool
) -> None:
    async with api(tmp_path) as a:
        with pytest.raises(VarlinkError) as caught:
            await a.start(login=Login(credential=given))
    assert isinstance(caught.value.parameters, wire_errors.CredentialNotFound)
    assert (given in caplog.text) == logged


async def test_invalid_request_id_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with api(tmp_path) as a:
        with pytest.raises(VarlinkError) as caught:
            await a.start(request_id="two\nlines")
    assert caught.value.parameters.parameter == "request_id"
    assert_refused(caught.value, "InvalidRequest", None, caplog)


async def test_repeated_start_ignores_configuration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A reload may have removed the profile since the first call."""
    profile = Collection(profile="sdl")
    async with api(tmp_path) as a:
        without = a.planner
        config = Config(profiles={"sdl": Profile("sdl", paths=("cm/trace/ccm/sdl",))})
        a.planner = Planner(config, {}, a.harness.supervisor.directory)
        first = await a.start(collection=profile, start_key="k")
        a.planner = without
        again = await a.start(collection=profile, start_key="k")
        with pytest.raises(VarlinkError) as caught:
            await a.start(collection=profile, start_key="other")
    assert again.job.job_id == first.job.job_id
    (line,) = lines_with(caplog, again.request_id)
    assert first.job.job_id in line.getMessage()
    assert_refused(caught.value, "ProfileNotFound", None, caplog)


@pytest.mark.parametrize("given", ["case 1", None])
async def test_defect_is_logged_with_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str | None
) -> None:
    async with api(tmp_path) as a:
        a.planner = None
        with pytest.raises(VarlinkError) as caught:
            await a.start(request_id=given)
    assert caught.value.name == f"{INTERFACE}.InternalError"
    called = caught.value.parameters.request_id
    assert called == given or (given is None and called)
    said, trace = lines_with(caplog, called)
    assert said.uid == trace.uid == CALLER.uid
    assert "in plan" in trace.getMessage() or "in start" in trace.getMessage()


def assert_refused(
    error: VarlinkError, name: str, given: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert error.name == f"{INTERFACE}.{name}"
    called = error.parameters.request_id
    assert called == given or (given is None and called)
    (line,) = lines_with(caplog, called)
    assert line.getMessage().endswith(name)
