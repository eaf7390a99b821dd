"""Says how many connections there are, and who gets one."""

import socket

import msgspec
import pytest
import trio

from cucmctl import DaemonUnavailable, NotPermitted
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


async def test_cancelled_calls_give_their_place_back(serving, path):
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


async def test_who_waits_for_a_connection_has_the_time_of_a_call(serving, path, autojump_clock):
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


async def test_a_full_queue_of_the_listener_is_waited_for(path, client):
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


async def test_a_full_queue_is_not_waited_for_for_ever(path, autojump_clock):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        async with open_client(path, timeout=3) as client:
            with pytest.raises(DaemonUnavailable):
                await client.call("Status", {}, Echo)


@pytest.mark.parametrize("path", ["/nowhere/sock", "/" + "x" * 200, "a\0b"])
async def test_where_there_is_no_socket_there_is_no_daemon(path):
    async with open_client(path) as client:
        with pytest.raises(DaemonUnavailable):
            await client.call("Status", {}, Echo)


async def test_a_socket_that_the_kernel_refuses_is_not_permitted(path, client, monkeypatch):
    class Refusing(socket.socket):
        def connect(self, address):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("cucmtrio.wire.socket.socket", Refusing)
    with pytest.raises(NotPermitted):
        await client.call("Status", {}, Echo)
