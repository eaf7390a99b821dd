"""Tests worker processes: they leave no descriptor, and a lack of descriptors fails one task."""

import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from cucmd.worker.workers import Cause, WorkerEnded, Workers, open_workers
from rig.few_descriptors import descriptors_left
from rig.worker_processes import (
    ANSWER,
    LIMITS,
    TESTS,
    fork_server,
    forked_pids,
    tell_next_worker,
    tell_worker,
    until,
)
from rig.worker_roles import Words


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    (tmp_path / "jobs/this").mkdir(parents=True)
    roles = {"obey": "rig.worker_roles:obey"}
    async with open_workers(tmp_path / "jobs", roles, more_modules=TESTS) as opened:
        yield opened


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: looks into a process that forbids it")
async def test_no_descriptor_is_left(workers: Workers, tmp_path: Path) -> None:
    await tell_worker(workers, tmp_path, "say hello")
    await until(lambda: forked_pids() == [])  # the fork server knows that it has ended
    before, first = os.listdir("/proc/self/fd"), f"/proc/{fork_server()}/fd"
    theirs = os.listdir(first)
    for words in ("say hello", "fail", "leave 3") * 5:
        try:
            await tell_worker(workers, tmp_path, words)
        except WorkerEnded:
            pass
    await until(lambda: os.listdir(first) == theirs)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.long
async def test_cancel_leaves_no_descriptor(workers: Workers, tmp_path: Path) -> None:
    await tell_worker(workers, tmp_path, "say hello")
    await until(lambda: forked_pids() == [])
    before = os.listdir("/proc/self/fd")
    for moment in range(100):
        with trio.move_on_after(moment / 10_000):
            await tell_worker(workers, tmp_path, "say hello")
    await tell_worker(workers, tmp_path, "say hello")  # all earlier calls have their replies
    assert os.listdir("/proc/self/fd") == before


async def test_full_fork_server_goes_on(workers: Workers, tmp_path: Path) -> None:
    assert await tell_worker(workers, tmp_path, "say hello") == "hello"
    first, went_well = fork_server(), []
    usual = resource.prlimit(first, resource.RLIMIT_NOFILE)
    for count in range(3, 16):  # the first three descriptors are always open
        resource.prlimit(first, resource.RLIMIT_NOFILE, (count, usual[1]))
        with suppress(WorkerEnded):
            assert await tell_worker(workers, tmp_path, "say hello") == "hello"
            went_well.append(count)
    assert 3 not in went_well
    assert 15 in went_well
    assert fork_server() == first


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_lack_of_descriptors_fails_one_task(
    workers: Workers, tmp_path: Path, count: int
) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        with descriptors_left(count), pytest.raises(WorkerEnded) as ended:
            await tell_worker(workers, tmp_path, "say hello")
        assert ended.value.cause is Cause.LOST
        await worker.send(Words("say there"))
        assert (await worker.receive(ANSWER)).text == "there"
    assert await tell_worker(workers, tmp_path, "say again") == "again"


async def test_failed_start_is_repeated(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await tell_worker(workers, tmp_path, "say hello") == "hello"
    with descriptors_left(1):
        os.kill(fork_server(), signal.SIGKILL)
        with trio.fail_after(20):
            while "cannot be started" not in caplog.text:  # noqa: ASYNC110  nobody announces it
                await trio.sleep(0.05)
    assert await tell_next_worker(workers, tmp_path) == "again"
