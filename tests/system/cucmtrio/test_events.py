"""`events`, while the daemon goes away and comes back."""

import math

import pytest
import trio

from cucmctl import DaemonUnavailable
from cucmtrio import events, open_client
from rig.scripted_daemon import refusal, reply
from system.ctl.conftest import make_job, make_node, make_summary


class Jobs:
    """A daemon with jobs that the test changes. `instead` has frames that replace the next replies
    to a method.
    """

    def __init__(self):
        self.revisions = {}  # of those that run, by their ids
        self.ended = {}
        self.instead = {}
        self.watches = 0
        self.cut = trio.Event()  # ends the watches, as the end of the daemon does
        self._changed = trio.Condition()
        self._changes = []

    async def serve(self, caller):
        while (call := await caller.call()) is not None:
            method, asked = call["method"].rpartition(".")[2], call["parameters"]
            if self.instead.get(method):
                if (answer := self.instead[method].pop(0)) is None:
                    return
                await caller.send(answer)
            elif method == "Watch":
                await self._watched(caller)
                return
            elif method == "List":
                await caller.send(reply({"jobs": self._listed()}))
            else:
                await caller.send(reply({"job": self._status(asked["job_id"])}))

    async def _watched(self, caller):
        self.watches += 1
        running = [
            make_summary("running", job_id=job_id, revision=revision)
            for job_id, revision in self.revisions.items()
        ]
        begun, cut = len(self._changes), self.cut
        first = {"sequence": 0, "missed": 0, "jobs": running}
        await caller.send(reply(first, continues=True))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_changes, caller, begun)
            nursery.start_soon(self._end_with, caller, nursery.cancel_scope)
            await cut.wait()
            nursery.cancel_scope.cancel()

    async def _end_with(self, caller, scope):
        await caller.left()
        scope.cancel()

    async def _send_changes(self, caller, begun):
        while True:
            async with self._changed:
                while len(self._changes) == begun:
                    await self._changed.wait()
            for change in self._changes[begun:]:
                begun += 1
                await caller.send(
                    reply({"sequence": 1, "missed": 0, "change": change}, continues=True)
                )

    def _status(self, job_id):
        revision = self.revisions.get(job_id) or self.ended[job_id]
        status = "running" if job_id in self.revisions else "succeeded"
        return make_job(status, make_node(), job_id=job_id, revision=revision)

    def _listed(self):
        all_jobs = {**self.revisions, **self.ended}
        return [
            make_summary(
                "running" if job_id in self.revisions else "succeeded",
                job_id=job_id,
                revision=revision,
            )
            for job_id, revision in sorted(all_jobs.items(), reverse=True)
        ]

    async def change(self, job_id, *, ended=False):
        revision = self.revisions.pop(job_id, 0) + 1
        (self.ended if ended else self.revisions)[job_id] = revision
        status = "succeeded" if ended else "running"
        job = make_job(status, make_node(), job_id=job_id)
        names = ("job_id", "status", "cancelled", "started_at", "completed_at", "nodes")
        fields = {name: job[name] for name in names}
        async with self._changed:
            self._changes.append({**fields, "revision": revision, "closed": ended})
            self._changed.notify_all()

    def restart(self):
        before, self.cut = self.cut, trio.Event()
        before.set()


@pytest.fixture
def jobs():
    return Jobs()


class Told:
    """Collects events in a task of its own."""

    def __init__(self):
        self.seen = []
        self._more = trio.Condition()

    async def run(self, client, **options):
        async with events(client, **options) as told:
            async for event in told:
                async with self._more:
                    self.seen.append((event.name, event.job_id, event.job and event.job.revision))
                    self._more.notify_all()

    async def until(self, name, job_id=None, revision=None, *, times=1):
        with trio.fail_after(60):
            async with self._more:
                while self.seen.count((name, job_id, revision)) < times:
                    await self._more.wait()


@pytest.fixture
def told():
    return Told()


BEGUN, AWAY, BACK = [(name, None, None) for name in ("begun", "away", "back")]


async def test_states_then_changes(jobs, serving, client, told, nursery):
    await jobs.change("one")
    async with serving(jobs.serve):
        nursery.start_soon(told.run, client)
        await told.until("state", "one", 1)
        await jobs.change("one")
        await jobs.change("two")
        await told.until("change", "two", 1)
        nursery.cancel_scope.cancel()
    assert told.seen == [("state", "one", 1), BEGUN, ("change", "one", 2), ("change", "two", 1)]


async def test_whole_jobs_are_yielded(jobs, serving, client):
    await jobs.change("one")
    await jobs.change("two")
    async with serving(jobs.serve):
        async with events(client, whole=lambda job_id: job_id == "one") as told:
            states = [await anext(told), await anext(told)]
        client.close()
    assert [hasattr(event.job, "nodes") for event in states] == [True, False]


async def test_restart_loses_and_repeats_nothing(
    jobs, serving, client, told, nursery, autojump_clock
):
    for job_id in ("ends", "goes on", "stays"):
        await jobs.change(job_id)
    async with serving(jobs.serve):
        nursery.start_soon(told.run, client)
        await told.until("state", "stays", 1)
    await told.until(*AWAY)
    before = len(told.seen)
    await trio.sleep(10)
    await jobs.change("ends", ended=True)
    await jobs.change("goes on")
    await jobs.change("new and gone", ended=True)
    async with serving(jobs.serve):
        await told.until(*BACK)
        await jobs.change("goes on")
        await told.until("change", "goes on", 3)
        nursery.cancel_scope.cancel()
    *meanwhile, back, later = told.seen[before:]
    assert sorted(meanwhile) == [
        ("state", "ends", 2),
        ("state", "goes on", 2),
        ("state", "new and gone", 1),
    ]
    assert (back, later) == (BACK, ("change", "goes on", 3))


async def test_late_daemon_is_waited_for(jobs, path, serving, told, nursery, autojump_clock):
    async with open_client(path) as client:
        nursery.start_soon(lambda: told.run(client, reconnect=math.inf))
        await told.until(*AWAY)
        await trio.sleep(4000)
        await jobs.change("one")
        async with serving(jobs.serve):
            await told.until(*BACK)
            nursery.cancel_scope.cancel()
    assert told.seen == [AWAY, BACK] or told.seen == [AWAY, ("state", "one", 1), BACK]


@pytest.mark.parametrize("reconnect", [0, 30])
async def test_reconnect_time_is_limited(client, told, reconnect, autojump_clock):
    with pytest.raises(DaemonUnavailable):
        await told.run(client, reconnect=reconnect)
    assert trio.current_time() == pytest.approx(reconnect, abs=0.01)
    assert told.seen == ([AWAY] if reconnect else [])


async def test_silent_daemon_is_not_back(serving, client, told, autojump_clock):
    """systemd holds the socket like that while the service does not start."""

    async def silent(caller):
        await caller.left_after(1)

    async with serving(silent):
        with pytest.raises(DaemonUnavailable):
            await told.run(client, reconnect=100)
    assert told.seen == [AWAY]


@pytest.mark.parametrize(
    "refused",
    [
        refusal("StorageFailed", reason="the disk is full"),
        refusal("ShuttingDown"),
        refusal("LimitReached", limit="connections", maximum=64),
        None,
    ],
)
@pytest.mark.parametrize("method", ["List", "Status"])
async def test_failed_questions_are_repeated(
    jobs, serving, client, told, nursery, autojump_clock, method, refused
):
    await jobs.change("one")
    await jobs.change("two", ended=True)
    async with serving(jobs.serve):
        nursery.start_soon(told.run, client)
        await told.until("state", "one", 1)
        await jobs.change("one")
        await told.until("change", "one", 2)
        jobs.ended["two"] = 5
        jobs.instead[method] = [refused] * 3
        jobs.restart()
        await told.until(*BACK)
        nursery.cancel_scope.cancel()
    assert told.seen[3:] == [AWAY, ("state", "two", 5), BACK]
    assert jobs.watches == 5


async def test_events_end_with_the_job(serving, client, told):
    async def serve(caller):
        await caller.call()
        first = {"sequence": 0, "missed": 0, "job": make_job("running", revision=4)}
        await caller.send(reply(first, continues=True))
        change = {**make_job("succeeded", revision=5), "closed": False}
        await caller.send(reply({"sequence": 1, "missed": 0, "change": change}))
        await caller.left()

    async with serving(serve):
        await told.run(client, job_id="3f2a")
    assert told.seen == [("state", "3f2a00112233", 4), BEGUN, ("change", "3f2a00112233", 5)]


async def test_left_events_close_connections(jobs, serving, client):
    await jobs.change("one")
    async with serving(jobs.serve) as daemon:
        async with events(client) as told:
            await anext(told)
        client.close()
        await daemon.until_open(0)


async def test_slow_reader_gets_missed(jobs, serving, client, told, nursery):
    now = [make_summary("running", job_id="one", revision=9)]
    missed = {"sequence": 9, "missed": 8, "jobs": now}
    async with serving(jobs.serve):
        jobs.instead["Watch"] = [
            reply({"sequence": 0, "missed": 0, "jobs": []}, continues=True)
            + reply(missed, continues=True)
        ]
        nursery.start_soon(told.run, client)
        await told.until("state", "one", 9)
        nursery.cancel_scope.cancel()
    assert told.seen == [BEGUN, ("missed", None, None), ("state", "one", 9)]
