"""Closing: in order if the node plays along, bounded if not, and no socket is left either way."""

import time

import pytest
import trio

from cucmd.ssh.bridge import run_callbacks


async def test_closes_in_order_and_sends_the_node_a_disconnect(node, connect, ssh):
    before = ssh.open_sockets()
    shell = await connect(node.port)
    await shell.aclose()
    assert ssh.sockets_to(node.port) == 0
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    assert node.events == ["password", "eof", "session closed", "disconnected in order"]


async def test_closing_again_does_no_harm(node, connect):
    shell = await connect(node.port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shell.aclose)
        nursery.start_soon(shell.aclose)
    await shell.aclose()


async def test_node_that_stops_reading_is_cut_when_the_grace_is_over(node, connect, ssh):
    before = ssh.open_sockets()
    shell = await connect(node.port)
    transport = node.sessions[0].channel.get_connection()._transport
    transport.pause_reading()
    await run_callbacks()
    began = trio.current_time()
    with trio.move_on_after(0.2) as grace:
        await shell.aclose()
    assert grace.cancelled_caught
    assert trio.current_time() - began < 0.7
    transport.resume_reading()
    assert ssh.sockets_to(node.port) == 0
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)


async def test_close_in_a_cancelled_scope_still_sends_a_disconnect(node, connect, ssh):
    before = ssh.open_sockets()
    shell = await connect(node.port)
    with trio.CancelScope() as scope:
        scope.cancel()
        await shell.aclose()
    assert scope.cancelled_caught
    assert ssh.sockets_to(node.port) == 0
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    assert node.events[1:] == ["eof", "session closed", "disconnected in order"]


@pytest.mark.long
@pytest.mark.parametrize("count", [400])
async def test_400_idle_shells_close_within_a_second(node, connect, ssh, count):
    before = ssh.open_sockets()
    shells = []

    async def open_one():
        shells.append(await connect(node.port))

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(open_one)
    opened = time.perf_counter() - began
    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for shell in shells:
            nursery.start_soon(shell.aclose)
    closed = time.perf_counter() - began
    print(f"{count} shells: opened in {opened:.2f} s, closed in {closed:.2f} s")
    assert ssh.sockets_to(node.port) == 0
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    # The aim is 1 s (measured: 0.4 s, the node's side included); a busy machine gets some slack.
    assert closed < 3
