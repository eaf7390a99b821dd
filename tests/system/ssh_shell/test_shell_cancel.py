"""A cancel at any step of opening or closing a shell leaves no socket on either side."""

import pytest
import trio

from cucmd.ssh.bridge import run_callbacks


class CancelAfter(trio.abc.Instrument):
    """Cancels a scope after so many steps of trio's scheduler."""

    def __init__(self, scope, steps):
        self.scope, self.left = scope, steps

    def after_task_step(self, task):
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def cancelled_after(steps, proc):
    """Runs `proc` with a cancel after so many steps. Returns whether it ended before the cancel."""
    with trio.CancelScope() as scope:
        instrument = CancelAfter(scope, steps)
        trio.lowlevel.add_instrument(instrument)
        try:
            await proc()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return not scope.cancelled_caught


async def gone(ssh, node, before):
    """Waits until the node's side has closed its socket too, some turns after ours."""
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)


@pytest.mark.long
@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_cancel_at_every_step_of_opening(bridge, connect, ssh, method):
    async with ssh.serve(ssh.node(methods=(method,))) as node:
        before = ssh.open_sockets()

        async def open_and_close():
            shell = await connect(node.port)
            await shell.aclose()

        steps, finished = 0, False
        while not finished:
            steps += 1
            finished = await cancelled_after(steps, open_and_close)
            assert ssh.sockets_to(node.port) == [], f"cancelled after {steps} steps"
            await gone(ssh, node, before)
        assert steps > 50  # so the cancels came at many different moments


async def test_cancel_at_every_step_of_closing(node, connect, ssh):
    before = ssh.open_sockets()
    steps, finished = 0, False
    while not finished:
        shell = await connect(node.port)
        steps += 1
        finished = await cancelled_after(steps, shell.aclose)
        assert ssh.sockets_to(node.port) == [], f"cancelled after {steps} steps"
        await gone(ssh, node, before)
    assert steps > 3


async def silence(stream):
    await trio.sleep_forever()


async def greeting_then_silence(stream):
    await stream.send_all(b"SSH-2.0-OpenSSH_5.3\r\n")
    await trio.sleep_forever()


async def half_a_greeting(stream):
    await stream.send_all(b"SSH-2.0-Open")
    await trio.sleep_forever()


@pytest.mark.parametrize("peer", [silence, half_a_greeting, greeting_then_silence])
async def test_cancel_leaves_silent_peer(bridge, connect, ssh, peer):
    left = trio.Event()
    there = trio.Event()

    async def handler(stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer, stream)
            async for _ in stream:
                there.set()
            left.set()
            nursery.cancel_scope.cancel()
        await stream.aclose()

    async with ssh.raw_peer(handler) as port:
        before = ssh.open_sockets()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connect, port)
                await there.wait()
                for _ in range(20):
                    await run_callbacks()
                scope.cancel()
        with trio.fail_after(5):
            await left.wait()
        await ssh.until(lambda: ssh.open_sockets() == before)
