"""`start` and `retry` make one job, even if the connection breaks during the call."""

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
    """A method, and a function that calls it."""
    return request.param


@pytest.fixture
def client(canned):
    with Client(canned.path) as client:
        yield client


def keys(canned):
    return [parameters.get("start_key") for _, parameters in canned.calls]


def test_cut_off_call_is_repeated(canned, client, job, each):
    method, call = each
    canned.on_each(method, (None,), (None,), (canned.reply({"job": job("running")}),))
    assert call(client).job_id == "3f2a00112233"
    first, second, third = canned.calls
    assert first == second == third
    assert keys(canned)[0]


def test_calls_have_different_keys(canned, client, job, each):
    method, call = each
    canned.on(method, canned.reply({"job": job("running")}))
    call(client)
    call(client)
    assert len({*keys(canned)}) == 2


def test_own_key_is_sent(canned, client, job, each):
    method, call = each
    canned.on_each(method, (None,), (canned.reply({"job": job("running")}),))
    call(client, start_key="case-7")
    assert keys(canned) == ["case-7", "case-7"]


def test_call_is_repeated_until_its_deadline(canned, each):
    method, call = each
    canned.on(method, None)
    with Client(canned.path, timeout=0.5) as client, pytest.raises(cucmctl.ConnectionLost):
        call(client)
    assert len(canned.calls) > 1
    assert len({*keys(canned)}) == 1


def test_shutdown_is_retried_after_a_cut(canned, client, job, each):
    method, call = each
    stops = canned.error("ShuttingDown")
    canned.on_each(method, (stops,), (None,), (stops,), (canned.reply({"job": job("running")}),))
    with pytest.raises(cucmctl.ShuttingDown):
        call(client)
    assert call(client).job_id == "3f2a00112233"
    assert len(canned.calls) == 4


def test_refusal_ends_the_retries(canned, client, each):
    method, call = each
    canned.on_each(method, (None,), (canned.error("LimitReached", limit="jobs", maximum=4),))
    with pytest.raises(cucmctl.LimitReached):
        call(client)
