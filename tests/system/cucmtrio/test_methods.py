"""The methods of `Client` on trio: those of the blocking one, with its arguments and results."""

import inspect

import pytest
import trio

import cucmctl
import cucmtrio
from cucmctl import Collection, Commands, ConnectionLost, DaemonUnavailable, JobNotFound, Login
from cucmctl.client import methods
from cucmtrio import open_client
from rig.asking import SHORT_FORMS
from rig.scripted_daemon import refusal, reply
from system.ctl.conftest import make_job, make_node, make_summary

LOGIN = Login(credential="lab")
ONLY_BLOCKING = {"call", "close", "connect", "start_cluster"}
OWN_ARGUMENTS = {"wait", "watch"}


def methods_of(client):
    return {name for name in dir(client) if not name.startswith("_")}


def arguments(function):
    given = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in given if one.name != "self"]


def test_it_has_the_methods_of_the_blocking_client():
    assert methods_of(cucmctl.Client) - methods_of(cucmtrio.Client) == ONLY_BLOCKING - {
        "call",
        "close",
    }


@pytest.mark.parametrize("name", sorted(methods_of(cucmctl.Client) - ONLY_BLOCKING - OWN_ARGUMENTS))
def test_each_method_has_the_arguments_of_the_blocking_one(name):
    blocking = arguments(getattr(cucmctl.Client, name))
    assert arguments(getattr(cucmtrio.Client, name)) == blocking
    made_by = getattr(methods, name, None)
    if made_by is not None and name != "export":  # which asks for open files too
        assert arguments(made_by) == blocking


def answering(*replies):
    """Sends the next of these at each call, and the last at all later ones; None closes the
    connection.
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


async def test_a_start_that_is_cut_off_is_made_again_with_its_key(serving, client, autojump_clock):
    serve = answering(None, None, STARTED)
    async with serving(serve):
        job = await client.start(["a"], Commands(("show status",)), login=LOGIN)
    assert job.job_id == "3f2a00112233"
    keys = [call["parameters"]["start_key"] for call in serve.calls]
    assert len(keys) == 3
    assert len({*keys}) == 1


@pytest.mark.parametrize(("name", "arguments", "asked"), SHORT_FORMS)
async def test_a_short_form_starts_its_kind_of_work(serving, client, name, arguments, asked):
    serve = answering(STARTED)
    async with serving(serve):
        job = await getattr(client, name)(*arguments, login=LOGIN)
    assert job.job_id == "3f2a00112233"
    sent = serve.calls[0]["parameters"]
    assert (sent["nodes"], sent.get(asked[0])) == (["a"], asked[1])


async def test_a_retry_is_made_again_while_the_daemon_is_away(
    serving, path, client, autojump_clock
):
    retried = trio.Event()

    async def retry():
        assert (await client.retry("3f2a")).status == "running"
        retried.set()

    async with trio.open_nursery() as nursery:
        async with serving(answering(None)) as daemon:
            nursery.start_soon(retry)
            await daemon.until_open(1)
            await daemon.until_open(0)
        await trio.sleep(5)
        async with serving(answering(STARTED)):
            await retried.wait()


async def test_a_start_that_is_never_answered_is_lost_at_the_end_of_a_call(
    serving, path, autojump_clock
):
    async with serving(answering(None)), open_client(path, timeout=7) as client:
        with pytest.raises(ConnectionLost):
            await client.start(["a"], Collection(paths=("x",)), login=LOGIN)
    assert trio.current_time() == pytest.approx(7, abs=0.01)


async def test_a_start_that_is_cancelled_is_not_made_again(serving, client, autojump_clock):
    serve = answering(None)
    async with serving(serve):
        with trio.move_on_after(0.01):
            await client.start(["a"], Collection(paths=("x",)), login=LOGIN)
        await trio.sleep(60)
    assert len(serve.calls) == 1


async def test_one_text_for_a_list_is_refused(serving, client):
    async with serving(answering(None)) as daemon:
        with pytest.raises(TypeError, match="single text"):
            await client.cancel("3f2a", "berlin")
        assert daemon.connections == 0


async def test_a_list_is_of_what_fits(serving, client):
    serve = answering(reply({"jobs": [make_summary()]}))
    async with serving(serve):
        (job,) = await client.list(status="running", limit=5)
    assert job.job_id == "3f2a00112233"
    assert serve.calls[0]["parameters"] == {"status": "running", "limit": 5}


async def test_the_files_of_several_replies_come_one_by_one(serving, client):
    def files(*names):
        one = {"node": "a", "size": 1, "complete": True, "exported": True}
        return {"files": [{**one, "path": name} for name in names]}

    several = (
        reply(files("a", "b"), continues=True) + reply(files(), continues=True) + reply(files("c"))
    )
    async with serving(answering(several)), client.files("3f2a") as found:
        assert [file.path async for file in found] == ["a", "b", "c"]


async def test_an_output_without_a_piece_is_its_end(serving, client):
    piece = {"node": "a", "number": 1, "command": "x", "text": "y", "ended": True, "complete": True}
    several = reply({"output": piece}, continues=True) + reply({})
    async with serving(answering(several)), client.output("3f2a") as pieces:
        assert [piece.text async for piece in pieces] == ["y"]


async def test_a_job_that_is_not_there_is_raised_by_the_first_step(serving, client):
    async with serving(answering(refusal("JobNotFound", job_id="beef"))):
        with pytest.raises(JobNotFound):
            async with client.transcript("beef", "a") as pieces:
                await anext(pieces)


EXPORT = {"job_id": "3f2a", "name": "x", "length": 10, "files": 1, "bytes": 5, "left_out": 0}


async def test_an_export_is_its_bytes(serving, client):
    async def serve(caller):
        assert (await caller.call())["upgrade"]
        await caller.send(reply(EXPORT) + b"0123")
        await caller.send(b"456789")

    async with serving(serve), client.export("3f2a") as (answer, stream):
        assert answer.files == 1
        assert b"".join([piece async for piece in stream]) == b"0123456789"


@pytest.mark.parametrize("came", [0, 1, 9])
async def test_an_export_that_is_cut_off_is_no_end(serving, client, came):
    async def serve(caller):
        await caller.call()
        await caller.send(reply(EXPORT) + b"x" * came)

    async with serving(serve), client.export("3f2a") as (_, stream):
        with pytest.raises(DaemonUnavailable, match=f"{10 - came} bytes"):
            _ = [piece async for piece in stream]


async def test_an_export_that_goes_on_no_more_is_no_end(serving, client, autojump_clock):
    async def serve(caller):
        await caller.call()
        await caller.send(reply(EXPORT) + b"x")
        await caller.left()

    async with serving(serve), client.export("3f2a") as (_, stream):
        assert await stream.receive_some() == b"x"
        with pytest.raises(DaemonUnavailable, match="9 bytes"):
            await stream.receive_some()


async def test_a_wait_outlives_a_restart(serving, client, autojump_clock):
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


async def test_a_wait_for_a_daemon_that_does_not_come_back_ends(serving, client, autojump_clock):
    async with serving(answering(None)):
        pass
    with pytest.raises(DaemonUnavailable):
        await client.wait("3f2a", reconnect=30)
    assert trio.current_time() == pytest.approx(30, abs=0.01)
