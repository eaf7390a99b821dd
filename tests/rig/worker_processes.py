"""Finds the worker processes that a test has started, and tells them what to do."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import trio

from cucmd.receiver.server import Receiver
from cucmd.receiver.upload_target import UploadTarget
from cucmd.worker.frames import ProcessLimits
from cucmd.worker.workers import WorkerEnded, Workers
from rig.process import Child, command_line
from rig.quiet import wait_until
from rig.worker_roles import Words

TESTS = str(Path(__file__).parents[1])  # where a process finds this package
LIMITS = ProcessLimits(memory=512 * 1024**2, seconds=1)
ANSWER = msgspec.msgpack.Decoder(Words)


class _This(Child):
    def __init__(self) -> None:
        self.pid = os.getpid()


def descendants() -> list[int]:
    """Returns the pids of all descendants of this process."""
    return _This().tree()[1:]


def fork_server() -> int:
    """Returns the pid of the fork server, or 0 if it has not started."""
    return next(
        (pid for pid in descendants() if "cucmd.worker.fork_server" in command_line(pid)), 0
    )


async def wait_ready(workers: Workers) -> None:
    """Waits until the fork server is ready.

    Before that it has children for a moment, by which asyncssh looks for libraries. They look like
    forked workers. `Workers.wait_ready` waits only as long as a daemon may.
    """
    with trio.fail_after(60):
        while workers.confined is None:
            await workers.wait_ready()


async def tell_worker(workers: Workers, folder: Path, words: str) -> str:
    async with workers.forked("obey", folder / "jobs/this", LIMITS) as worker:
        await worker.send(Words(words))
        return (await worker.receive(ANSWER)).text


async def tell_next_worker(workers: Workers, folder: Path) -> str:
    """Tells the next fork server something. A request at the moment of an end is lost."""
    with trio.fail_after(60):
        while True:
            try:
                return await tell_worker(workers, folder, "say again")
            except WorkerEnded:
                await trio.sleep(0.05)


async def until(condition: Callable[[], bool]) -> None:
    await trio.to_thread.run_sync(wait_until, condition)


def forked_pids() -> list[int]:
    """Returns the pids of the children of the fork server."""
    first = fork_server()
    return [pid for pid in descendants() if f"PPid:\t{first}\n" in read_status(pid)]


def read_status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@asynccontextmanager
async def connect_and_tell(
    receiver: Receiver, target: UploadTarget, what: str = "x", password: str = ""
) -> AsyncIterator[trio.SocketStream]:
    """Opens a connection to the receiver, and tells its process a login and what to do.

    The process has a role of `worker_roles`.
    """
    async with await trio.open_tcp_stream("127.0.0.1", receiver.port) as stream:
        words = f"{target.username} {password or target.password} {what}\n"
        await stream.send_all(words.encode())
        yield stream


def read_memory(pid: int) -> Iterator[bytes]:
    """Yields the writable memory of a process, part by part. Needs root."""
    with (
        Path(f"/proc/{pid}/maps").open() as maps,
        Path(f"/proc/{pid}/mem").open("rb", 0) as content,
    ):
        for line in maps:
            span, mode, *_ = line.split()
            begin, end = (int(one, 16) for one in span.split("-"))
            if mode.startswith("rw"):
                content.seek(begin)
                with suppress(OSError):  # memory of a driver, or memory that is gone
                    yield content.read(end - begin)
