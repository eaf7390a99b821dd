"""Processes for bytes that others have made: what they cannot do, and how they end."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
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
    forked,
    told,
    told_by_the_next,
    until,
)
from rig.worker_roles import Words


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    for name in ("jobs/this", "jobs/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("of a job")
    (tmp_path / "known_hosts").write_text("of the daemon")
    roles = {"obey": "rig.worker_roles:obey"}
    async with open_workers(tmp_path / "jobs", roles, more_modules=TESTS) as opened:
        yield opened


async def test_it_does_what_it_is_forked_for(workers: Workers, tmp_path: Path) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    assert workers.confined


async def test_what_comes_before_forks_is_done_once_by_the_first_process(
    workers: Workers, tmp_path: Path
) -> None:
    assert [await told(workers, tmp_path, "made") for _ in range(2)] == ["True", "True"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("read {folder}/jobs/this/file", "of a job"),
        ("read {folder}/jobs/other/file", "PermissionError"),
        ("read {folder}/known_hosts", "PermissionError"),
        ("list {folder}", "PermissionError"),
        ("read /etc/passwd", "PermissionError"),
        ("write {folder}/jobs/this/new", "PermissionError"),
        ("write {folder}/new", "PermissionError"),
        ("connect", "PermissionError"),
        ("daemon {pid}", "PermissionError"),
        ("environ", "LC_CTYPE PATH PYTHONPATH"),
        ("terminate", "done"),
        (
            "taken-over {folder} {pid}",
            "start a thread: can't start new thread",
        ),
    ],
)
async def test_what_it_may_and_may_not(
    workers: Workers, tmp_path: Path, words: str, answer: str
) -> None:
    said = await told(workers, tmp_path, words.format(folder=tmp_path, pid=os.getpid()))
    assert said == answer


@pytest.mark.parametrize("path", ["jobs/this/file", "jobs/other/file", "known_hosts", "cucmd.db"])
@pytest.mark.parametrize("what", ["read", "write", "remove", "truncate", "rename", "link"])
async def test_without_a_folder_it_reaches_no_file(
    workers: Workers, tmp_path: Path, what: str, path: str
) -> None:
    (tmp_path / "cucmd.db").touch()
    before = contents(tmp_path)
    async with workers.forked("obey", None, LIMITS) as worker:
        await worker.send(Words(f"{what} {tmp_path}/{path}"))
        assert (await worker.receive(ANSWER)).text == "PermissionError"
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("spin", Cause.TIME),
        ("pattern", Cause.TIME),
        ("take 1000000000", Cause.MEMORY),
        ("fail", Cause.WRONG),
        ("leave 3", Cause.WRONG),
        ("leave 0", Cause.LOST),
        ("nonsense", Cause.WRONG),
        ("x32", Cause.WRONG),
    ],
)
async def test_how_it_ended_is_known(
    workers: Workers, tmp_path: Path, words: str, how: Cause
) -> None:
    with trio.fail_after(60), pytest.raises(WorkerEnded) as ended:
        await told(workers, tmp_path, words)
    assert ended.value.cause is how


async def test_the_log_has_the_traceback_of_a_defect(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WorkerEnded):
        await told(workers, tmp_path, "fail")
    await until(lambda: "ZeroDivisionError" in caplog.text)
    assert "Traceback" in caplog.text


async def test_a_flood_for_the_log_is_cut(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await told(workers, tmp_path, "flood") == "done"
    await until(lambda: "flood" in caplog.text)
    await trio.testing.wait_all_tasks_blocked(0.1)
    assert 32 * 1024 < len(caplog.text) < 128 * 1024
    assert await told(workers, tmp_path, "say hello") == "hello"


async def test_the_kernel_kills_it_before_the_daemon(workers: Workers, tmp_path: Path) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS):
        own, *others = (
            int(Path(f"/proc/{pid}/oom_score_adj").read_text())
            for pid in (os.getpid(), fork_server(), *forked())
        )
    assert len(others) == 2
    assert own < min(others)


@pytest.mark.parametrize("words", ["spin", "pattern"])
async def test_a_cancel_kills_it_whatever_it_does(
    workers: Workers, tmp_path: Path, words: str
) -> None:
    limits = ProcessLimits(memory=LIMITS.memory, seconds=1000)
    with trio.move_on_after(0.5):
        async with workers.forked("obey", tmp_path / "jobs/this", limits) as worker:
            await worker.send(Words(words))
            await worker.receive(ANSWER)
    await until(lambda: forked() == [])


async def test_those_that_were_forked_end_with_the_first_which_is_started_again(
    workers: Workers, tmp_path: Path
) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        os.kill(fork_server(), signal.SIGKILL)
        with pytest.raises(WorkerEnded) as ended:
            await worker.receive(ANSWER)
    assert ended.value.cause is Cause.LOST
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_a_first_process_ends_where_no_thread_is_left(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    assert await told(workers, tmp_path, "say hello") == "hello"
    monkeypatch.setattr(trio.to_thread, "run_sync", start)
    os.kill(fork_server(), signal.SIGKILL)
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_a_first_process_that_does_not_answer_is_killed(tmp_path: Path) -> None:
    (tmp_path / "jobs/this").mkdir(parents=True)
    roles = {"obey": "rig.worker_roles:obey"}
    async with open_workers(tmp_path, roles, more_modules=TESTS, fork_timeout=2.0) as workers:
        await told_by_the_next(workers, tmp_path)
        os.kill(stopped := fork_server(), signal.SIGSTOP)
        with pytest.raises(WorkerEnded):
            await told(workers, tmp_path, "say hello")
        await until(lambda: not Path(f"/proc/{stopped}").exists())
        assert await told_by_the_next(workers, tmp_path) == "again"


async def test_a_frame_that_is_too_long_is_not_sent(workers: Workers, tmp_path: Path) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        with pytest.raises(WorkerEnded) as ended:
            await worker.send(Words("x" * MAX_FRAME))
    assert ended.value.cause is Cause.WRONG


async def test_what_is_asked_in_the_moment_of_its_end_fails_alone(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"

    async def ask() -> None:
        with suppress(WorkerEnded):
            await told(workers, tmp_path, "say hello")

    os.kill(fork_server(), signal.SIGKILL)
    async with trio.open_nursery() as nursery:
        while "it is started again" not in caplog.text:
            nursery.start_soon(ask)
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_many_may_wait_for_a_first_process_that_reads_nothing(
    workers: Workers, tmp_path: Path
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    os.kill(stopped := fork_server(), signal.SIGSTOP)

    async def ask() -> None:
        with pytest.raises(WorkerEnded):
            await told(workers, tmp_path, "say hello")

    async with trio.open_nursery() as nursery:
        for _ in range(400):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(stopped, signal.SIGKILL)
    assert await told_by_the_next(workers, tmp_path) == "again"
