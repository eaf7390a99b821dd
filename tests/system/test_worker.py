"""Processes for bytes that others have made: what they cannot do, and how they end."""

import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from cucmd.worker.frames import MOST, ProcessLimits
from cucmd.worker.workers import Cause, WorkerEnded, Workers, open_workers
from rig.quiet import wait_until
from rig.worker_processes import first_process, forked, wait_ready
from rig.worker_roles import Words

TESTS = str(Path(__file__).parents[1])
LIMITS = ProcessLimits(memory=512 * 1024**2, seconds=1)
ANSWER = msgspec.msgpack.Decoder(Words)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    for name in ("jobs/this", "jobs/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("of a job")
    (tmp_path / "known_hosts").write_text("of the daemon")
    roles = {"obey": "rig.worker_roles:obey"}
    async with open_workers(tmp_path / "jobs", roles, more_modules=TESTS) as opened:
        yield opened


async def told(workers: Workers, folder: Path, words: str) -> str:
    async with workers.forked("obey", folder / "jobs/this", LIMITS) as worker:
        await worker.send(Words(words))
        return (await worker.receive(ANSWER)).text


async def told_by_the_next(workers: Workers, folder: Path) -> str:
    """Asks the next first process: what is asked in the moment of an end is lost with that."""
    with trio.fail_after(60):
        while True:
            try:
                return await told(workers, folder, "say again")
            except WorkerEnded:
                await trio.sleep(0.05)


async def until(condition: Callable[[], bool]) -> None:
    await trio.to_thread.run_sync(wait_until, condition)


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
    ],
)
async def test_what_it_may_and_may_not(
    workers: Workers, tmp_path: Path, words: str, answer: str
) -> None:
    said = await told(workers, tmp_path, words.format(folder=tmp_path, pid=os.getpid()))
    assert said == answer


@pytest.mark.parametrize("path", ["jobs/this/file", "jobs/other/file", "known_hosts", "cucmd.db"])
@pytest.mark.parametrize("what", ["read", "write", "remove", "truncate", "rename", "link"])
async def test_one_that_takes_connections_reaches_no_file_by_itself(
    workers: Workers, tmp_path: Path, what: str, path: str
) -> None:
    (tmp_path / "cucmd.db").touch()
    before = contents(tmp_path)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        async with workers.forked("obey", None, LIMITS, theirs) as worker:
            await worker.send(Words(f"{what} {tmp_path}/{path}"))
            assert (await worker.receive(ANSWER)).text == "PermissionError"
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("spin", Cause.TIME),
        ("pattern", Cause.TIME),
        ("take 1000000000", Cause.MEMORY),
        ("fail", Cause.WRONG),
        ("leave 3", Cause.WRONG),
        ("leave 0", Cause.LOST),
        ("stop", Cause.LOST),
        ("nonsense", Cause.WRONG),
    ],
)
async def test_how_it_ended_is_known(
    workers: Workers, tmp_path: Path, words: str, how: Cause
) -> None:
    with trio.fail_after(60), pytest.raises(WorkerEnded) as ended:
        await told(workers, tmp_path, words)
    assert ended.value.how is how


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
        os.kill(first_process(), signal.SIGKILL)
        with pytest.raises(WorkerEnded) as ended:
            await worker.receive(ANSWER)
    assert ended.value.how is Cause.LOST
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_a_first_process_that_somebody_stops_is_killed_and_started_again(
    workers: Workers, tmp_path: Path
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    os.kill(stopped := first_process(), signal.SIGSTOP)
    await until(lambda: first_process() not in (0, stopped))
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_a_first_process_ends_where_no_thread_is_left(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    assert await told(workers, tmp_path, "say hello") == "hello"
    monkeypatch.setattr(trio.to_thread, "run_sync", start)
    os.kill(first_process(), signal.SIGKILL)
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_who_asked_too_early_ends_no_first_process_that_is_ready_since(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mock_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    python = sys.executable
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    roles = {"obey": "rig.worker_roles:obey"}
    async with open_workers(tmp_path, roles, more_modules=TESTS) as workers:
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(25)  # another start fails; the next one is in a second
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.9)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def ask() -> None:
                with pytest.raises(WorkerEnded):
                    await told(workers, tmp_path, "say hello")

            await trio.testing.wait_all_tasks_blocked()
            monkeypatch.setattr(sys, "executable", python)
            mock_clock.jump(0.2)
            await wait_ready(workers)
            caplog.clear()
            mock_clock.jump(0.4)
        await trio.testing.wait_all_tasks_blocked()
        assert caplog.messages == []
        assert await told(workers, tmp_path, "say hello") == "hello"


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets nobody notice that the first process is stopped: so it is one that hangs."""
    monkeypatch.setattr(os, "waitid", lambda *_: None)


@pytest.mark.usefixtures("unseen")
async def test_a_first_process_that_does_not_answer_is_killed(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    os.kill(stopped := first_process(), signal.SIGSTOP)
    monkeypatch.setattr("cucmd.worker.workers.ANSWERS", 0.2)
    with pytest.raises(WorkerEnded):
        await told(workers, tmp_path, "say hello")
    monkeypatch.setattr("cucmd.worker.workers.ANSWERS", 5.0)
    await until(lambda: not Path(f"/proc/{stopped}").exists())
    assert await told_by_the_next(workers, tmp_path) == "again"


@pytest.mark.usefixtures("unseen")
async def test_an_answer_that_came_while_the_daemon_stood_still_is_in_time(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wait_ready(workers)
    monkeypatch.setattr("cucmd.worker.workers.ANSWERS", 1.0)
    first, had = first_process(), trio.Event()
    os.kill(first, signal.SIGSTOP)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ask() -> None:
            async with workers.forked("obey", tmp_path / "jobs/this", LIMITS):
                had.set()
                await trio.sleep_forever()

        await trio.testing.wait_all_tasks_blocked()
        asked = trio.current_time()
        os.kill(first, signal.SIGCONT)
        # In this thread: the loop stands still.
        wait_until(lambda: bool(forked()) and trio.current_time() > asked + 1)
        await had.wait()
        nursery.cancel_scope.cancel()
    assert first_process() == first


async def test_a_first_process_that_does_not_start_in_time_is_killed(
    workers: Workers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    with monkeypatch.context() as patch:
        patch.setattr("cucmd.worker.workers._STARTS", 0.01)
        os.kill(first_process(), signal.SIGKILL)
        await until(lambda: "does not answer" in caplog.text)
    assert await told_by_the_next(workers, tmp_path) == "again"


async def test_a_first_process_has_its_time_to_start_whoever_has_waited_for_the_one_before(
    workers: Workers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    monkeypatch.setattr("cucmd.worker.workers.AGAIN", 3.0)  # the next one starts after all of this
    os.kill(first_process(), signal.SIGKILL)
    with trio.fail_after(20):
        while "it is started again" not in caplog.text:
            await trio.lowlevel.checkpoint()
    with monkeypatch.context() as patch:
        patch.setattr("cucmd.worker.workers._STARTS", 0.01)
        with pytest.raises(WorkerEnded):
            await told(workers, tmp_path, "say hello")
    assert await told_by_the_next(workers, tmp_path) == "again"
    assert "does not answer" not in caplog.text


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


async def test_a_frame_that_is_too_long_is_not_sent(workers: Workers, tmp_path: Path) -> None:
    async with workers.forked("obey", tmp_path / "jobs/this", LIMITS) as worker:
        with pytest.raises(WorkerEnded) as ended:
            await worker.send(Words("x" * MOST))
    assert ended.value.how is Cause.WRONG


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
    first, answers = first_process(), []
    usual = resource.prlimit(first, resource.RLIMIT_NOFILE)
    for count in range(3, 16):  # the first three are always open
        resource.prlimit(first, resource.RLIMIT_NOFILE, (count, usual[1]))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, suppress(WorkerEnded):
            opener = theirs if takes else None
            async with workers.forked("obey", None, LIMITS, opener) as worker:
                await worker.send(Words("say hello"))
                answers.append((count, (await worker.receive(ANSWER)).text))
    assert (3, "hello") not in answers
    assert (15, "hello") in answers
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


async def test_what_is_asked_in_the_moment_of_its_end_fails_alone(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"

    async def ask() -> None:
        with suppress(WorkerEnded):
            await told(workers, tmp_path, "say hello")

    os.kill(first_process(), signal.SIGKILL)
    async with trio.open_nursery() as nursery:
        while "it is started again" not in caplog.text:
            nursery.start_soon(ask)
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert await told_by_the_next(workers, tmp_path) == "again"


@pytest.mark.usefixtures("unseen")
async def test_many_may_wait_for_a_first_process_that_reads_nothing(
    workers: Workers, tmp_path: Path
) -> None:
    assert await told(workers, tmp_path, "say hello") == "hello"
    os.kill(stopped := first_process(), signal.SIGSTOP)
    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(workers.route, f"192.0.2.{number}", number)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(stopped, signal.SIGKILL)
    assert await told_by_the_next(workers, tmp_path) == "again"
