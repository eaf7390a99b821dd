"""Calls with several replies, and those that leave Varlink: read to the end, or left early."""

import msgspec
import pytest
import trio

from cucmctl import ConnectionLost, DaemonUnavailable, JobNotFound
from cucmtrio import open_client
from rig.scripted_daemon import refusal, reply
from system.cucmtrio.conftest import echo


class Echo(msgspec.Struct):
    method: str


class Number(msgspec.Struct):
    number: int


def counting(to):
    """Answers a call with numbers, and goes on as `echo` does."""

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


async def test_replies_come_in_their_order_and_end(serving, client):
    async with serving(counting(50)), client.replies("Files", {}, Number) as replies:
        assert [one.number async for one in replies] == [*range(51)]
        assert [one.number async for one in replies] == []


async def test_the_connection_of_a_stream_that_has_ended_is_used_again(serving, client):
    async with serving(counting(2)) as daemon:
        async with client.replies("Files", {}, Number) as replies:
            assert len([one async for one in replies]) == 3
        assert (await client.call("Status", {}, Echo)).method == "Status"
        assert daemon.connections == 1


async def test_a_stream_that_is_left_early_is_closed(serving, client):
    async with serving(endless) as daemon:
        async with client.replies("Watch", {}, Number) as replies:
            await anext(replies)
        await daemon.until_open(0)
        with pytest.raises(trio.ClosedResourceError):
            await anext(replies)
        daemon.serve = echo
        assert (await client.call("Status", {}, Echo)).method == "Status"


async def test_a_stream_that_is_left_by_an_error_is_closed(serving, client):
    async with serving(endless) as daemon:
        with pytest.raises(ZeroDivisionError):
            async with client.replies("Watch", {}, Number):
                raise ZeroDivisionError
        await daemon.until_open(0)


async def test_other_calls_go_on_beside_a_stream(serving, client):
    async def serve(caller):
        await (endless if daemon.connections == 1 else echo)(caller)

    async with serving(serve) as daemon, client.replies("Watch", {}, Number) as replies:
        await anext(replies)
        assert (await client.call("Status", {}, Echo)).method == "Status"


async def test_a_step_that_is_cancelled_loses_no_reply(serving, client, autojump_clock):
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


async def test_what_the_daemon_refuses_is_raised_by_the_first_step(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(refusal("JobNotFound", job_id="beef"))
        await caller.left()

    async with serving(serve), client.replies("Watch", {}, Number) as replies:
        with pytest.raises(JobNotFound):
            await anext(replies)


async def test_an_error_in_the_middle_of_a_stream_is_raised(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(reply({"number": 0}, continues=True))
        await caller.send(refusal("JobNotFound", job_id="beef"))
        await caller.left()

    async with serving(serve), client.replies("Files", {}, Number) as replies:
        assert (await anext(replies)).number == 0
        with pytest.raises(JobNotFound):
            await anext(replies)


async def test_a_daemon_that_dies_in_the_middle_of_a_stream_is_no_end(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(reply({"number": 0}, continues=True))

    async with serving(serve):
        with pytest.raises(ConnectionLost):
            async with client.replies("Files", {}, Number) as replies:
                assert [one.number async for one in replies] == [0]


async def test_a_stream_may_be_silent_for_longer_than_a_call(serving, path, autojump_clock):
    async def serve(caller):
        await caller.call()
        await trio.sleep(3600)
        await caller.send(reply({"number": 1}))
        await caller.left()

    async with (
        serving(serve),
        open_client(path, timeout=5) as client,
        client.replies("Output", {}, Number) as replies,
    ):
        assert [one.number async for one in replies] == [1]


async def test_a_daemon_that_does_not_read_the_call_is_not_waited_for_for_ever(
    serving, path, autojump_clock
):
    async def serve(caller):
        await trio.sleep_forever()

    async with serving(serve), open_client(path, timeout=5) as client:
        with pytest.raises(DaemonUnavailable):
            async with client.replies("Output", {"text": "x" * 900_000}, Number):
                pass


# After an upgrade


def following(data, pieces):
    """Answers an upgrade, and sends this in pieces after it; the first with the reply."""

    async def serve(caller):
        call = await caller.call()
        assert call["upgrade"]
        whole = reply({"number": len(data)}) + data
        size = max(1, len(whole) // pieces)
        for at in range(0, len(whole), size):
            await caller.send(whole[at : at + size])

    return serve


@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
async def test_what_follows_an_upgrade_is_whole(serving, client, pieces):
    data = bytes(range(256)) * 2000 + b"\0\0"
    async with serving(following(data, pieces)) as daemon:
        async with client.upgraded("Export", {}, Number) as (answer, stream):
            assert answer.number == len(data)
            assert b"".join([piece async for piece in stream]) == data
        await daemon.until_open(0)


async def test_of_what_follows_no_more_is_given_than_is_asked_for(serving, client):
    async with (
        serving(following(b"abc", 1)),
        client.upgraded("Export", {}, Number) as (_, stream),
    ):
        pieces = [await stream.receive_some(1) for _ in range(4)]
        assert pieces == [b"a", b"b", b"c", b""]


async def test_an_upgrade_that_is_left_early_is_closed(serving, client):
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


async def test_an_upgrade_that_is_refused_is_raised(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(refusal("JobNotFound", job_id="beef"))
        await caller.left()

    async with serving(serve) as daemon:
        with pytest.raises(JobNotFound):
            async with client.upgraded("Export", {}, Number):
                pass
        await daemon.until_open(0)
