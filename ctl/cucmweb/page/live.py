"""Sends the parts of a page that change, as server-sent events with HTML for htmx.

A page has one stream. Whatever changes about its job (or, for the list, about any job) marks the
topic as changed. The first reader that sees this waits a moment, so that changes in quick
succession become one, asks the daemon for the state, and renders it. The other readers of the same
topic get the same bytes, unless they see it differently: in another zone, or with another role.

A reader that reconnects gets the state as it is then. So nothing has to be kept for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import trio

from cucmctl.text.pace import Rates

# Seconds in which several changes become one.
MERGED = 0.5
# Seconds after which the state is sent again without a change, since times and rates pass on. The
# state of a job that is closed is sent only after a change.
QUIET = 5.0
# Streams of one browser at once. The other two of its six connections are for its requests.
MOST_OF_BROWSER = 4
# Seconds after which a comment is sent, because many proxies end a connection that is silent.
SILENCE = 15.0

Ask: TypeAlias = Callable[[], Awaitable[Any]]
# Renders a state of a topic.
Draw: TypeAlias = "Callable[[Any, Topic], bytes]"


class Topic:
    """Holds the newest state of one job, or of the list of jobs, and how it was rendered.

    rates  how fast the nodes of the job send
    """

    def __init__(self) -> None:
        self.readers = 0
        self.changes = 1
        self.rates = Rates()
        self._changed = trio.Event()
        self._asking = trio.Lock()
        self._shown = 0  # the number of changes that the state includes
        self._state: Any = None
        self._rendered: dict[Hashable, bytes] = {}

    def change(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = trio.Event()

    async def newer(self, seen: int, quiet: float = QUIET) -> None:
        """Waits until there is a change that a reader has not seen, or `quiet` seconds."""
        if self.changes <= seen:
            with trio.move_on_after(quiet) as waiting:
                await self._changed.wait()
            if waiting.cancelled_caught and self.changes <= seen:
                self.changes += 1  # the other readers, which wait as long, share this one
                return
        if seen:
            await trio.sleep(MERGED)

    async def state(self, ask: Ask) -> tuple[int, Any]:
        """Returns the number of changes that the state includes, and the state.

        The first reader asks the daemon; those that wait for it meanwhile share the answer.
        """
        async with self._asking:
            if self._shown < self.changes:
                changes = self.changes  # before the question, so that no change is lost
                self._state = await ask()
                self._rendered.clear()
                self._shown = changes
            return self._shown, self._state

    def rendered(self, alike: Hashable, draw: Draw) -> bytes:
        """Returns the state as HTML. `alike`: what readers have in common that see the same."""
        if (found := self._rendered.get(alike)) is None:
            found = self._rendered[alike] = draw(self._state, self)
        return found


class Live:
    """Holds the topics that have readers, by the id of their job ("" for a list of jobs), "?", and
    what of it they see; and the streams of each browser, the oldest first.
    """

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}
        self._browsers: dict[Hashable, list[trio.CancelScope]] = {}

    def change(self, job_id: str) -> None:
        """Tells the readers of a job, and of the list, that the job has changed."""
        for topic_id, topic in self._topics.items():
            if topic_id.partition("?")[0] in (job_id, ""):
                topic.change()

    def change_all(self) -> None:
        """Tells all readers that the daemon is back, or has gone."""
        for topic in self._topics.values():
            topic.change()

    @contextmanager
    def read(self, topic_id: str) -> Iterator[Topic]:
        """Yields the topic for one more reader."""
        topic = self._topics.setdefault(topic_id, Topic())
        topic.readers += 1
        try:
            yield topic
        finally:
            topic.readers -= 1
            if not topic.readers:
                del self._topics[topic_id]

    @contextmanager
    def stream_of(self, browser: Hashable) -> Iterator[None]:
        """Lets a browser have one more stream during the block.

        A browser opens at most six connections to a host, and each visible page holds one. So the
        oldest stream ends when there are too many. Its page connects again after a while, and gets
        the state then: with many visible pages, they take turns.
        """
        streams = self._browsers.setdefault(browser, [])
        with trio.CancelScope() as scope:
            streams.append(scope)
            for oldest in streams[:-MOST_OF_BROWSER]:
                oldest.cancel()
            try:
                yield
            finally:
                streams.remove(scope)
                if not streams:
                    del self._browsers[browser]


def as_event(html: bytes, retry: float = 2.0) -> bytes:
    """Returns HTML as the data of an event. Each of its lines needs the prefix `data:`.

    retry  seconds after which the page connects again if the stream ends
    """
    data = html.replace(b"\r", b"").replace(b"\n", b"\ndata: ")
    return b"retry: %d\ndata: %s\n\n" % (1000 * retry, data)
