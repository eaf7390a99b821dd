"""Processes for bytes that others have made: they leave no descriptor, and fail alone without."""

import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import trio

from cucmd.worker.workers import Cause, WorkerEnded, Workers, open_workers
from rig.worker_processes import (
    ANSWER,
    LIMITS,
    TESTS,
    first_process,
    forked,
    told,
    told_by_the_next,
    until,
    wait_ready,
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
    await told(workers, tmp_path, "say hello")
    await until(lambda: forked() == [])  # the first has taken note of its end
    before, first = os.listdir("/proc/self/fd"), f"/proc/{first_process()}/fd"
    theirs = os.listdir(first)
    for words in ("say hello", "fail", "leave 3") * 5:
        try:
            await told(workers, tmp_path, words)
        except WorkerEnded:
            pass
    await until(lambda: os.listdir(first) == theirs)
    assert os.listdir("/proc/self/fd") == before


async def test_a_cancel_at_any_moment_leaves_no_descriptor(
    workers: Workers, tmp_path: Path
) -> None:
    await told(workers, tmp_path, "say hello")
    await until(lambda: forked() == [])
    before = os.listdir("/proc/self/fd")
    for moment in range(100):
        with trio.move_on_after(moment / 10_000):
            await told(workers, tmp_path, "say hello")
    await told(workers, tmp_path, "say hello")  # all that was asked before is answered
    assert os.listdir("/proc/self/fd") == before


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Lets this process open so many more, and no others."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    full = max(map(int, os.listdir("/proc/self/fd"))) + 1
    filled = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (full, limit[1]))
    try:
        with suppress(OSError):
            while True:
                filled.append(os.open(os.devnull, os.O_RDONLY))
        while room:
            os.close(room.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        for one in (*filled, *room):
            os.close(one)


@pytest.mark.parametrize("takes", [False, True])
async def test_a_first_process_without_descriptors_refuses_to_fork_one_and_goes_on(
    workers: Workers, tmp_path: Path, takes: bool
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    first, went_well = first_process(), []
    usual = resource.prlimit(first, resource.RLIMIT_NOFILE)
    for count in range(3, 16):  # the first three are always open
        resource.prlimit(first, resource.RLIMIT_NOFILE, (count, usual[1]))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, suppress(WorkerEnded):
            opener = theirs if takes else None
            async with workers.forked("obey", None, LIMITS, opener) as worker:
                if takes:  # that it is forked later is not said; that it cannot be, is
                    with suppress(WorkerEnded):  # it answers in turn
                        await told(workers, tmp_path, "say hello")
                    with trio.move_on_after(0.05):
                        await worker.wait_forked()
                else:
                    await worker.send(Words("say hello"))
                    assert (await worker.receive(ANSWER)).text == "hello"
                went_well.append(count)
    assert 3 not in went_well
    assert 15 in went_well
    assert first_process() == first


async def test_a_process_that_cannot_be_watched_is_killed_and_no_other(tmp_path: Path) -> None:
    roles = {"obey": "rig.worker_shortage:obey"}
    async with open_workers(tmp_path, roles, more_modules=TESTS) as workers:
        await wait_ready(workers)
        first = first_process()
        with pytest.raises(WorkerEnded):
            await told(workers, tmp_path, "say hello")
        await until(lambda: forked() == [])
        assert await told(workers, tmp_path, "say again") == "again"
        assert first_process() == first


async def test_where_none_can_be_forked_for_a_connection_the_next_ones_wait_for_the_next_process(
    tmp_path: Path,
) -> None:
    roles = {"obey": "rig.worker_shortage:obey"}

    async def wait_forked(workers: Workers) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            async with workers.forked("obey", None, LIMITS, theirs) as worker:
                await workers.route("", worker.number)
                with trio.fail_after(30):
                    await worker.wait_forked()

    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setblocking(False)
        address = listening.getsockname()
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(3)]
        async with open_workers(tmp_path, roles, more_modules=TESTS) as workers:
            await wait_ready(workers)
            await workers.listen([listening])
            with pytest.raises(WorkerEnded):
                await wait_forked(workers)
            assert clients[0].recv(1) == b""
            await wait_forked(workers)
            workers.stop_listening()


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_without_descriptors_one_piece_of_work_fails_and_no_other(
    workers: Workers, tmp_path: Path, count: int
) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        with descriptors_left(count), pytest.raises(WorkerEnded) as ended:
            await told(workers, tmp_path, "say hello")
        assert ended.value.how is Cause.LOST
        await worker.send(Words("say there"))
        assert (await worker.receive(ANSWER)).text == "there"
    assert await told(workers, tmp_path, "say again") == "again"


async def test_where_the_first_process_cannot_be_started_it_is_tried_again(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    with descriptors_left(1):
        os.kill(first_process(), signal.SIGKILL)
        with trio.fail_after(20):
            while "cannot be started" not in caplog.text:  # noqa: ASYNC110  nobody announces it
                await trio.sleep(0.05)
    assert await told_by_the_next(workers, tmp_path) == "again"
