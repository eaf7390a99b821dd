"""PURE. Makes server-sent events, and keeps the newest of them, which every stream reads from.

An event has the revision of its job as its id, once: what comes of the same revision later, such as
figures, has none.

    path                  id
    /jobs/{job_id}/events REVISION
    /events               JOB_ID/REVISION
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

# Events that are kept, and their bytes at most: some minutes of a job with 400 nodes.
_MOST_KEPT, _MOST_BYTES = 4_000, 16 * 1024 * 1024


class ServerEvent(msgspec.Struct, frozen=True):
    """Holds an event. is_news: the first of its revision. is_last: of a job that is closed, or is
    gone. is_gone: the job was deleted. is_short: of a job it has no nodes, as a list has it.
    """

    name: str
    job_id: str
    revision: int | None
    data: bytes
    is_news: bool
    is_last: bool
    is_gone: bool = False
    is_short: bool = False

    def place(self, *, of_all: bool) -> str:
        """Returns the id of what is news."""
        return f"{self.job_id}/{self.revision}" if of_all else str(self.revision)


@lru_cache(maxsize=16)
def framed(event: ServerEvent, *, of_all: bool) -> bytes:
    """Writes it as it is sent, the same bytes to all who read at the same time."""
    lines = b"event: %s\ndata: %s\n\n" % (event.name.encode(), event.data)
    return id_line(event.place(of_all=of_all)) + lines if event.is_news else lines


def id_line(place: str) -> bytes:
    return b"id: %s\n" % place.encode()


class KeptEvents:
    """Keeps the newest events, numbered as they came. `end`: the number that the next one gets."""

    def __init__(self) -> None:
        self.end = 0
        self._events: dict[int, ServerEvent] = {}
        self._bytes = 0

    @property
    def begin(self) -> int:
        """Returns the number of the oldest."""
        return self.end - len(self._events)

    def __getitem__(self, number: int) -> ServerEvent:
        return self._events[number]

    def add(self, event: ServerEvent) -> None:
        self._events[self.end] = event
        self.end += 1
        self._bytes += len(event.data)
        while len(self._events) > _MOST_KEPT or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._events.pop(self.begin).data)

    def clear(self) -> None:
        self._events.clear()
        self._bytes = 0

    def after(self, place: str, job_id: str | None) -> int | None:
        """Returns the number behind the event that has this id, of a job or of all of them. None:
        it is not kept.
        """
        of_all = job_id is None
        wanted = place.partition("/")[0] if of_all else job_id
        for number in range(self.begin, self.end):
            one = self._events[number]
            if one.job_id == wanted and one.is_news and one.place(of_all=of_all) == place:
                return number + 1
        return None

    def newest_place(self) -> str | None:
        """Returns of all jobs the id of the newest one that has any."""
        for number in range(self.end - 1, self.begin - 1, -1):
            if self._events[number].is_news:
                return self._events[number].place(of_all=True)
        return None
