"""One stream of events: how it begins, and how it goes on.

    path                  begins with                     with the `Last-Event-ID` of an event
    /jobs/{job_id}/events the job                         that is kept: what came after it
                                                          else: the job, if that is another by now
    /events               each job that runs or waits     that is kept: what came after it
                                                          else: `missed`, then as without

The jobs of which `/events` begins have no id, and then comes one without an event: who is cut off
in between has the id of before, or none.

A stream of a job ends once that is closed; who asks for what comes after its end gets 204, after
which no EventSource comes again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import trio

from cucmd.protocol.jobs import Job, JobReply, ListReply
from cucmweb.exchange import Disconnected, Exchange, encoded
from cucmweb.kept_events import KeptEvents, ServerEvent, id_line, is_over, state
from cucmweb.operations import Operation

# Seconds without an event after which a line is sent that says nothing: a proxy ends a connection
# that is silent for a minute.
SILENCE = 15.0
# Seconds after which a reader comes again. All that were cut off at once, as by a restart of
# cucmweb, come one after the other: a caller has only so many requests a second.
_SOONEST, _LATEST = 2.0, 5.0
# Bytes that are sent at once, of those that wait.
_PIECE = 64 * 1024
# Jobs that are asked for at once, to begin with.
_LISTED = 200
# In this order none that starts meanwhile is missed.
_UNFINISHED = ("queued", "running")

_MISSED = b"event: missed\ndata: {}\n\n"
_SILENT = b":\n\n"


class EventStream:
    """job_id: the beginning of those of which it is told. `look` comes before `tell`."""

    def __init__(
        self, exchange: Exchange, operation: Operation, asked: dict[str, Any], kept: KeptEvents
    ) -> None:
        self.job_id: str = asked.pop("job_id", "")
        self.scope = trio.CancelScope()
        self._exchange = exchange
        self._last = exchange.header("last-event-id")
        self._operation = operation
        self._who: Mapping[str, Any] = asked
        self._of_all = not self.job_id
        self._kept = kept
        self._opened = False
        self._is_over = False
        self._had: dict[str, int] = {}  # the revision of each job that it has from its beginning
        self._next = kept.end  # the number of the event that it looks at next
        self._news = trio.Event()  # there is something for it at that number, or later

    def wake(self, number: int) -> None:
        """There is an event for it."""
        if not self._news.is_set():
            self._next = number
            self._news.set()

    # How it begins.

    async def look(self) -> None:
        """Asks the daemon what there is. Raises what that refuses."""
        self._next, self._news = self._kept.end, trio.Event()  # what happens meanwhile follows
        self._place = self._kept.newest_place()
        self._found = await (self._list(_UNFINISHED[0]) if self._of_all else self._status())

    async def open(self) -> None:
        """The head of the reply, if it was not sent."""
        if not self._opened:
            self._opened = True
            await self._exchange.begin(self._operation)
            pause = random.uniform(_SOONEST, _LATEST)  # noqa: S311  # no secret
            await self._exchange.piece(b"retry: %d\n\n" % (1000 * pause))

    async def say_nothing(self) -> None:
        await self._exchange.piece(_SILENT)

    async def tell(self) -> None:
        """From the beginning until the end of its job."""
        if isinstance(self._found, Job):
            first = self._first_of_job(self._found, self._last)
            if self._is_over and not (first or self._opened):
                await self._exchange.whole(b"", 204)
                return
            await self.open()
            await self._send(first)
        else:
            await self.open()
            await self._begin_with_all(self._found, self._last)
        while not self._is_over:
            await self._send(await self._waiting())
        await self._exchange.end()

    def _first_of_job(self, job: Job, last: str | None) -> bytes:
        self.job_id = job.job_id
        has_all = last == str(job.revision)
        if has_all and is_over(job):
            self._is_over = True
            return b""
        number = None if last is None else self._kept.after(last, job.job_id)
        # Of a job that ran on over a restart there may be a line of a list, which has no nodes.
        if number is not None and not any(
            one.is_short for one in self._kept.since(number) if one.job_id == job.job_id
        ):
            self._go_on_from(number)
            return b""
        if job.revision is not None:
            self._had[job.job_id] = job.revision
        if has_all:
            return b""
        self._is_over = is_over(job)
        return state(job).frame(of_all=False)

    async def _begin_with_all(self, listed: ListReply, last: str | None) -> None:
        number = None if last is None else self._kept.after(last, None)
        if number is not None:
            self._go_on_from(number)
            return
        if last is not None:
            await self._send(_MISSED)
        for status in _UNFINISHED:
            if status != _UNFINISHED[0]:
                listed = await self._list(status)
            while True:
                states = [state(one, is_news=False) for one in reversed(listed.jobs)]
                await self._send(b"".join(one.frame(of_all=True) for one in states))
                self._had |= {
                    one.job_id: one.revision for one in states if one.revision is not None
                }
                if not listed.older:
                    break
                listed = await self._list(status, before=listed.jobs[-1].job_id)
        # Where there was no event yet it is an id that none has: who comes with it has missed some.
        await self._send(id_line(self._place or "-") + b"\n")

    def _go_on_from(self, number: int) -> None:
        self._next = number
        self._news.set()

    async def _status(self) -> Job:
        asked = encoded({"job_id": self.job_id, **self._who})
        return (await self._exchange.daemon.call("Status", asked, JobReply)).job

    async def _list(self, status: str, **more: str) -> ListReply:
        asked = encoded({"status": status, "limit": _LISTED, **more, **self._who})
        return await self._exchange.daemon.call("List", asked, ListReply)

    # How it goes on.

    async def _send(self, data: bytes) -> None:
        if data:
            await self._exchange.piece(data)

    async def _waiting(self) -> bytes:
        """What is sent next, at least a line that says nothing."""
        with trio.move_on_after(SILENCE):
            while not (taken := self._taken()):
                await self._news.wait()
            return taken
        return _SILENT

    def _taken(self) -> bytes:
        """Of what waits, as much as is sent at once."""
        frames: list[bytes] = []
        size = 0
        while self._next < self._kept.end and size < _PIECE and not self._is_over:
            if self._next < self._kept.begin:
                raise Disconnected  # it is too slow, and comes again
            one = self._kept[self._next]
            self._next += 1
            # Another job may have begun with what was asked for, before its whole id was known.
            if one.job_id.startswith(self.job_id):
                frames.append(frame := self._frame(one))
                size += len(frame)
                self._is_over = bool(frame) and one.is_last and not self._of_all
        if self._next == self._kept.end:
            self._news = trio.Event()
        return b"".join(frames)

    def _frame(self, one: ServerEvent) -> bytes:
        """Of what it has from its beginning only the place among all."""
        if not self._has(one):
            return one.frame(of_all=self._of_all)
        return id_line(one.place(of_all=True)) + b"\n" if one.is_news and self._of_all else b""

    def _has(self, one: ServerEvent) -> bool:
        had = self._had.get(one.job_id)
        if had is None or one.revision is None or one.is_gone:
            return False
        return one.revision < had or (one.revision == had and one.is_news)
