"""Calls with one reply. No call gets the reply of another one."""

import msgspec
import pytest
import trio

from cucmctl import ConnectionLost, JobNotFound
from cucmtrio import open_client
from rig.scripted_daemon import refusal, reply
from system.cucmtrio.conftest import echo


class Echo(msgspec.Struct):
    method: str


async def test_one_connection_serves_many_calls(serving, client):
    async with serving(echo) as daemon:
        for name in ("One", "Two", "Three"):
            assert (await client.call(name, {}, Echo)).method == name
        assert daemon.connections == 1


async def cancelled_call(client, reached):
    """Makes a call and cancels it once `reached` has returned."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, "Slow", {"text": "x" * 900_000}, Echo)
        await reached()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("phase", ["connected", "sent", "half a reply", "a reply too late"])
async def test_cancelled_call_leaves_nothing_behind(serving, client, phase):
    reached, late = trio.Event(), trio.Event()

    async def serve(caller):
        if late.is_set():
            return await echo(caller)
        if phase == "connected":  # and not all of the call fits into the socket
            reached.set()
            await late.wait()
            return None
        await caller.call()
        if phase == "half a reply":
            await caller.send(reply({"method": "Slow"})[:-5])
            await trio.testing.wait_all_tasks_blocked()
        reached.set()
        await late.wait()
        if phase == "a reply too late":
            await caller.send(reply({"method": "Slow"}))
        await caller.left()
        return None

    async with serving(serve) as daemon:
        await cancelled_call(client, reached.wait)
        late.set()
        assert (await client.call("Next", {}, Echo)).method == "Next"
        await daemon.until_open(1)
        assert daemon.connections == 2


@pytest.mark.parametrize("sent", [b"", b'{"parameters": {"meth'])
async def test_dying_daemon_is_connection_lost(serving, client, sent):
    async def serve(caller):
        await caller.call()
        await caller.send(sent)

    async with serving(serve) as daemon:
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await client.call("Status", {}, Echo)
        assert daemon.connections == 2


async def test_connection_is_kept_after_refusal(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(refusal("JobNotFound", job_id="beef"))
        await echo(caller)

    async with serving(serve) as daemon:
        with pytest.raises(JobNotFound) as caught:
            await client.call("Status", {}, Echo)
        assert caught.value.parameters.job_id == "beef"
        await client.call("Status", {}, Echo)
        assert daemon.connections == 1


async def test_restarted_daemon_is_called_again(serving, client):
    async with serving(echo):
        await client.call("One", {}, Echo)
    async with serving(echo):
        assert (await client.call("Two", {}, Echo)).method == "Two"


async def test_error_before_close_is_read(serving, client):
    """A daemon at its limit sends an error and closes before it has read the call."""

    async def serve(caller):
        await caller.send(refusal("JobNotFound", job_id="beef"))

    async with serving(serve):
        with pytest.raises(JobNotFound):
            await client.call("Status", {"text": "x" * 900_000}, Echo)


async def test_closed_client_opens_no_connection(serving, path):
    async with serving(echo) as daemon:
        async with open_client(path) as client:
            await client.call("One", {}, Echo)
        await daemon.until_open(0)
        with pytest.raises(trio.ClosedResourceError):
            await client.call("Two", {}, Echo)
        assert daemon.connections == 1
