"""Violations of the protocol are refused or bounded, and end one connection at the most."""

from __future__ import annotations

import os
import resource
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.receiver.limits import Status
from rig import sftp_words as words
from rig.sftp_words import Kind

pytestmark = pytest.mark.long

CORPUS = Path(__file__).parents[2] / "unit" / "receiver" / "corpus"


@pytest.fixture
async def alive(target: Any, openssh: Any) -> Any:
    """After the attack the next push into the same target is whole."""
    yield
    if target.target.admits():
        done = await openssh.sftp(target, "put /etc/hostname after\n")
        assert done.returncode == 0, done.stderr
        assert target.target.files()[-1].closed


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("length", [0, 256 * 1024 + 1, 2**31, 2**32 - 1])
@pytest.mark.usefixtures("alive")
async def test_a_packet_of_impossible_length_cuts_the_session_off(
    target: Any, other: Any, length: int
) -> None:
    def attack() -> None:
        with other.raw_sftp(target) as raw:
            handle = raw.ask(words.open_file(1, b"a")).handle
            raw.ask(words.write(2, handle, 0, b"begun"))
            raw.send(struct.pack(">I", length) + b"x" * 100)
            with pytest.raises(EOFError):
                raw.reply()

    await other.run(attack)
    await target.target.wait_files_closed()
    assert [(file.size, file.closed) for file in target.target.files()] == [(5, False)]


@pytest.mark.usefixtures("alive")
async def test_an_ssh_packet_that_is_too_long_cuts_the_connection_off(
    receiver: Any, target: Any
) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
    async with stream:
        await stream.send_all(b"SSH-2.0-attacker\r\n" + struct.pack(">I", 2**31) + bytes(1000))
        with trio.fail_after(5):
            try:
                while await stream.receive_some(65536):
                    pass
            except trio.BrokenResourceError:
                pass  # cut without a word, which is as good


@pytest.mark.usefixtures("alive")
async def test_thousands_of_handles(target: Any, other: Any) -> None:
    def attack() -> list[Kind]:
        with other.raw_sftp(target) as raw:
            raw.send(b"".join(words.open_file(n, b"f%d" % n) for n in range(3000)))
            return [raw.reply().kind for _ in range(3000)]

    kinds = await other.run(attack)
    assert kinds.count(Kind.HANDLE) == 32
    assert len(target.names()) == 32
    await target.target.wait_files_closed()
    assert not any(file.closed for file in target.target.files())


@pytest.mark.usefixtures("alive")
async def test_paths_of_64_kib_and_names_with_controls(target: Any, other: Any) -> None:
    paths = [path.read_bytes() for path in sorted((CORPUS / "paths").iterdir())]
    kinds = [Kind.MKDIR, Kind.STAT, Kind.LSTAT, Kind.OPENDIR, Kind.REALPATH, Kind.SETSTAT]

    def attack() -> None:
        with other.raw_sftp(target) as raw:
            for path in paths:
                raw.ask(words.open_file(1, path))
                for kind in kinds:
                    raw.ask(words.on_path(kind, 2, path, words.NO_ATTRIBUTES))

    await other.run(attack)
    for name in target.names():
        assert name.isprintable()
        assert len(name) < 1024
    await target.target.wait_files_closed()


@pytest.mark.usefixtures("alive")
async def test_a_sparse_write_at_2_to_the_62(target: Any, other: Any) -> None:
    def attack() -> tuple[Any, Any]:
        with other.raw_sftp(target) as raw:
            handle = raw.ask(words.open_file(1, b"sparse")).handle
            wrote = raw.ask(words.write(2, handle, 2**62, b"x"))
            return wrote.status, raw.ask(words.on_handle(Kind.CLOSE, 3, handle)).status

    assert await other.run(attack) == (Status.FAILURE, Status.FAILURE)
    assert os.stat(target.folder / "sparse").st_blocks == 0
    assert not target.target.files()[0].closed


@pytest.mark.long
async def test_mkdir_without_end(target: Any, other: Any) -> None:
    def attack() -> int:
        with other.raw_sftp(target) as raw:
            made = 0
            for start in range(0, 6000, 500):
                numbers = range(start, start + 500)
                raw.send(b"".join(words.mkdir(n, b"d%d" % n) for n in numbers))
                made += sum(raw.reply().status == Status.OK for _ in numbers)
            return made

    assert await other.run(attack) == 5000
    assert target.target.refusal.code is Code.QUOTA_EXCEEDED


@pytest.mark.usefixtures("alive")
async def test_folders_within_folders_without_end(target: Any, other: Any) -> None:
    def attack() -> int:
        with other.raw_sftp(target) as raw:
            path, depth = b"", 0
            while raw.ask(words.mkdir(1, path + b"/d")).status == Status.OK:
                path, depth = path + b"/d", depth + 1
            return depth

    assert await other.run(attack) == 32


@pytest.mark.long
@pytest.mark.usefixtures("alive")
async def test_streams_that_the_fuzzer_kept(target: Any, other: Any) -> None:
    streams = [path.read_bytes() for path in sorted((CORPUS / "packets").iterdir())]

    def attack() -> None:
        for stream in streams:
            with other.raw_sftp(target) as raw:
                raw.send(stream)
                raw.channel.shutdown_write()
                try:
                    while True:
                        raw.reply()
                except EOFError:
                    pass

    await other.run(attack)
    await target.target.wait_files_closed()


async def test_replies_that_are_not_read_are_bounded(target: Any, other: Any, until: Any) -> None:
    """A thousand times: open a listing of 60 KB, read it, close it; and never take a reply."""
    target.folder.mkdir()
    for number in range(200):
        (target.folder / f"{'x' * 250}{number}").touch()

    def attack() -> None:
        with other.raw_sftp(target) as raw:
            before = resident()
            for number in range(1, 3000):
                handle = number.to_bytes(4, "big")
                raw.send(
                    words.on_path(Kind.OPENDIR, number, b"/")
                    + words.on_handle(Kind.READDIR, number, handle)
                    + words.on_handle(Kind.CLOSE, number, handle)
                )
            assert resident() - before < 40_000_000

    await other.run(attack)
    await until(lambda: not target.receiver.connections)


async def test_more_than_the_quota_is_refused_while_it_arrives(
    receiver: Any, open_target: Any, openssh: Any, tmp_path: Path
) -> None:
    source = tmp_path / "large"
    source.write_bytes(bytes(3_000_000))
    target, neighbour = (
        open_target(receiver, "target", Quota(Allowance(1_000_000))),
        open_target(receiver, "neighbour"),
    )
    done = await openssh.sftp(target, f"put {source} a\n")
    assert done.returncode == 1
    assert target.target.refusal.code is Code.QUOTA_EXCEEDED
    assert os.stat(target.folder / "a").st_size <= 1_000_000
    assert not target.target.files()[0].closed
    assert (await openssh.sftp(target, f"put {source} b\n")).returncode == 1, "and from then on"
    assert (await openssh.sftp(neighbour, f"put {source} a\n")).returncode == 0


async def test_garbage_of_any_kind_at_the_port(receiver: Any, until: Any) -> None:
    for sent in (b"\x00" * 5000, b"\n" * 5000, os.urandom(20_000), b"SSH-1.5-old\n", b"x" * 10_000):
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            try:
                await stream.send_all(sent)
                await stream.send_eof()
                with trio.fail_after(5):
                    while await stream.receive_some(65536):
                        pass
            except trio.BrokenResourceError:
                pass
    await until(lambda: not receiver.connections)


@pytest.mark.long
async def test_a_connection_that_comes_at_any_moment_of_the_end_is_ended(open_with: Any) -> None:
    """asyncio takes a few turns of its loop from accepting a connection to having it."""
    for turns in range(20):
        async with open_with() as receiver:
            late = socket.create_connection(("127.0.0.1", receiver.port), 5)
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
        with late, suppress(ConnectionResetError):
            while late.recv(100):
                pass
