"""Runs the receiver on a port of loopback with its processes, and clients that push into it."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import paramiko
import pytest
import trio

from cucmd.allowance import Quota
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.served_connection import RECEIVE
from cucmd.receiver.server import Receiver, open_receiver
from cucmd.receiver.upload_target import UploadTarget
from cucmd.worker.workers import Workers, open_workers
from rig import sftp_words as words
from rig.process import command_line
from rig.worker_processes import TESTS, descendants, wait_ready

# OpenSSH asks a program for the password, and reads no file of the user.
SSH_OPTIONS = (
    "-F", "none", "-o", "BatchMode=no", "-o", "StrictHostKeyChecking=no",
    "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1",
    "-o", "PubkeyAuthentication=no",
)  # fmt: skip


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the host keys, which the first test makes for all tests."""
    return tmp_path_factory.mktemp("receiver")


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path) -> Iterator[None]:
    """Checks that a test leaves no descriptor, no working thread and no temporary file."""
    gc.collect()  # otherwise objects of earlier tests might be closed during this test
    descriptors, threads = os.listdir("/proc/self/fd"), working_threads()
    yield
    assert working_threads() <= threads
    assert os.listdir("/proc/self/fd") == descriptors
    assert not list(tmp_path.rglob("*.new"))


def working_threads() -> set[str]:
    """Returns the names of all threads, except idle threads that trio keeps for a while."""
    return {thread.name for thread in threading.enumerate() if "Trio thread" not in thread.name}


OpenReceiver = Callable[..., AbstractAsyncContextManager[Receiver]]


@pytest.fixture
async def workers(tmp_path: Path, role: str) -> AsyncIterator[Workers]:
    does = f"rig.worker_roles:{role}" if role else "cucmd.receiver.receiving:receive"
    async with open_workers(tmp_path, {RECEIVE: does}, more_modules=TESTS) as opened:
        await wait_ready(opened)
        yield opened


@pytest.fixture
def open_with(workers: Workers, state: Path, tmp_path: Path) -> OpenReceiver:
    """Returns a function that opens a receiver with given limits: `open_with(handles=3)`."""

    @asynccontextmanager
    async def opener(
        legacy: bool = False, host: str = "127.0.0.1", **limits: Any
    ) -> AsyncIterator[Receiver]:
        allowed = ReceiverLimits(**{"min_free_bytes": 0, "min_free_ratio": 0.0} | limits)
        opened = open_receiver((host, 0), state, workers, allowed, legacy_algorithms=legacy)
        async with opened as receiver:
            yield receiver

    return opener


def connections(port: int) -> int:
    """Returns how many connections to the port are open, accepted or not."""
    found = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        found += state == "01" and int(local.rpartition(":")[2], 16) == port
    return found


def receiving() -> list[int]:
    """Returns the fork server and its workers."""
    return [pid for pid in descendants() if "cucmd.worker.fork_server" in command_line(pid)]


@pytest.fixture(name="receiving")
def of_receiving() -> Callable[[], list[int]]:
    return receiving


@pytest.fixture
def role() -> str:
    """Returns what the processes do, from `rig.worker_roles`. With "" they receive files."""
    return ""


@pytest.fixture
def resident() -> Callable[[], int]:
    """Returns a function that counts the bytes of memory of the fork server and its workers."""

    def of_all() -> int:
        statm = [Path(f"/proc/{pid}/statm").read_text() for pid in receiving()]
        return sum(int(one.split()[1]) for one in statm) * resource.getpagesize()

    return of_all


@pytest.fixture
def connected() -> Callable[[int], int]:
    return connections


@pytest.fixture
async def receiver(open_with: OpenReceiver) -> AsyncIterator[Receiver]:
    async with open_with() as receiver:
        yield receiver


class Target:
    """Holds an upload target, and what a client needs to push into it."""

    def __init__(
        self, receiver: Receiver, folder: Path, quota: Quota | None, address: str = ""
    ) -> None:
        self.receiver = receiver
        self.folder = folder
        self.target: UploadTarget = receiver.open_upload_target(
            folder, name="job/node", quota=quota, address=address
        )
        self.port = receiver.port

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def open_target(tmp_path: Path) -> Callable[..., Target]:
    def opener(
        receiver: Receiver,
        name: str = "target",
        quota: Quota | None = None,
        address: str = "",
    ) -> Target:
        return Target(receiver, tmp_path / name, quota, address)

    return opener


@pytest.fixture
def target(receiver: Receiver, open_target: Callable[..., Target]) -> Target:
    return open_target(receiver)


# OpenSSH.


class OpenSsh:
    """Runs OpenSSH's clients with the login of a target, or with another password."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "askpass"
        self._folder.mkdir()
        self._numbers = count()  # several may run at once

    def environ(self, password: str) -> dict[str, str]:
        ask = self._folder / str(next(self._numbers))
        ask.write_text(f"#!/bin/sh\necho '{password}'\n")
        ask.chmod(0o700)
        return os.environ | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}

    def command(self, program: str, target: Target, *options: str) -> list[str]:
        flag = "-p" if program == "ssh" else "-P"
        where = f"{target.target.username}@127.0.0.1"
        return [program, *SSH_OPTIONS, flag, str(target.port), *options, where]

    async def run(
        self, command: list[str], target: Target, data: str = "", password: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        with trio.fail_after(60):
            done = await trio.run_process(
                command,
                env=self.environ(target.target.password if password is None else password),
                stdin=data.encode(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        return subprocess.CompletedProcess(
            command, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    async def sftp(
        self, target: Target, batch: str, *options: str, password: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = self.command("sftp", target, "-q", "-b", "-", *options)
        return await self.run(command, target, batch, password)

    async def ssh(
        self, target: Target, *command: str, options: tuple[str, ...] = (), data: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return await self.run([*self.command("ssh", target, *options), *command], target, data)


@pytest.fixture
def openssh(tmp_path: Path) -> OpenSsh:
    if shutil.which("sftp") is None:
        pytest.skip("needs OpenSSH's client: apt-get install openssh-client")
    return OpenSsh(tmp_path)


# paramiko, in a thread of its own.


class Raw:
    """Sends any bytes on an SFTP channel, and reads the replies."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self.channel = channel
        self._received = b""

    def send(self, data: bytes) -> None:
        self.channel.sendall(data)

    def reply(self) -> words.Reply:
        """Returns the next reply. Raises EOFError at the end."""
        while len(self._received) < 4 or len(self._received) < 4 + int.from_bytes(
            self._received[:4], "big"
        ):
            data = self.channel.recv(65536)
            if not data:
                raise EOFError
            self._received += data
        end = 4 + int.from_bytes(self._received[:4], "big")
        (reply,) = words.replies(self._received[:end])
        self._received = self._received[end:]
        return reply

    def ask(self, packet: bytes) -> words.Reply:
        self.send(packet)
        return self.reply()


@contextmanager
def transport_of(port: int, source: str = "127.0.0.1") -> Iterator[paramiko.Transport]:
    """Opens a connection that has not logged in."""
    import socket

    with socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as connection:
        transport = paramiko.Transport(connection)
        transport.start_client(timeout=10)
        try:
            yield transport
        finally:
            transport.close()
            transport.join(10)


@contextmanager
def logged_in(target: Target, password: str | None = None) -> Iterator[paramiko.Transport]:
    with transport_of(target.port) as transport:
        transport.auth_password(target.target.username, password or target.target.password)
        yield transport


@contextmanager
def raw_sftp(target: Target) -> Iterator[Raw]:
    with logged_in(target) as transport:
        channel = transport.open_session(timeout=10)
        channel.settimeout(20)
        channel.invoke_subsystem("sftp")
        raw = Raw(channel)
        assert raw.ask(words.init()).kind == words.PacketType.VERSION
        yield raw


class Paramiko:
    """Offers the functions of this file that use paramiko, and runs a function in a thread."""

    transport_of, logged_in, raw_sftp = (
        staticmethod(transport_of),
        staticmethod(logged_in),
        staticmethod(raw_sftp),
    )

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        with trio.fail_after(60):
            return await trio.to_thread.run_sync(function, *args)


@pytest.fixture
def other() -> Paramiko:
    return Paramiko()


@pytest.fixture
def until() -> Any:
    """Returns a function that polls a condition, for changes that nobody announces."""

    async def wait(condition: Callable[[], bool], within: float = 10) -> None:
        with trio.fail_after(within):
            while not condition():  # noqa: ASYNC110  another process announces nothing
                await trio.sleep(0.01)

    return wait
