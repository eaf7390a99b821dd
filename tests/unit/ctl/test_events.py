"""Events over a restart of the daemon: none is lost, and none is repeated."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cucmctl.client.errors import ConnectionLost, JobNotFound
from cucmctl.client.job_events import NEWEST, Events
from cucmctl.client.method_call import run_steps
from cucmctl.text.render import summary
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.jobs import JobChange, ListReply, WatchReply
from unit.ctl.conftest import make_job, make_node


class Daemon:
    """Holds jobs, oldest first, and answers a watch of them that a test can interrupt."""

    def __init__(self):
        self.jobs = {}
        self.sent = []  # replies that are not read yet
        self.answers = math.inf  # the number of calls until the daemon goes away

    def set(self, job_id, revision, status="running", **fields):
        node = make_node(status="running" if status == "running" else "succeeded")
        job = make_job(node, status=status, job_id=job_id, revision=revision, **fields)
        self.jobs[job_id] = job
        nodes = (job.status, job.cancelled, job.started_at, job.completed_at, job.nodes)
        change = JobChange(job_id, *nodes, revision, bool(job.closed))
        self.sent.append(WatchReply(1, 0, change=change))

    def delete(self, job_id):
        job = self.jobs.pop(job_id)
        nodes = (job.status, False, None, None, ())
        change = JobChange(job_id, *nodes, job.revision + 1, True, deleted=True)
        self.sent.append(WatchReply(1, 0, change=change))

    def watch(self, missed=0):
        """Begins a watch, or goes on after missed changes. Replies that were not read are lost."""
        running = [summary(job) for job in self.jobs.values() if job.status == "running"]
        running = [replace(one, revision=self.jobs[one.job_id].revision) for one in running]
        self.sent = [WatchReply(0, missed, jobs=tuple(running))]

    def ask(self, call):
        self.answers -= 1
        if self.answers < 0:
            raise ConnectionLost
        return {"Status": self._status, "List": self._list}[call.method](call.request)

    def _status(self, request):
        if request.job_id not in self.jobs:
            raise JobNotFound("JobNotFound", wire_errors.JobNotFound(request.job_id))
        return self.jobs[request.job_id]

    def _list(self, request):
        found = [
            replace(summary(job), revision=job.revision) for job in reversed(self.jobs.values())
        ]
        return ListReply(tuple(found[: request.limit]))


class Reader:
    def __init__(self, daemon, **options):
        self.daemon = daemon
        self.events = Events(**options)
        assert list(run_steps(self.events.begin(), daemon.ask)) == []
        daemon.watch()

    def read(self):
        """Reads until the daemon is away."""
        replies, self.daemon.sent = self.daemon.sent, []
        told = []
        with suppress(ConnectionLost):
            for reply in replies:
                for event in run_steps(self.events.from_reply(reply), self.daemon.ask):
                    told.append(event)  # noqa: PERF402  # those until then
        return told

    def told(self):
        return [
            (event.name, event.job_id, event.job and event.job.revision) for event in self.read()
        ]


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def reader(daemon):
    daemon.set("old", 5, "succeeded", closed=True)
    daemon.set("one", 1)
    reader = Reader(daemon)
    assert reader.told() == [("state", "one", 1)]
    return reader


def test_state_includes_earlier_changes(daemon, reader):
    """The job changes between the new watch and the request for the list."""
    daemon.watch()
    daemon.set("old", 6, "succeeded", closed=True)
    daemon.set("old", 7, "succeeded", closed=True)
    assert reader.told() == [("state", "old", 7)]
    daemon.set("old", 8, "succeeded", closed=True)
    assert reader.told() == [("change", "old", 8)]


def test_old_running_job_is_found(daemon, reader):
    for number in range(NEWEST + 9):
        daemon.set(f"n{number}", 3, "succeeded")
    assert len(reader.read()) == NEWEST + 9
    daemon.set("one", 9, "succeeded")
    daemon.watch()
    assert reader.told() == [("state", "one", 9)]


def test_memory_is_bounded(daemon, reader):
    for number in range(5 * NEWEST):
        daemon.set(f"n{number}", 3, "succeeded")
        reader.read()
    assert len(reader.events.revisions) <= 3 * NEWEST + 1
    assert "one" in reader.events.revisions
    daemon.watch()
    assert reader.told() == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["change", "end", "label", "delete", "restart", "missed", "read", "unanswered"]
        ),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(STEPS, st.booleans())
def test_events_add_up_to_the_jobs(steps, whole):
    daemon = Daemon()
    daemon.set("0", 1, "succeeded", closed=True)
    daemon.set("1", 1)
    reader = Reader(daemon, whole=lambda _: whole)
    known = {"0": 1}
    latest = {"0": 1}

    def read():
        for event in reader.read():
            if event.name == "missed":
                continue
            name = event.job_id
            if event.name == "gone" or getattr(event.job, "deleted", None):
                known.pop(name, None)
                continue
            revision = event.job.revision
            assert revision >= latest.get(name, 0), "older than what was told"
            if event.name == "change":
                assert revision > latest.get(name, 0), "told twice"
            known[name] = latest[name] = revision

    for what, number in steps:
        name = str(number)
        job = daemon.jobs.get(name)
        if what == "read":
            read()
        elif what == "restart":
            daemon.watch()
            read()
        elif what == "unanswered":  # it goes away again when it is asked
            daemon.watch()
            daemon.answers = number
            read()
            daemon.answers = math.inf
            daemon.watch()
            read()
        elif what == "missed":
            daemon.watch(missed=3)
            read()
        elif what == "change" and (job is None or job.status == "running") and name != "0":
            if job is None and name in latest:
                continue  # an id is not used again
            daemon.set(name, job.revision + 1 if job else 1)
        elif job is not None and (what, job.status == "running") in (("end", 1), ("label", 0)):
            daemon.set(name, job.revision + 1, "succeeded", closed=True)
        elif what == "delete" and job is not None and job.status != "running":
            daemon.delete(name)
    daemon.watch()
    read()
    assert known == {name: job.revision for name, job in daemon.jobs.items()}
