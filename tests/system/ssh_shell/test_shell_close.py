"""Closing: in order if the node plays along, bounded if not, and no socket is left either way."""

import pytest
import trio
import trio.testing

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


async def test_node_that_stops_reading_is_cut_when_the_grace_is_over(
    node, connect, ssh, mock_clock
):
    """Virtual time does not go on by itself: who waits for longer waits for ever."""
    before = ssh.open_sockets()
    shell = await connect(node.port)
    transport = node.sessions[0].channel.get_connection()._transport
    transport.pause_reading()
    await run_callbacks()

    async def let_the_grace_pass():
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(let_the_grace_pass)
        with trio.move_on_after(5) as grace:
            await shell.aclose()
    assert grace.cancelled_caught
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
async def test_400_idle_shells_close_at_once(node, connect, ssh):
    """How long that takes is measured by `tests/bench --only logins`."""
    before = ssh.open_sockets()
    shells = []
    some = trio.CapacityLimiter(20)  # all of them at once take longer than one may

    async def open_one():
        async with some:
            shells.append(await connect(node.port))

    async with trio.open_nursery() as nursery:
        for _ in range(400):
            nursery.start_soon(open_one)
    async with trio.open_nursery() as nursery:
        for shell in shells:
            nursery.start_soon(shell.aclose)
    assert ssh.sockets_to(node.port) == 0
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
