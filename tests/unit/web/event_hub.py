"""Event streams whose events a test chooses, and readers of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import trio
import trio.testing

from cucmctl.client.errors import ClientError
from cucmctl.client.job_events import JobEvent
from cucmd.protocol.jobs import Job, JobChange, JobReply, JobSummary, ListReply
from cucmweb.event_streams import EventStreams
from cucmweb.operations import OPERATIONS
from cucmweb.page.live import Live
from cucmweb.server import Disconnected
from system.ctl.conftest import make_job, make_summary
from unit.web.played_channel import PlayedChannel, exchange

R = TypeVar("R")
ONE, OTHER = "0123456789ab", "ba9876543210"
(OF_JOB, OF_ALL) = (one for one in OPERATIONS if one.form == "events")


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


BEGUN, AWAY, BACK = JobEvent("begun"), JobEvent("away", why="it is gone"), JobEvent("back")


class Daemon:
    """Stands in for the client of the daemon. job: what Status returns or raises. listed: what List
    returns for each status, the newest first. meanwhile: called before each reply. asked: the
    number of calls.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.job: Job | ClientError = job(1)
        self.listed: dict[str, list[JobSummary]] = {}
        self.meanwhile: Callable[[str], Any] = lambda _: None

    async def call(self, method: str, asked: msgspec.Raw, reply: type[R]) -> R:
        given = msgspec.json.decode(asked)
        self.asked += 1
        await trio.lowlevel.checkpoint()
        if method == "List" and not isinstance(self.job, ClientError):
            listed = self.listed.get(given["status"], [])
            ids = [one.job_id for one in listed]
            begin = ids.index(given["before"]) + 1 if "before" in given else 0
            page = tuple(listed[begin : begin + given["limit"]])
            older = len(listed) - begin - len(page)
            self.meanwhile(given["status"])
            await a_while()
            return decoded(ListReply(page, older), reply)
        found = self.job
        self.meanwhile(method)
        await a_while()
        if isinstance(found, ClientError):
            raise found
        return decoded(JobReply(found), reply)


def decoded(reply: JobReply | ListReply, kind: type[R]) -> R:
    """Returns the reply as it is decoded from a socket."""
    return msgspec.json.decode(msgspec.json.encode(reply), type=kind)


class Reader(PlayedChannel):
    """A client of a stream. status: that of the reply. events: the fields of each event. last: the
    id that an EventSource sends when it reconnects. It reads only while `reads` is set.
    """

    def __init__(self, last: str | None) -> None:
        super().__init__([] if last is None else [(b"last-event-id", last.encode())])
        self.last = last
        self.events: list[dict[str, str]] = []
        self.ids: list[str] = []
        self.silences = 0
        self.pieces: list[bytes] = []
        self._rest = ""  # the beginning of a part
        self.cut_off = False
        self.raised: Exception | None = None
        self.reads = trio.Event()
        self.reads.set()

    async def send(self, data: bytes) -> None:
        await self.reads.wait()
        await trio.lowlevel.checkpoint()
        self.pieces.append(data)
        *parts, self._rest = (self._rest + data.decode()).split("\n\n")
        for part in parts:
            fields = dict(line.split(": ", 1) for line in part.splitlines() if line[:1] != ":")
            self.silences += part == ":"
            if "id" in fields:
                self.ids.append(fields["id"])
                self.last = fields["id"]
            if "event" in fields:
                self.events.append(fields)

    @property
    def told(self) -> list[tuple[str, str | None]]:
        return [(one["event"], one.get("id")) for one in self.events]


class Hub:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.streams = EventStreams(Live())
        self.daemon = Daemon()
        self._nursery = nursery
        self._to_tell, self._events = trio.open_memory_channel[JobEvent](10_000)
        self._scope = trio.CancelScope()
        nursery.start_soon(self._watch)

    async def _watch(self) -> None:
        while True:
            with trio.CancelScope() as self._scope:
                await self.streams.run(self._events)

    def fail(self) -> None:
        """Ends the watch, and starts the next one."""
        self._scope.cancel()

    def tell(self, *events: JobEvent) -> None:
        for event in events:
            self._to_tell.send_nowait(event)

    async def told(self, *events: JobEvent) -> None:
        """Sends events to the streams, and waits until all readers have them."""
        self.tell(*events)
        await settled()

    async def read(self, path: str = f"/jobs/{ONE}/events", last: str | None = None) -> Reader:
        reader = Reader(last)
        self._nursery.start_soon(self._serve, reader, path)
        await settled()
        return reader

    async def _serve(self, reader: Reader, path: str) -> None:
        job_id = path.removeprefix("/jobs/").removesuffix("/events")
        of_job = path != "/events"
        operation = OF_JOB if of_job else OF_ALL
        one = exchange(reader, self.daemon, **({"job_id": job_id} if of_job else {}))
        try:
            await self.streams.send(one, operation, await one.parameters(operation))
        except Disconnected:
            reader.cut_off = True
        except Exception as error:
            reader.raised = error


async def a_while() -> None:
    """Lets other tasks run."""
    for _ in range(10):
        await trio.lowlevel.checkpoint()


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()
