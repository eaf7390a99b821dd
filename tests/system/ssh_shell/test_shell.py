"""A shell on a node: bytes arrive both ways, and a quit is distinguished from a lost connection."""

import socket
import time

import asyncssh
import pytest
import trio
from asyncssh.constants import MSG_GLOBAL_REQUEST, MSG_IGNORE
from asyncssh.packet import String

from cucmd.failure import NodeFailed
from cucmd.job.node import Phase
from cucmd.ssh import link
from cucmd.ssh.bridge import run_callbacks
from cucmd.ssh.inbox import HIGH_WATER, WINDOW
from cucmd.ssh.known_hosts import Policy
from cucmd.ssh.link import OVERHEAD
from cucmd.ssh.unread_bytes import count_unread


async def test_bytes_go_both_ways_on_a_wide_terminal(node, connect):
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


async def test_login_phase_is_reported_between_key_exchange_and_password(node, connect):
    seen = []

    def on_phase(phase):
        seen.append((phase, list(node.events)))

    shell = await connect(node.port, on_phase=on_phase)
    await shell.aclose()
    assert seen == [(Phase.LOGIN, [])]
    assert node.events[0] == "password"


async def test_a_broken_connection_is_not_a_quit(node, connect, ssh):
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


async def test_reason_of_a_disconnect_is_shown_without_its_control_characters(node, connect):
    shell = await connect(node.port)
    reason = "going\x1b[31m down\n" + "x" * 999
    # As sshd does it: without closing the channel first, which would be a session's orderly end.
    node.sessions[0].channel.get_connection()._send_disconnect(
        asyncssh.DISC_SERVICE_NOT_AVAILABLE, reason, "en-US"
    )
    while await shell.receive():
        pass
    assert shell.lost.startswith(f"127.0.0.1:{node.port}: going [31m down xxx")
    assert len(shell.lost) < 350
    await shell.aclose()


async def test_what_has_come_is_known_before_it_is_received(node, connect):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    assert not shell.has_come
    node.sessions[0].send(b"more")
    for _ in range(20):  # it is in the kernel already, and has to be read
        await run_callbacks()
    assert shell.has_come
    assert await shell.receive() == b"more"
    assert not shell.has_come
    await shell.aclose()
    assert shell.has_come  # the end


async def test_what_has_come_is_known_before_the_loop_has_read_it(node, connect, ssh):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    more = b"x" * 30_000  # one packet of SSH, which is read in many turns
    node.sessions[0].send(more)
    in_the_kernel = time.monotonic() + 10
    while not shell.has_come and time.monotonic() < in_the_kernel:
        pass  # and the loop stands still
    assert shell.has_come
    assert await shell.receive() == more
    assert not shell.has_come
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0)


async def test_sending_into_an_ended_session_fails(node, connect):
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


async def test_flood_stops_at_the_water_mark_and_nothing_is_lost(node, connect, ssh):
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
async def test_a_node_that_reads_no_reply_is_cut_off(node, connect, ssh, monkeypatch):
    monkeypatch.setattr(link, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(link, "MAX_UNREAD", 64 * 1024)
    before = ssh.open_sockets()
    begin = link.Link.__init__

    # So that the kernel holds little of what nobody reads. Not at the node's end: what comes after
    # a window has shrunk is dropped, and the node's own questions wait with it.
    def begin_small(self, sock, opener):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        begin(self, sock, opener)

    monkeypatch.setattr(link.Link, "__init__", begin_small)
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
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
async def test_a_node_that_sends_empty_packets_without_end_is_cut_off(node, connect, ssh):
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
        with trio.fail_after(30), pytest.raises(NodeFailed, match="nothing") as caught:
            await shell.receive()
        nursery.cancel_scope.cancel()
    assert caught.value.failure.code == "connection_lost"
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0)


async def test_a_node_may_print_each_character_in_a_packet_of_its_own(node, connect):
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


async def test_what_comes_of_itself_in_many_hours_is_not_too_much(node, connect, ssh, monkeypatch):
    looks = []

    def look(connection):
        looks.append(count_unread(connection))
        return looks[-1]

    monkeypatch.setattr(link, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(link, "OVERHEAD_PER_SECOND", OVERHEAD // 8)
    monkeypatch.setattr(link, "count_unread", look)
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    for _ in range(32):
        node.sessions[0].channel.get_connection().send_packet(
            MSG_IGNORE, String(bytes(OVERHEAD // 16))
        )
        node.sessions[0].send(b"x")
        assert await shell.receive() == b"x"
        looks.clear()
        await ssh.until(lambda: len(looks) > 1)
    await shell.send(b"show status\n")
    await shell.aclose()


async def test_a_frozen_node_is_noticed_by_its_silence(node, connect, ssh, monkeypatch):
    monkeypatch.setattr(link, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(link, "KEEPALIVE_SECONDS", 0.02)
    asked = []
    send = asyncssh.SSHClientConnection.send_packet

    def sent(self, kind, *args, **options):
        if kind == MSG_GLOBAL_REQUEST:
            asked.append(kind)
        send(self, kind, *args, **options)

    monkeypatch.setattr(asyncssh.SSHClientConnection, "send_packet", sent)
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    await ssh.until(lambda: len(asked) > 10)
    assert shell.lost is None, "it answers"
    transport = node.sessions[0].channel.get_connection()._transport
    transport.pause_reading()
    with trio.fail_after(30):
        assert await shell.receive() == b""
    assert "no answer to keepalives" in shell.lost
    transport.resume_reading()
    await shell.aclose()
    await ssh.until(lambda: node.connections == 0)


async def test_what_is_the_same_for_all_connections_is_made_once(node, connect, monkeypatch):
    made = []
    prepare = asyncssh.SSHClientConnectionOptions.prepare

    def counted(*args, **settings):
        made.append(settings)
        return prepare(*args, **settings)

    monkeypatch.setattr(asyncssh.SSHClientConnectionOptions, "prepare", counted)
    link.client_options.cache_clear()
    for _ in range(3):
        shell = await connect(node.port, policy=Policy("off"))
        await shell.aclose()
    assert len(made) == 1


async def test_a_node_that_reads_is_not_cut_off(node, connect, ssh, monkeypatch):
    looked_at = []

    def look(connection):
        looked_at.append(count_unread(connection))
        return looked_at[-1]

    monkeypatch.setattr(link, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(link, "count_unread", look)
    shell = await connect(node.port)
    assert count_unread(node.sessions[0].channel.get_connection()) == 0
    await ssh.until(lambda: looked_at[-10:] == [0] * 10)
    await shell.send(b"quit\n")
    received = b""
    while data := await shell.receive():
        received += data
    assert received == b"admin:quit\r\nbye"
    await shell.aclose()


async def test_cancelled_receive_loses_nothing(node, connect):
    shell = await connect(node.port)
    assert await shell.receive() == b"admin:"
    with trio.CancelScope() as scope:
        scope.cancel()
        await shell.receive()
    node.sessions[0].send(b"late")
    assert await shell.receive() == b"late"
    await shell.aclose()


async def test_node_that_opens_no_shell_can_be_tried_again(bridge, connect, ssh):
    for refusal in ({"opens_session": False}, {"opens_pty": False}):
        async with ssh.serve(ssh.node(**refusal)) as node:
            with pytest.raises(NodeFailed) as caught:
                await connect(node.port)
            assert caught.value.failure.code == "connection_lost"
            assert caught.value.failure.retryable
            await ssh.until(lambda node=node: node.connections == 0)
