"""If the disk with the credentials hangs, calls that need a credential are refused."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.api.job_methods import JobMethods
from cucmd.config import Config
from cucmd.config.config_thread import READ_SECONDS
from cucmd.failure import Code
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.plan.planner import Planner
from cucmd.protocol.jobs import RetryRequest
from cucmd.protocol.requests import INTERFACE
from cucmd.varlink import Caller, VarlinkError
from rig.supervised import SupervisorHarness, fails_with, supervisor_harness

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
NAMED = {"credential": "ops", "resumable": True}


class Hanging(dict[str, str]):
    """An environment that blocks each lookup until `over` is set. A lookup first moves the clock
    behind the limit of a read.
    """

    def __init__(self, clock: MockClock) -> None:
        super().__init__()
        self.over = threading.Event()
        self._clock = clock
        self._loop = threading.current_thread()
        self._soon = trio.lowlevel.current_trio_token().run_sync_soon

    def get(self, name: str, default: object = None) -> object:
        assert threading.current_thread() is not self._loop, f"{name} is looked for on the loop"
        self._soon(self._clock.jump, READ_SECONDS + 1)
        self.over.wait()
        return default


@contextmanager
def hanging_disk(clock: MockClock) -> Iterator[Hanging]:
    """Yields such an environment. Blocked lookups go on after the block."""
    environ = Hanging(clock)
    try:
        yield environ
    finally:
        environ.over.set()


def planner(harness: SupervisorHarness, environ: Hanging) -> Planner:
    return Planner(Config(), environ, harness.supervisor.directory)


async def refused(jobs: JobMethods, request: StartRequest | RetryRequest) -> str:
    call = jobs.start if isinstance(request, StartRequest) else jobs.retry
    with pytest.raises(VarlinkError) as caught:
        await call(CALLER, request)
    return caught.value.name.removeprefix(f"{INTERFACE}.")


async def test_hung_credentials_refuse_start_and_retry(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    mock_clock.rate = 1
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": fails_with(Code.CONNECTION_LOST)}
        job_id = await harness.start("a", **NAMED)
        await harness.ended(job_id)
        before = await harness.supervisor.wait_closed(job_id)
        with hanging_disk(mock_clock) as environ:
            jobs = JobMethods(harness.supervisor, harness.feed, lambda: planner(harness, environ))
            asked = StartRequest(("a",), Login(credential="ops"), Collection(paths=("x",)))
            assert await refused(jobs, asked) == "StorageFailed"
            assert await refused(jobs, RetryRequest(job_id)) == "StorageFailed"
            assert await harness.supervisor.wait_closed(job_id) == before
            assert [job.job_id for job in await harness.supervisor.newest(9)] == [job_id]
            again = await jobs.retry(CALLER, RetryRequest(job_id, login=Login("admin", "secret")))
            assert again.job.job_id == job_id
