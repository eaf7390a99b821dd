"""Server-sent events, in virtual time: what a reader gets, from the beginning or again."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from cucmctl.client.errors import ClientError
from cucmctl.client.events import JobEvent
from cucmd.protocol.jobs import Job, JobChange, JobReply, JobSummary, ListReply
from cucmweb.config import WebLimits
from cucmweb.events import EventStreams
from cucmweb.exchange import Disconnected, Exchange
from cucmweb.operations import OPERATIONS
from cucmweb.places import WebPlaces
from system.ctl.conftest import make_job, make_summary

ONE, OTHER = "0123456789ab", "ba9876543210"
(OF_JOB, OF_ALL) = (one for one in OPERATIONS if one.form == "events")
LIMITS = WebLimits()


def job(revision: int, status: str = "running", **more: Any) -> Job:
    made = {"job_id": ONE, "revision": revision, "closed": False, **more}
    return msgspec.convert(make_job(status, **made), Job)


def summary(revision: int, job_id: str = ONE, status: str = "running") -> JobSummary:
    return msgspec.convert(make_summary(status, job_id=job_id, revision=revision), JobSummary)


def change(revision: int, status: str = "running", job_id: str = ONE, **more: Any) -> JobEvent:
    made = {"closed": False, **more}
    changed = JobChange(job_id, status, False, None, None, (), revision, **made)
    return JobEvent("change", job_id, changed)


def state(job: Job | JobSummary) -> JobEvent:
    return JobEvent("state", job.job_id, job)


class Daemon:
    """As a client of it: `job` is what `Status` gives, or raises; `listed` what `List` gives, by
    status. `meanwhile` is called before each reply.
    """

    def __init__(self) -> None:
        self.job: Job | ClientError = job(1)
        self.listed: dict[str, list[JobSummary]] = {}
        self.meanwhile: Callable[[str], Any] = lambda _: None

    async def call(self, method: str, asked: msgspec.Raw, _reply: type) -> JobReply | ListReply:
        given = msgspec.json.decode(asked)
        await trio.lowlevel.checkpoint()
        if method == "List":
            listed = tuple(self.listed.get(given["status"], ()))
            reply: JobReply | ListReply = ListReply(listed)
            self.meanwhile(given["status"])
            await a_while()
            return reply
        found = self.job
        self.meanwhile(method)
        await a_while()
        if isinstance(found, ClientError):
            raise found
        return JobReply(found)


class Reader:
    """A client of a stream. `status` is that of the reply, `events` what came, each by its fields.
    It reads only while `reads` is set.
    """

    def __init__(self) -> None:
        self.status = 0
        self.events: list[dict[str, str]] = []
        self.silences = 0
        self.ended = self.cut_off = False
        self.raised: Exception | None = None
        self.reads = trio.Event()
        self.reads.set()

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.ended = not message["more_body"]
        for part in message["body"].decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in part.splitlines() if line[:1] != ":")
            self.silences += part == ":"
            if "event" in fields:
                self.events.append(fields)

    @property
    def told(self) -> list[tuple[str, str | None]]:
        return [(one["event"], one.get("id")) for one in self.events]


class Hub:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.streams = EventStreams()
        self.daemon = Daemon()
        self._nursery = nursery
        self._to_tell, self._events = trio.open_memory_channel[JobEvent](10_000)
        nursery.start_soon(self.streams.run, self._events)

    def tell(self, *events: JobEvent) -> None:
        for event in events:
            self._to_tell.send_nowait(event)

    async def told(self, *events: JobEvent) -> None:
        """Once all readers that read have them."""
        self.tell(*events)
        await settled()

    async def read(self, path: str = f"/jobs/{ONE}/events", last: str | None = None) -> Reader:
        reader = Reader()
        self._nursery.start_soon(self._serve, reader, path, last)
        await settled()
        return reader

    async def _serve(self, reader: Reader, path: str, last: str | None) -> None:
        headers = [] if last is None else [(b"last-event-id", last.encode())]
        job_id = path.removeprefix("/jobs/").removesuffix("/events")
        of_job = path != "/events"
        scope = {
            "method": "GET",
            "http_version": "1.1",
            "headers": headers,
            "query_string": b"",
            "path_params": {"job_id": job_id} if of_job else {},
            "state": {"request_id": "r", "who": None},
        }
        daemon: Any = self.daemon
        exchange = Exchange(
            scope,
            trio.sleep_forever,  # type: ignore[arg-type]
            reader.send,  # type: ignore[arg-type]
            daemon=daemon,
            downloads=daemon,
            places=WebPlaces(LIMITS),
            limits=LIMITS,
        )
        try:
            await self.streams.send(exchange, OF_JOB if of_job else OF_ALL)
        except Disconnected:
            reader.cut_off = True
        except Exception as error:
            reader.raised = error


async def a_while() -> None:
    """For others to go on."""
    for _ in range(10):
        await trio.lowlevel.checkpoint()


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with trio.open_nursery() as nursery:
        yield Hub(nursery)
        nursery.cancel_scope.cancel()


async def test_a_stream_begins_with_the_job_and_ends_with_it(hub: Hub) -> None:
    hub.daemon.job = job(3)
    reader = await hub.read()
    await hub.told(change(4), change(5, "succeeded"))
    assert not reader.ended
    await hub.told(change(6, "succeeded", closed=True), change(7, "succeeded", closed=True))
    assert reader.told == [("state", "3"), ("change", "4"), ("change", "5"), ("change", "6")]
    assert (reader.status, reader.ended) == (200, True)


async def test_what_is_over_is_told_and_the_stream_ends(hub: Hub) -> None:
    hub.daemon.job = job(9, "failed", closed=True)
    reader = await hub.read()
    assert (reader.told, reader.ended) == ([("state", "9")], True)


async def test_what_has_ended_and_is_not_closed_goes_on(hub: Hub) -> None:
    hub.daemon.job = job(8, "failed")
    reader = await hub.read()
    await hub.told(change(9, "failed", closed=True))
    assert (reader.told, reader.ended) == ([("state", "8"), ("change", "9")], True)


async def test_another_job_is_not_told(hub: Hub) -> None:
    reader = await hub.read()
    await hub.told(change(2, job_id=OTHER), change(2))
    assert reader.told == [("state", "1"), ("change", "2")]


async def test_figures_have_no_id(hub: Hub) -> None:
    reader = await hub.read()
    await hub.told(change(2), change(2), change(3))
    assert reader.told == [("state", "1"), ("change", "2"), ("change", None), ("change", "3")]


async def test_what_happens_before_the_first_state_is_in_it_or_follows_it(hub: Hub) -> None:
    hub.daemon.job = job(5)
    hub.daemon.meanwhile = lambda _: hub.tell(change(4), change(5), change(6))
    reader = await hub.read()
    assert reader.told == [("state", "5"), ("change", "6")]


async def test_a_job_of_the_same_beginning_that_starts_meanwhile_is_not_told(hub: Hub) -> None:
    other = ONE[:4] + "ffffffff"
    hub.daemon.job = job(5)
    hub.daemon.meanwhile = lambda _: hub.tell(change(1, job_id=other), change(6))
    reader = await hub.read(f"/jobs/{ONE[:4]}/events")
    await hub.told(change(2, job_id=other))
    assert reader.told == [("state", "5"), ("change", "6")]


async def test_who_comes_again_gets_what_it_has_not_had(hub: Hub) -> None:
    await hub.told(change(2), change(3), change(3), change(4))
    hub.daemon.job = job(4)
    reader = await hub.read(last="2")
    await hub.told(change(5))
    assert reader.told == [("change", "3"), ("change", None), ("change", "4"), ("change", "5")]


async def test_who_comes_again_and_has_all_waits_for_the_next(hub: Hub) -> None:
    hub.daemon.job = job(4)
    reader = await hub.read(last="4")
    assert (reader.status, reader.events) == (200, [])
    await hub.told(change(4), change(5))
    assert reader.told == [("change", "5")]


@pytest.mark.parametrize("last", ["1", "99", "-1", "", "x", "4/4", "9" * 100, "1e3"])
async def test_what_is_not_kept_any_more_or_was_never_told_becomes_a_state(
    hub: Hub, last: str
) -> None:
    await hub.told(change(3), change(4))
    hub.daemon.job = job(4)
    reader = await hub.read(last=last)
    await hub.told(change(5))
    assert reader.told == [("state", "4"), ("change", "5")]


async def test_who_comes_again_after_the_end_is_told_not_to(hub: Hub) -> None:
    hub.daemon.job = job(4, "succeeded", closed=True)
    reader = await hub.read(last="4")
    assert (reader.status, reader.ended, reader.events) == (204, True, [])


async def test_who_has_not_had_the_end_gets_it(hub: Hub) -> None:
    await hub.told(change(3), change(4, "succeeded", closed=True))
    hub.daemon.job = job(4, "succeeded", closed=True)
    reader = await hub.read(last="3")
    assert (reader.told, reader.ended) == ([("change", "4")], True)


async def test_a_job_that_is_deleted_ends_its_stream(hub: Hub) -> None:
    readers = [await hub.read(), await hub.read("/events")]
    await hub.told(change(7, "failed", deleted=True))
    assert [reader.ended for reader in readers] == [True, False]
    gone = await hub.read()
    await hub.told(JobEvent("gone", ONE))
    assert (gone.told[-1], gone.ended) == (("gone", None), True)


async def test_of_a_job_that_ran_on_over_a_restart_all_of_it_is_told(hub: Hub) -> None:
    """The watch gives a line of a list then, and the reader has asked for the job."""
    reader = await hub.read()
    hub.daemon.job = job(5)
    await hub.told(state(summary(5)), change(6))
    assert reader.told == [("state", "1"), ("state", "5"), ("change", "6")]
    assert "nodes" in json.loads(reader.events[1]["data"])


async def test_of_a_job_that_ran_on_over_a_restart_who_comes_again_gets_all_of_it(
    hub: Hub,
) -> None:
    await hub.told(change(3), change(4), state(summary(5)), change(6))
    hub.daemon.job = job(6)
    reader = await hub.read(last="3")
    assert reader.told == [("state", "6")]
    assert "nodes" in json.loads(reader.events[0]["data"])


async def test_no_line_goes_back_before_the_job_that_was_asked_for(hub: Hub) -> None:
    reader = await hub.read()
    hub.daemon.job = job(7)
    await hub.told(state(summary(5)), change(6), change(7), change(8))
    assert reader.told == [("state", "1"), ("state", "7"), ("change", "8")]


async def test_a_silent_stream_says_so(hub: Hub, autojump_clock: trio.testing.MockClock) -> None:
    reader = await hub.read()
    await trio.sleep(50)
    assert (reader.silences, len(reader.events)) == (3, 1)


async def test_who_does_not_read_is_cut_off_and_the_others_go_on(hub: Hub) -> None:
    lost, other = await hub.read(), await hub.read()
    lost.reads = trio.Event()
    for first in range(2, 1002, 200):
        await hub.told(*(change(number) for number in range(first, first + 200)))
    assert lost.cut_off
    assert not other.cut_off
    assert [one["id"] for one in other.events] == [str(number) for number in range(1, 1002)]
    hub.daemon.job = job(1001)
    again = await hub.read(last="1")
    assert [one["id"] for one in again.events] == [str(number) for number in range(2, 1002)]


async def test_what_is_kept_is_the_same_after_a_million_bytes_more(hub: Hub) -> None:
    text = {"a": "x" * 10_000}
    for first in range(2, 5000, 400):
        await hub.told(*(change(number, labels=text) for number in range(first, first + 400)))
    hub.daemon.job = job(5201)
    assert [one["event"] for one in (await hub.read(last="2")).events] == ["state"]
    again = (await hub.read(last="5190")).events
    assert [one["id"] for one in again] == [str(number) for number in range(5191, 5202)]


# Of all jobs.


async def test_a_stream_of_all_begins_with_each_job_that_waits_or_runs(hub: Hub) -> None:
    hub.daemon.listed = {"queued": [summary(1, OTHER, "queued")], "running": [summary(4)]}
    reader = await hub.read("/events")
    await hub.told(change(2, job_id=OTHER), change(5))
    assert reader.told == [
        ("state", f"{OTHER}/1"),
        ("state", f"{ONE}/4"),
        ("change", f"{OTHER}/2"),
        ("change", f"{ONE}/5"),
    ]


async def test_a_job_that_begins_to_run_meanwhile_is_told(hub: Hub) -> None:
    hub.daemon.listed = {"queued": [summary(1, status="queued")]}

    def begins(status: str) -> None:
        if status == "queued":
            hub.daemon.listed = {"running": [summary(2)]}
            hub.tell(change(2))

    hub.daemon.meanwhile = begins
    reader = await hub.read("/events")
    assert reader.told == [("state", f"{ONE}/1"), ("state", f"{ONE}/2")]


async def test_who_comes_again_to_all_gets_what_it_has_not_had(hub: Hub) -> None:
    await hub.told(change(2), change(2, job_id=OTHER), change(3), change(3, job_id=OTHER))
    reader = await hub.read("/events", f"{OTHER}/2")
    await hub.told(change(4))
    assert [one for _, one in reader.told] == [f"{ONE}/3", f"{OTHER}/3", f"{ONE}/4"]


@pytest.mark.parametrize("last", ["", "3", f"{ONE}/1", f"{ONE}/99", "/", "x/y"])
async def test_who_comes_again_to_all_too_late_is_told_so(hub: Hub, last: str) -> None:
    await hub.told(change(2), change(3))
    hub.daemon.listed = {"running": [summary(3)]}
    reader = await hub.read("/events", last)
    assert reader.told == [("missed", None), ("state", f"{ONE}/3")]


async def test_two_hundred_jobs_are_told_to_all_and_each_to_its_own(hub: Hub) -> None:
    names = [f"{number:012x}" for number in range(200)]
    everything = await hub.read("/events")
    hub.daemon.job = job(1, job_id=names[7])
    one = await hub.read(f"/jobs/{names[7]}/events")
    for revision in (2, 3):
        await hub.told(*(change(revision, job_id=name) for name in names))
    assert [name for _, name in everything.told] == [
        f"{name}/{revision}" for revision in (2, 3) for name in names
    ]
    assert one.told == [("state", "1"), ("change", "2"), ("change", "3")]


# Without a daemon.


async def test_streams_go_on_while_there_is_no_daemon(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    reader = await hub.read()
    await hub.told(JobEvent("away", why="it is gone"))
    await trio.sleep(3600)
    await hub.told(JobEvent("back"), change(2))
    assert reader.told == [("state", "1"), ("change", "2")]


async def test_readers_come_again_after_a_watch_that_failed(hub: Hub) -> None:
    await hub.told(change(2))
    reader = await hub.read(last="2")
    hub.streams.cut_off()
    await settled()
    assert reader.cut_off
    hub.daemon.job = job(9)
    again = await hub.read(last="2")
    assert again.told == [("state", "9")]
