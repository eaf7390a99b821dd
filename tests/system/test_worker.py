"""Workers: what they cannot do, how they end, and how the fork server is replaced."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.worker.frames import MAX_FRAME, ProcessLimits
from cucmd.worker.workers import Cause, WorkerEnded, Workers, open_workers
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

ROLES = {"obey": "rig.worker_roles:obey"}
ALLOWED = {
    "say hello": "hello",
    "read {folder}/jobs/this/file": "of a job",
    "environ": "LC_CTYPE PATH PYTHONPATH",
    "terminate": "done",
}
REFUSED = (
    "read {folder}/jobs/other/file",
    "read {folder}/known_hosts",
    "list {folder}",
    "read /etc/passwd",
    "write {folder}/jobs/this/new",
    "write {folder}/new",
    "connect",
    "daemon {pid}",
)
ENDS = {
    "spin": Cause.TIME,
    "pattern": Cause.TIME,
    "take 1000000000": Cause.MEMORY,
    "fail": Cause.WRONG,
    "leave 3": Cause.WRONG,
    "leave 0": Cause.LOST,
    "nonsense": Cause.WRONG,
    "x32": Cause.WRONG,
}


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    for name in ("jobs/this", "jobs/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("of a job")
    (tmp_path / "known_hosts").write_text("of the daemon")
    (tmp_path / "cucmd.db").touch()
    async with open_workers(tmp_path / "jobs", ROLES, more_modules=TESTS) as opened:
        yield opened


async def test_worker_may_only_read_its_folder(workers: Workers, tmp_path: Path) -> None:
    expected = ALLOWED | dict.fromkeys(REFUSED, "PermissionError")
    answers = {
        words: await tell_worker(workers, tmp_path, words.format(folder=tmp_path, pid=os.getpid()))
        for words in expected
    }
    assert answers == expected
    assert workers.confined


async def test_hostile_calls_fail(workers: Workers, tmp_path: Path) -> None:
    words = f"taken-over {tmp_path} {os.getpid()}"
    assert await tell_worker(workers, tmp_path, words) == "start a thread: can't start new thread"


async def test_before_forks_runs_once(workers: Workers, tmp_path: Path) -> None:
    assert [await tell_worker(workers, tmp_path, "made") for _ in range(2)] == ["True", "True"]


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if not path.is_dir()}


async def test_worker_without_folder_reaches_no_file(workers: Workers, tmp_path: Path) -> None:
    before, answers = contents(tmp_path), {}
    for action in ("read", "write", "remove", "truncate", "rename", "link"):
        for path in ("jobs/this/file", "known_hosts", "cucmd.db"):
            async with workers.forked("obey", None, LIMITS) as worker:
                await worker.send(Words(f"{action} {tmp_path}/{path}"))
                answers[action, path] = (await worker.receive(ANSWER)).text
    assert answers == dict.fromkeys(answers, "PermissionError")
    assert contents(tmp_path) == before


async def test_cause_of_end_is_known(workers: Workers, tmp_path: Path) -> None:
    causes = {}
    for words in ENDS:
        with trio.fail_after(60), pytest.raises(WorkerEnded) as ended:
            await tell_worker(workers, tmp_path, words)
        causes[words] = ended.value.cause
    assert causes == ENDS


async def test_traceback_of_defect_is_logged(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WorkerEnded):
        await tell_worker(workers, tmp_path, "fail")
    await until(lambda: "ZeroDivisionError" in caplog.text)
    assert "Traceback" in caplog.text


async def test_flood_of_output_is_cut(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await tell_worker(workers, tmp_path, "flood") == "done"
    await until(lambda: "flood" in caplog.text)
    await trio.testing.wait_all_tasks_blocked(0.1)
    assert 32 * 1024 < len(caplog.text) < 128 * 1024
    assert await tell_worker(workers, tmp_path, "say hello") == "hello"


async def test_kernel_kills_workers_first(workers: Workers, tmp_path: Path) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS):
        own, *others = (
            int(Path(f"/proc/{pid}/oom_score_adj").read_text())
            for pid in (os.getpid(), fork_server(), *forked_pids())
        )
    assert len(others) == 2
    assert own < min(others)


@pytest.mark.parametrize("words", ["spin", "pattern"])
async def test_cancel_kills_busy_worker(workers: Workers, tmp_path: Path, words: str) -> None:
    limits = ProcessLimits(memory=LIMITS.memory, seconds=1000)
    with trio.move_on_after(0.5):
        async with workers.forked("obey", tmp_path / "jobs/this", limits) as worker:
            await worker.send(Words(words))
            await worker.receive(ANSWER)
    await until(lambda: forked_pids() == [])


async def test_workers_end_with_fork_server(workers: Workers, tmp_path: Path) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        os.kill(fork_server(), signal.SIGKILL)
        with pytest.raises(WorkerEnded) as ended:
            await worker.receive(ANSWER)
    assert ended.value.cause is Cause.LOST
    assert await tell_next_worker(workers, tmp_path) == "again"


async def test_hanging_fork_server_is_killed(tmp_path: Path) -> None:
    (tmp_path / "jobs/this").mkdir(parents=True)
    async with open_workers(tmp_path, ROLES, more_modules=TESTS, fork_timeout=2.0) as workers:
        await tell_next_worker(workers, tmp_path)
        os.kill(stopped := fork_server(), signal.SIGSTOP)
        with pytest.raises(WorkerEnded):
            await tell_worker(workers, tmp_path, "say hello")
        await until(lambda: not Path(f"/proc/{stopped}").exists())
        assert await tell_next_worker(workers, tmp_path) == "again"


async def test_too_long_frame_is_not_sent(workers: Workers, tmp_path: Path) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        with pytest.raises(WorkerEnded) as ended:
            await worker.send(Words("x" * MAX_FRAME))
    assert ended.value.cause is Cause.WRONG


async def test_many_wait_for_hanging_fork_server(workers: Workers, tmp_path: Path) -> None:
    assert await tell_worker(workers, tmp_path, "say hello") == "hello"
    os.kill(stopped := fork_server(), signal.SIGSTOP)

    async def ask() -> None:
        with pytest.raises(WorkerEnded):
            await tell_worker(workers, tmp_path, "say hello")

    async with trio.open_nursery() as nursery:
        for _ in range(400):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(stopped, signal.SIGKILL)
    assert await tell_next_worker(workers, tmp_path) == "again"
