"""Calls with one reply: each has its own, whatever became of those before."""

import msgspec
import pytest
import trio

from cucmctl import ConnectionLost, DaemonUnavailable, InvalidRequest, JobNotFound, ProtocolError
from cucmctl.client import frames
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


async def test_calls_at_the_same_time_have_each_its_own_reply(serving, client):
    replies = {}

    async def ask(name):
        replies[name] = (await client.call(name, {}, Echo)).method

    async with serving(echo), trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(ask, f"M{number}")
    assert replies == {name: name for name in replies}
    assert len(replies) == 20


async def cancelled_call(client, reached):
    """Calls, and is cancelled once `reached` has ended."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, "Slow", {"text": "x" * 900_000}, Echo)
        await reached()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("phase", ["connected", "sent", "half a reply", "a reply too late"])
async def test_a_call_that_is_cancelled_leaves_nothing_for_the_next(serving, client, phase):
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


async def test_a_call_that_is_cancelled_while_it_waits_for_a_connection_has_not_happened(
    serving, path
):
    called, go_on = [], trio.Event()

    async def serve(caller):
        while (call := await caller.call()) is not None:
            called.append(call["method"].rpartition(".")[2])
            await go_on.wait()
            await caller.send(reply({"method": called[-1]}))

    async with (
        serving(serve) as daemon,
        open_client(path, connections=1) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.call, "First", {}, Echo)
        await trio.testing.wait_all_tasks_blocked()
        await cancelled_call(client, trio.testing.wait_all_tasks_blocked)
        go_on.set()
        assert (await client.call("Third", {}, Echo)).method == "Third"
        assert (called, daemon.connections) == (["First", "Third"], 1)


async def test_a_reply_may_come_in_pieces(serving, client):
    frame = reply({"method": "ü" * 3})

    async def serve(caller):
        for at in range(1, len(frame)):
            await caller.call()
            await caller.send(frame[:at])
            await trio.testing.wait_all_tasks_blocked()
            await caller.send(frame[at:])
        await caller.left()

    async with serving(serve) as daemon:
        for _ in range(1, len(frame)):
            assert (await client.call("Split", {}, Echo)).method == "ü" * 3
        assert daemon.connections == 1


@pytest.mark.parametrize("sent", [b"", b'{"parameters": {"meth'])
async def test_a_daemon_that_dies_in_the_middle_is_a_connection_lost(serving, client, sent):
    async def serve(caller):
        await caller.call()
        await caller.send(sent)

    async with serving(serve) as daemon:
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await client.call("Status", {}, Echo)
        assert daemon.connections == 2


async def test_a_reply_without_end_is_not_kept(serving, client, monkeypatch):
    monkeypatch.setattr(frames, "LONGEST_REPLY", 100_000)

    async def serve(caller):
        await caller.call()
        await caller.flood(b"x" * 10_000)

    async with serving(serve) as daemon:
        with pytest.raises(ProtocolError):
            await client.call("Status", {}, Echo)
        await daemon.until_open(0)


async def test_what_is_no_reply_is_a_protocol_error(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(b"HTTP/1.1 400 Bad Request\0")
        await caller.left()

    async with serving(serve):
        with pytest.raises(ProtocolError):
            await client.call("Status", {}, Echo)


async def test_after_a_refusal_the_connection_serves_on(serving, client):
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


async def test_a_daemon_that_was_restarted_is_called_anew(serving, client):
    async with serving(echo):
        await client.call("One", {}, Echo)
    async with serving(echo):
        assert (await client.call("Two", {}, Echo)).method == "Two"


async def test_what_nobody_has_asked_for_is_never_a_reply(serving, client):
    async def serve(caller):
        await caller.call()
        await caller.send(reply({"method": "Status"}) + reply({"method": "Forged"}))
        await echo(caller)

    async with serving(serve) as daemon:
        assert (await client.call("Status", {}, Echo)).method == "Status"
        daemon.serve = echo
        assert (await client.call("Next", {}, Echo)).method == "Next"
        assert daemon.connections == 2


async def test_an_error_that_came_before_the_close_is_read(serving, client):
    """A daemon at its limit answers and closes, before the call has come."""

    async def serve(caller):
        await caller.send(refusal("JobNotFound", job_id="beef"))

    async with serving(serve):
        with pytest.raises(JobNotFound):
            await client.call("Status", {"text": "x" * 900_000}, Echo)


async def test_a_silent_daemon_is_not_waited_for_for_ever(serving, path, autojump_clock):
    async def serve(caller):
        await caller.left_after(1)

    async with serving(serve) as daemon, open_client(path, timeout=7) as client:
        with pytest.raises(DaemonUnavailable) as caught:
            await client.call("Status", {}, Echo)
        assert not isinstance(caught.value, ConnectionLost)
        assert trio.current_time() == pytest.approx(7, abs=0.01)
        await daemon.until_open(0)


async def test_what_may_take_long_is_waited_for(serving, path, autojump_clock):
    async def serve(caller):
        await caller.call()
        await trio.sleep(3600)
        await caller.send(reply({"method": "Delete"}))
        await caller.left()

    async with serving(serve), open_client(path, timeout=7) as client:
        assert (await client.call("Delete", {}, Echo, limited=False)).method == "Delete"


async def test_a_deadline_of_the_callers_own_is_no_error_of_the_daemon(
    serving, client, autojump_clock
):
    async def serve(caller):
        await caller.left_after(1)

    async with serving(serve):
        with pytest.raises(trio.TooSlowError), trio.fail_after(1):
            await client.call("Status", {}, Echo)


async def test_no_daemon_is_an_error_at_once(client):
    with pytest.raises(DaemonUnavailable):
        await client.call("Status", {}, Echo)


async def test_what_cannot_be_sent_opens_no_connection(serving, client):
    async with serving(echo) as daemon:
        with pytest.raises(InvalidRequest):
            await client.call("Status", {"job_id": "x" * 2_000_000}, Echo)
        with pytest.raises(InvalidRequest):
            await client.call("Status", {"job_id": "\udc80"}, Echo)
        with pytest.raises(TypeError):
            await client.call("Status", {"job_id": object()}, Echo)
        assert daemon.connections == 0


async def test_a_client_that_is_closed_opens_no_connection(serving, path):
    async with serving(echo) as daemon:
        async with open_client(path) as client:
            await client.call("One", {}, Echo)
        await daemon.until_open(0)
        with pytest.raises(trio.ClosedResourceError):
            await client.call("Two", {}, Echo)
        assert daemon.connections == 1
