"""PURE. Makes server-sent events, and keeps the newest of them, from which every stream reads.

The id of an event has the revision of its job. Later events of the same revision, such as those
with new figures, have no id.

    path                  id
    /jobs/{job_id}/events REVISION
    /events               JOB_ID/REVISION
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

# At most so many events and bytes are kept: some minutes of a job with 400 nodes.
_MOST_KEPT, _MOST_BYTES = 4_000, 16 * 1024 * 1024


class ServerEvent(msgspec.Struct, frozen=True):
    """Holds an event.

    is_news   whether it is the first event of its revision
    is_last   whether the job is closed or deleted
    is_gone   whether the job was deleted
    is_short  whether `data` has the job as in a list, without nodes
    """

    name: str
    job_id: str
    revision: int | None
    data: bytes
    is_news: bool
    is_last: bool
    is_gone: bool = False
    is_short: bool = False

    def event_id(self, *, of_all: bool) -> str:
        """Returns the id of the event, which is sent only if it `is_news`."""
        return f"{self.job_id}/{self.revision}" if of_all else str(self.revision)


@lru_cache(maxsize=16)
def frame_event(event: ServerEvent, *, of_all: bool) -> bytes:
    """Returns an event as it is sent. All streams send the same bytes, so they are cached."""
    lines = b"event: %s\ndata: %s\n\n" % (event.name.encode(), event.data)
    return id_line(event.event_id(of_all=of_all)) + lines if event.is_news else lines


def id_line(event_id: str) -> bytes:
    return b"id: %s\n" % event_id.encode()


class KeptEvents:
    """Keeps the newest events, which are numbered. `end` is the number of the next event."""

    def __init__(self) -> None:
        self.end = 0
        self._events: dict[int, ServerEvent] = {}
        self._bytes = 0

    @property
    def begin(self) -> int:
        """Returns the number of the oldest event that is kept."""
        return self.end - len(self._events)

    def __getitem__(self, number: int) -> ServerEvent:
        return self._events[number]

    def add(self, event: ServerEvent) -> None:
        self._events[self.end] = event
        self.end += 1
        self._bytes += len(event.data)
        while len(self._events) > _MOST_KEPT or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._events.pop(self.begin).data)

    def after(self, event_id: str, job_id: str | None) -> int | None:
        """Returns the number after the event with this id, in the stream of a job or of all jobs.
        Returns None if that event is not kept.
        """
        of_all = job_id is None
        job_id = event_id.partition("/")[0] if job_id is None else job_id
        # Only an event that `is_news` was sent with its id. A later event of the same revision has
        # the same id here, and the reader may not have it yet.
        for number in range(self.begin, self.end):
            kept = self._events[number]
            if kept.job_id == job_id and kept.is_news and kept.event_id(of_all=of_all) == event_id:
                return number + 1
        return None

    def newest_id(self) -> str | None:
        """Returns the id of the newest event that has one, in the stream of all jobs."""
        for number in range(self.end - 1, self.begin - 1, -1):
            if self._events[number].is_news:
                return self._events[number].event_id(of_all=True)
        return None
