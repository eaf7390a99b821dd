"""A shell is closed in order, or cut when the grace period ends, and leaves no socket."""

import trio
import trio.testing

from cucmd.ssh.bridge import run_callbacks


async def test_close_sends_eof_and_disconnect(node, connect, ssh):
    before = ssh.open_sockets()
    shell = await connect(node.port)
    await shell.aclose()
    assert ssh.sockets_to(node.port) == []
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    assert node.events == ["password", "eof", "session closed", "disconnected in order"]


async def test_grace_period_ends_the_wait(node, connect, ssh, mock_clock):
    """Virtual time passes only by `jump`, so a longer wait than the grace period would hang."""
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
    assert ssh.sockets_to(node.port) == []
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)


async def test_cancelled_close_still_disconnects(node, connect, ssh):
    before = ssh.open_sockets()
    shell = await connect(node.port)
    with trio.CancelScope() as scope:
        scope.cancel()
        await shell.aclose()
    assert scope.cancelled_caught
    assert ssh.sockets_to(node.port) == []
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    assert node.events[1:] == ["eof", "session closed", "disconnected in order"]
