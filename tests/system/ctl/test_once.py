"""`start` and `retry` of `Client`, when the connection breaks in the middle: one job."""

import pytest

import cucmctl
from cucmctl import Client, Collection, Login
from rig.asking import with_how


def start(client, **more):
    any_login, anything = Login(credential="lab"), Collection(paths=("x",))
    return client.start(["a"], login=any_login, work=anything, **with_how(more))


def retry(client, **more):
    return client.retry("3f2a", ["a"], **more)


@pytest.fixture(params=[("Start", start), ("Retry", retry)], ids=lambda each: each[0])
def each(request):
    """A method, and a call of it."""
    return request.param


@pytest.fixture
def client(canned):
    with Client(canned.path) as client:
        yield client


def keys(canned):
    return [parameters.get("start_key") for _, parameters in canned.calls]


def test_a_call_that_is_cut_off_is_made_again_with_its_key(canned, client, job, each):
    method, call = each
    canned.on_each(method, (None,), (None,), (canned.reply({"job": job("running")}),))
    assert call(client).job_id == "3f2a00112233"
    first, second, third = canned.calls
    assert first == second == third
    assert keys(canned)[0]


def test_every_call_has_a_key_of_its_own(canned, client, job, each):
    method, call = each
    canned.on(method, canned.reply({"job": job("running")}))
    call(client)
    call(client)
    assert len({*keys(canned)}) == 2


def test_a_key_of_the_callers_own_is_sent(canned, client, job, each):
    method, call = each
    canned.on_each(method, (None,), (canned.reply({"job": job("running")}),))
    call(client, start_key="case-7")
    assert keys(canned) == ["case-7", "case-7"]


def test_a_daemon_that_does_not_come_back_is_asked_until_the_end_of_the_call(canned, each):
    method, call = each
    canned.on(method, None)
    with Client(canned.path, timeout=0.5) as client, pytest.raises(cucmctl.ConnectionLost):
        call(client)
    assert len(canned.calls) > 1
    assert len({*keys(canned)}) == 1


def test_a_daemon_that_was_never_there_is_not_waited_for(tmp_path, each):
    with Client(tmp_path / "none") as client, pytest.raises(cucmctl.DaemonUnavailable) as caught:
        each[1](client)
    assert not isinstance(caught.value, cucmctl.ConnectionLost)


def test_a_daemon_that_stops_is_asked_again_only_after_a_call_that_was_cut_off(
    canned, client, job, each
):
    method, call = each
    stops = canned.error("ShuttingDown")
    canned.on_each(method, (stops,), (None,), (stops,), (canned.reply({"job": job("running")}),))
    with pytest.raises(cucmctl.ShuttingDown):
        call(client)
    assert call(client).job_id == "3f2a00112233"
    assert len(canned.calls) == 4


def test_a_refusal_after_a_call_that_was_cut_off_is_the_answer(canned, client, each):
    method, call = each
    canned.on_each(method, (None,), (canned.error("LimitReached", limit="jobs", maximum=4),))
    with pytest.raises(cucmctl.LimitReached):
        call(client)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("Start", "start a --path x --credential c"), ("Retry", "retry 3f2a --credential c")],
)
def test_the_command_line_makes_one_job_too(canned, ctl, job, method, arguments):
    canned.on("Status", canned.reply({"job": job("failed")}))
    canned.on_each(method, (None,), (canned.reply({"job": job("running")}),))
    done = ctl(*arguments.split())
    assert (done.returncode, done.stdout) == (0, "3f2a00112233\n")
    first, second = (call for call in canned.calls if call[0] == method)
    assert first == second
    assert first[1]["start_key"]
