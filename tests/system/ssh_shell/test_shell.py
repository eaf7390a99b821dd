"""Reading from and writing to a node's shell, also if the node is hostile or frozen."""

import os
import socket
import time

import pytest
import trio
from asyncssh.constants import MSG_GLOBAL_REQUEST, MSG_IGNORE
from asyncssh.packet import String

from cucmd.failure import NodeFailed
from cucmd.job.node import Phase
from cucmd.ssh import link
from cucmd.ssh.bridge import run_callbacks
from cucmd.ssh.inbox import HIGH_WATER, WINDOW
from cucmd.ssh.link import KEEPALIVE_SECONDS, OVERHEAD


async def test_bytes_go_both_ways(node, connect):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    await shell.send(b"show status\n")
    await shell.send(b"quit\n")
    received = b""
    while data := await shell.receive():
        received += data
    assert received == b"quit\r\nbye"
    assert node.sessions[0].received == b"show status\nquit\n"
    assert node.terminal == ("vt100", (200, 24))
    assert shell.lost is None
    assert shell.local_address == "127.0.0.1"
    await shell.aclose()


async def test_login_phase_precedes_the_password(node, connect):
    seen = []

    def on_phase(phase):
        seen.append((phase, list(node.events)))

    shell = await connect(node.port, on_phase=on_phase)
    await shell.aclose()
    assert seen == [(Phase.LOGIN, [])]
    assert node.events[0] == "password"


async def test_broken_connection_is_no_quit(node, connect, ssh):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    node.sessions[0].channel.get_connection().abort()
    assert await shell.receive() == b""
    assert f"127.0.0.1:{node.port}" in shell.lost
    with pytest.raises(NodeFailed) as caught:
        await shell.send(b"y\n")
    assert caught.value.failure.code == "connection_lost"
    assert shell.lost in caught.value.failure.message
    await shell.aclose()


async def test_unread_packet_counts_as_come(node, connect, ssh):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    more = b"x" * 30_000  # one packet of SSH, which is read in many turns
    node.sessions[0].send(more)
    in_the_kernel = time.monotonic() + 10
    while not shell.has_come and time.monotonic() < in_the_kernel:
        pass  # the event loop does not run meanwhile
    assert shell.has_come
    assert await shell.receive() == more
    assert not shell.has_come
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0)


async def test_sending_after_the_end_fails(node, connect):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    node.sessions[0].send(b"more")
    for _ in range(20):  # it is in the kernel already, and has to be read
        await run_callbacks()
    await shell.aclose()
    with pytest.raises(NodeFailed, match="has ended the session"):
        await shell.send(b"y\n")
    assert await shell.receive() == b"more"  # what had come before
    assert await shell.receive() == b""


async def test_flood_is_held_and_complete(node, connect, ssh):
    shell = await connect(node.port)
    flood = bytes(range(256)) * 8192  # 2 MiB
    node.sessions[0].send(flood)
    channel = node.sessions[0].channel
    seen = -1
    while seen != channel.get_write_buffer_size():  # until nothing moves any more
        seen = channel.get_write_buffer_size()
        for _ in range(20):
            await run_callbacks()
    taken = len(flood) - seen
    assert taken <= HIGH_WATER + 2 * WINDOW
    received = b""
    while len(received) < len(flood) + len(b"admin:"):
        received += await shell.receive()
    assert received == b"admin:" + flood
    await shell.aclose()


@pytest.mark.long
async def test_node_that_reads_nothing_is_cut(node, connect, ssh, monkeypatch):
    # asyncio adds up its whole buffer at each write, so 1 MiB of replies takes longer than 30 s.
    monkeypatch.setattr(link, "MAX_UNREAD", 64 * 1024)
    before = ssh.open_sockets()
    shell = await connect(node.port)
    node.sessions[0].send(b"x" * 20_000)  # so that as many packets without content are allowed
    said = b""
    while len(said) < len(b"admin:") + 20_000:
        said += await shell.receive()
    # A small buffer makes the kernel hold few of the bytes that the node does not read. It must be
    # our buffer: a small receive buffer of the node would also delay its requests.
    (descriptor,) = ssh.sockets_to(node.port)
    with socket.socket(fileno=os.dup(descriptor)) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection = node.sessions[0].channel.get_connection()
    transport = connection._transport
    transport.pause_reading()

    async def ask_without_end():
        while True:
            for _ in range(50):
                connection.send_packet(MSG_GLOBAL_REQUEST, String(b"keepalive@openssh.com"), b"\1")
            await run_callbacks()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_without_end)
        with trio.fail_after(30), pytest.raises(NodeFailed, match="reads no reply") as caught:
            await shell.receive()
        nursery.cancel_scope.cancel()
    assert caught.value.failure.code == "connection_lost"
    assert str(node.port) in caught.value.failure.message
    with pytest.raises(NodeFailed) as again:
        await shell.send(b"y\n")
    assert again.value.failure == caught.value.failure
    transport.resume_reading()
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)


@pytest.mark.long
async def test_flood_of_empty_packets_is_cut(node, connect, ssh):
    shell = await connect(node.port)
    node.sessions[0].send(b"x" * 100)
    said = b""
    while said != b"admin:" + b"x" * 100:
        said += await shell.receive()
    connection = node.sessions[0].channel.get_connection()

    async def send_nothing_without_end():
        while not connection.is_closed():
            for _ in range(100):
                connection.send_packet(MSG_IGNORE, String(b""))
            await run_callbacks()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_nothing_without_end)
        with trio.fail_after(30), pytest.raises(NodeFailed, match="no content") as caught:
            await shell.receive()
        nursery.cancel_scope.cancel()
    assert caught.value.failure.code == "connection_lost"
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0)


async def test_one_character_packets_are_allowed(node, connect):
    shell = await connect(node.port)
    printed = OVERHEAD // 30  # a packet with one character has 36 bytes or more
    for _ in range(printed // 50):
        for _ in range(50):
            node.sessions[0].send(b"x")
        await run_callbacks()
    said = b""
    while said.count(b"x") < printed // 50 * 50:
        said += await shell.receive()
    await shell.send(b"show status\n")
    await shell.aclose()


async def test_frozen_node_is_noticed(node, connect, ssh, mock_clock):
    mock_clock.rate = 1
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    mock_clock.rate = 200
    await trio.sleep(10 * KEEPALIVE_SECONDS)
    assert shell.lost is None, "it answers"
    transport = node.sessions[0].channel.get_connection()._transport
    transport.pause_reading()
    with trio.fail_after(6 * KEEPALIVE_SECONDS):
        assert await shell.receive() == b""
    mock_clock.rate = 1
    assert "no answer to keepalives" in shell.lost
    transport.resume_reading()
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0)


async def test_refused_shell_is_retryable(bridge, connect, ssh):
    for refusal in ({"opens_session": False}, {"opens_pty": False}):
        async with ssh.serve(ssh.node(**refusal)) as node:
            with pytest.raises(NodeFailed) as caught:
                await connect(node.port)
            assert caught.value.failure.code == "connection_lost"
            assert caught.value.failure.retryable
            await ssh.until(lambda node=node: node.connections == 0)
