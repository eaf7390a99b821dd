"""The methods of `Client` on trio have the arguments and results of the blocking client."""

import inspect

import pytest
import trio

import cucmctl
import cucmtrio
from cucmctl import Collection, Commands, ConnectionLost, DaemonUnavailable, Login
from cucmctl.client import methods
from cucmtrio import open_client
from rig.scripted_daemon import reply
from system.ctl.conftest import make_job, make_node

LOGIN = Login(credential="lab")
ONLY_BLOCKING = {"call", "close", "connect", "start_cluster"}
OWN_ARGUMENTS = {"wait", "watch"}


def methods_of(client):
    return {name for name in dir(client) if not name.startswith("_")}


def arguments(function):
    given = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in given if one.name != "self"]


def test_methods_of_blocking_client():
    assert methods_of(cucmctl.Client) - methods_of(cucmtrio.Client) == ONLY_BLOCKING - {
        "call",
        "close",
    }


@pytest.mark.parametrize("name", sorted(methods_of(cucmctl.Client) - ONLY_BLOCKING - OWN_ARGUMENTS))
def test_arguments_of_blocking_client(name):
    blocking = arguments(getattr(cucmctl.Client, name))
    assert arguments(getattr(cucmtrio.Client, name)) == blocking
    made_by = getattr(methods, name, None)
    if made_by is not None and name != "export":  # which asks for open files too
        assert arguments(made_by) == blocking


def answering(*replies):
    """Answers each call with the next of these replies, and later calls with the last. None closes
    the connection.
    """
    left, calls = list(replies), []

    async def serve(caller):
        while (call := await caller.call()) is not None:
            calls.append(call)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is None:
                return
            await caller.send(answer)

    serve.calls = calls
    return serve


STARTED = reply({"job": make_job("running")})


async def test_interrupted_start_is_repeated(serving, client, autojump_clock):
    serve = answering(None, None, STARTED)
    async with serving(serve):
        job = await client.start(["a"], Commands(("show status",)), login=LOGIN)
    assert job.job_id == "3f2a00112233"
    keys = [call["parameters"]["start_key"] for call in serve.calls]
    assert len(keys) == 3
    assert len({*keys}) == 1


async def test_unanswered_start_times_out(serving, path, autojump_clock):
    async with serving(answering(None)), open_client(path, timeout=7) as client:
        with pytest.raises(ConnectionLost):
            await client.start(["a"], Collection(paths=("x",)), login=LOGIN)
    assert trio.current_time() == pytest.approx(7, abs=0.01)


async def test_cancelled_start_is_not_repeated(serving, client, autojump_clock):
    serve = answering(None)
    async with serving(serve):
        with trio.move_on_after(0.01):
            await client.start(["a"], Collection(paths=("x",)), login=LOGIN)
        await trio.sleep(60)
    assert len(serve.calls) == 1


EXPORT = {"job_id": "3f2a", "name": "x", "length": 10, "files": 1, "bytes": 5, "left_out": 0}


@pytest.mark.parametrize("came", [0, 1, 9])
async def test_interrupted_export_raises(serving, client, came):
    async def serve(caller):
        await caller.call()
        await caller.send(reply(EXPORT) + b"x" * came)

    async with serving(serve), client.export("3f2a") as (_, stream):
        with pytest.raises(DaemonUnavailable, match=f"{10 - came} bytes"):
            _ = [piece async for piece in stream]


async def test_silent_export_raises(serving, client, autojump_clock):
    async def serve(caller):
        await caller.call()
        await caller.send(reply(EXPORT) + b"x")
        await caller.left()

    async with serving(serve), client.export("3f2a") as (_, stream):
        assert await stream.receive_some() == b"x"
        with pytest.raises(DaemonUnavailable, match="9 bytes"):
            await stream.receive_some()


async def test_wait_survives_a_restart(serving, client, autojump_clock):
    def state(status, *, continues):
        job = make_job(status, make_node(), revision=3 if status == "running" else 4)
        return reply({"sequence": 0, "missed": 0, "job": job}, continues=continues)

    async def serve(caller):
        call = await caller.call()
        asked.append(call["parameters"]["job_id"])
        answers = [state("running", continues=True), b"", state("partial", continues=False)]
        await caller.send(answers[len(asked) - 1])

    asked = []
    async with serving(serve):
        assert (await client.wait("3f2a")).status == "partial"
    # by its whole id: the beginning of it may fit another job by then
    assert asked == ["3f2a", "3f2a00112233", "3f2a00112233"]
