"""Which process takes the connections of which address, and what becomes of it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from rig import sftp_words as words

PUT = "put /etc/hostname a\n"


async def test_a_node_that_comes_from_another_address_is_received_from_too(
    receiver: Any, open_target: Any, openssh: Any
) -> None:
    """It is behind a NAT: what we reach is not what it comes from."""
    target = open_target(receiver, address="192.0.2.9")
    assert (await openssh.sftp(target, PUT)).returncode == 0
    assert target.target.files()[0].closed


async def test_two_nodes_behind_one_address_have_one_process(
    receiver: Any,
    open_target: Any,
    openssh: Any,
    receiving: Any,
    connect_until_forked: Any,
    until: Any,
) -> None:
    await connect_until_forked(receiver.port)  # for all others
    one, other = (open_target(receiver, name, address="127.0.0.1") for name in ("one", "other"))
    await connect_until_forked(receiver.port)
    for target in (one, other):
        assert (await openssh.sftp(target, PUT)).returncode == 0
    assert len(receiving()) == 3
    await one.target.aclose()
    assert (await openssh.sftp(other, PUT)).returncode == 0
    assert [file.closed for file in other.target.files()] == [True, True]
    await other.target.aclose()
    await until(lambda: len(receiving()) == 2)


async def test_more_addresses_than_processes_share_them(
    open_with: Any,
    open_target: Any,
    openssh: Any,
    receiving: Any,
    connect_until_forked: Any,
    until: Any,
) -> None:
    async with open_with(processes=1) as receiver:
        await connect_until_forked(receiver.port)  # for all others
        targets = [
            open_target(receiver, str(number), address=f"127.0.0.{number}") for number in (3, 2, 1)
        ]
        await connect_until_forked(receiver.port)
        for target in targets:
            assert (await openssh.sftp(target, PUT)).returncode == 0
        assert len(receiving()) == 3
        for target in targets:
            await target.target.aclose()
        await until(lambda: len(receiving()) == 2)


async def test_what_a_process_served_is_lost_with_it_and_nothing_else(
    receiver: Any,
    open_target: Any,
    other: Any,
    openssh: Any,
    receiving: Any,
    connect_until_forked: Any,
    until: Any,
) -> None:
    await connect_until_forked(receiver.port)  # for all others
    known = set(receiving())
    quota = Quota(node=Allowance(100_000_000), job=Allowance(200_000_000))
    lost = open_target(receiver, "lost", quota, address="127.0.0.1")
    stays = open_target(receiver, "stays")
    await connect_until_forked(receiver.port)
    assert (await openssh.sftp(lost, "ls\n")).returncode == 0

    def push() -> None:
        with other.raw_sftp(lost) as raw:
            whole = raw.ask(words.open_file(1, b"whole")).handle
            raw.ask(words.on_handle(words.PacketType.CLOSE, 2, whole))
            cut = raw.ask(words.open_file(3, b"cut")).handle
            raw.ask(words.write(4, cut, 0, b"12345"))
            [victim] = set(receiving()) - known
            os.kill(victim, signal.SIGKILL)

    await other.run(push)
    with trio.fail_after(30):
        await lost.target.wait_files_closed()
        await until(lambda: lost.target.refusal is not None)
        await lost.target.aclose()
    assert lost.target.refusal.code == Code.RECEIVER_LOST
    assert lost.target.refusal.retryable
    files = lost.target.files()
    assert [(file.path, file.size, file.closed) for file in files] == [
        ("whole", 0, True),
        ("cut", 5, False),
    ]
    assert stays.target.refusal is None
    assert (quota.node.left, quota.job.left) == (100_000_000 - 5, 200_000_000 - 5)


async def test_the_next_process_of_an_address_knows_all_of_its_logins(
    receiver: Any,
    open_target: Any,
    openssh: Any,
    receiving: Any,
    connect_until_forked: Any,
    until: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await connect_until_forked(receiver.port)  # for all others
    known = set(receiving())
    before = open_target(receiver, "before", address="127.0.0.1")
    await connect_until_forked(receiver.port)
    [victim] = set(receiving()) - known
    os.kill(victim, signal.SIGKILL)
    await until(lambda: "a process that receives has ended" in caplog.text)
    after = open_target(receiver, "after", address="127.0.0.1")
    await connect_until_forked(receiver.port)
    for target in (before, after):
        assert (await openssh.sftp(target, PUT)).returncode == 0
    assert before.target.refusal is None


async def test_a_process_that_is_done_with_an_address_takes_it_from_no_other(
    workers: Any,
    receiver: Any,
    open_target: Any,
    openssh: Any,
    receiving: Any,
    connect_until_forked: Any,
    until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await connect_until_forked(receiver.port)  # for all others
    route, next_was_told = workers.route, trio.Event()

    async def route_late(source: str, number: int) -> None:
        if number <= 0:  # it takes them no more
            with trio.CancelScope(shield=True):
                await next_was_told.wait()
        await route(source, number)
        if number > 0:
            next_was_told.set()

    target = open_target(receiver, "done", address="127.0.0.1")
    await connect_until_forked(receiver.port)
    assert (await openssh.sftp(target, PUT)).returncode == 0
    monkeypatch.setattr(workers, "route", route_late)
    target.target.revoke()
    open_target(receiver, "next", address="127.0.0.1")
    await target.target.aclose()
    await until(lambda: len(receiving()) == 2)
    await connect_until_forked(receiver.port)


async def test_without_a_process_connections_wait_for_the_next(
    receiver: Any, open_target: Any, openssh: Any, receiving: Any, connect_until_forked: Any
) -> None:
    await connect_until_forked(receiver.port)
    target = open_target(receiver)
    for pid in receiving():
        with suppress(ProcessLookupError):  # it has ended with the first one
            os.kill(pid, signal.SIGKILL)
    assert (await openssh.sftp(target, PUT)).returncode == 0
    assert target.target.refusal is None


async def test_an_address_has_no_process_until_it_connects(
    receiver: Any, open_target: Any, openssh: Any, receiving: Any, until: Any
) -> None:
    stranger = open_target(receiver)
    assert (await openssh.sftp(stranger, PUT)).returncode == 0
    await until(lambda: not is_open_here(stranger.folder))
    before = os.listdir("/proc/self/fd")
    targets = [open_target(receiver, str(one), address=f"192.0.2.{one}") for one in range(40)]
    assert (await openssh.sftp(stranger, PUT)).returncode == 0
    assert len(receiving()) == 2
    for target in targets:
        with trio.fail_after(30):
            await target.target.aclose()
    await until(lambda: os.listdir("/proc/self/fd") == before)


def is_open_here(folder: Path) -> bool:
    """Says whether this process has something of the folder open, as just after handing it on."""
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing
            if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(folder)):
                return True
    return False


async def test_the_connection_at_which_a_process_is_forked_is_cut_as_any_other(
    open_with: Any, open_target: Any
) -> None:
    async with open_with(login_timeout=0.1) as receiver:
        open_target(receiver, address="127.0.0.1")
        with trio.fail_after(30):
            for _ in range(2):  # the first of them, and one that came to a process
                async with await trio.open_tcp_stream("127.0.0.1", receiver.port) as stream:
                    while await stream.receive_some():
                        pass
