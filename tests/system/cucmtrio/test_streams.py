"""Calls with several replies and upgrades: read to the end, or left early."""

import msgspec
import pytest
import trio

from cucmctl import ConnectionLost
from rig.scripted_daemon import reply
from system.cucmtrio.conftest import echo


class Echo(msgspec.Struct):
    method: str


class Number(msgspec.Struct):
    number: int


def counting(to):
    """Answers a call with these numbers, and later calls as `echo` does."""

    async def serve(caller):
        call = await caller.call()
        assert call["more"]
        for number in range(to + 1):
            await caller.send(reply({"number": number}, continues=number < to))
        await echo(caller)

    return serve


async def endless(caller):
    await caller.call()
    await caller.send(reply({"number": 0}, continues=True))
    await caller.left()


async def test_finished_stream_frees_its_connection(serving, client):
    async with serving(counting(2)) as daemon:
        async with client.replies("Files", {}, Number) as replies:
            assert len([one async for one in replies]) == 3
        assert (await client.call("Status", {}, Echo)).method == "Status"
        assert daemon.connections == 1


async def test_left_stream_closes_its_connection(serving, client):
    async with serving(endless) as daemon:
        async with client.replies("Watch", {}, Number) as replies:
            await anext(replies)
        await daemon.until_open(0)
        with pytest.raises(trio.ClosedResourceError):
            await anext(replies)
        daemon.serve = echo
        assert (await client.call("Status", {}, Echo)).method == "Status"


async def test_cancelled_step_loses_no_reply(serving, client, autojump_clock):
    async def serve(caller):
        await caller.call()
        frame = reply({"number": 1}, continues=True)
        await caller.send(frame[:10])
        await trio.sleep(10)
        await caller.send(frame[10:])
        await caller.send(reply({"number": 2}))
        await caller.left()

    async with serving(serve), client.replies("Watch", {}, Number) as replies:
        for _ in range(5):
            with trio.move_on_after(1) as scope:
                await anext(replies)
            assert scope.cancelled_caught
        assert [one.number async for one in replies] == [1, 2]


async def test_dying_daemon_ends_no_stream(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(reply({"number": 0}, continues=True))

    async with serving(serve):
        with pytest.raises(ConnectionLost):
            async with client.replies("Files", {}, Number) as replies:
                assert [one.number async for one in replies] == [0]


# After an upgrade


def following(data, pieces):
    """Answers an upgrade and sends these bytes after it, in pieces. The first has the reply."""

    async def serve(caller):
        call = await caller.call()
        assert call["upgrade"]
        whole = reply({"number": len(data)}) + data
        size = max(1, len(whole) // pieces)
        for at in range(0, len(whole), size):
            await caller.send(whole[at : at + size])

    return serve


@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
async def test_upgraded_bytes_are_complete(serving, client, pieces):
    data = bytes(range(256)) * 2000 + b"\0\0"
    async with serving(following(data, pieces)) as daemon:
        async with client.upgraded("Export", {}, Number) as (answer, stream):
            assert answer.number == len(data)
            assert b"".join([piece async for piece in stream]) == data
        await daemon.until_open(0)


async def test_left_upgrade_closes_its_connection(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(reply({"number": 1 << 30}))
        await caller.flood(b"x" * 100_000)

    async with serving(serve) as daemon:
        async with client.upgraded("Export", {}, Number) as (_, stream):
            assert len(await stream.receive_some(10)) == 10
        await daemon.until_open(0)
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some(10)
        async with client.upgraded("Export", {}, Number) as (_, stream):
            await stream.aclose()
            await daemon.until_open(0)
