"""How many connections are open, and which call gets one."""

import socket

import msgspec
import pytest
import trio

from cucmctl import DaemonUnavailable
from cucmtrio import open_client
from rig.scripted_daemon import reply
from system.cucmtrio.conftest import echo


class Echo(msgspec.Struct):
    method: str


@pytest.mark.parametrize("connections", [1, 3])
async def test_more_calls_than_connections_wait(serving, path, connections):
    called, all_called = [], trio.Event()

    async def serve(caller):
        while (call := await caller.call()) is not None:
            called.append(call["method"].rpartition(".")[2])
            await all_called.wait()
            await caller.send(reply({"method": called[-1]}))

    names = [f"M{number}" for number in range(30)]
    async with serving(serve) as daemon, open_client(path, connections=connections) as client:
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(client.call, name, {}, Echo)
                await trio.testing.wait_all_tasks_blocked()
            all_called.set()
        assert daemon.most_open == daemon.connections == connections
    # On several connections a call can come before one that was sent just before it.
    assert (called if connections == 1 else sorted(called, key=names.index)) == names


async def test_cancelled_calls_free_their_places(serving, path):
    async def serve(caller):
        if daemon.connections <= 6:
            await caller.left_after(1)
        await echo(caller)

    async with serving(serve) as daemon, open_client(path, connections=2) as client:
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for name in ("One", "Two", "Three", "Four"):
                    nursery.start_soon(client.call, name, {}, Echo)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            await daemon.until_open(0)
        assert (await client.call("Next", {}, Echo)).method == "Next"
        assert daemon.most_open == 2


async def test_waiting_for_connection_times_out(serving, path, autojump_clock):
    async def serve(caller):
        await caller.left_after(1)

    async with (
        serving(serve),
        open_client(path, timeout=5, connections=1) as client,
        client.replies("Watch", {}, Echo),
    ):
        with pytest.raises(DaemonUnavailable, match="all connections"):
            await client.call("Status", {}, Echo)
        assert trio.current_time() == pytest.approx(5, abs=0.01)


async def test_full_listen_queue_is_retried(path, client):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.call, "Status", {}, Echo)
            await trio.testing.wait_all_tasks_blocked()
            listener.accept()[0].close()
            second = await trio.to_thread.run_sync(listener.accept)
            with second[0]:
                second[0].sendall(reply({"method": "Status"}))


@pytest.mark.parametrize("path", ["/nowhere/sock", "/" + "x" * 200, "a\0b"])
async def test_missing_socket_is_daemon_unavailable(path):
    async with open_client(path) as client:
        with pytest.raises(DaemonUnavailable):
            await client.call("Status", {}, Echo)
