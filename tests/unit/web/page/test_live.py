"""Streams of the page: changes are merged, and each state is asked for and rendered once."""

import math

import trio
import trio.testing

from cucmweb.page.live import MERGED, QUIET, Live, Topic, as_event


class Source:
    """Counts how often the state is asked for and rendered."""

    def __init__(self) -> None:
        self.asked = 0
        self.drawn = 0

    async def ask(self) -> int:
        self.asked += 1
        await trio.sleep(0.1)
        return self.asked

    def draw(self, *_: object) -> bytes:
        self.drawn += 1
        return b"%d" % self.drawn


async def read(topic: Topic, source: Source, seen: int, alike: str = "") -> tuple[int, bytes]:
    await topic.newer(seen)
    seen, _ = await topic.state(source.ask)
    return seen, topic.rendered(alike, source.draw)


async def test_many_readers_are_one_question(autojump_clock: trio.testing.MockClock) -> None:
    topic, source = Topic(), Source()
    got: list[bytes] = []

    async def reader(alike: str) -> None:
        got.append((await read(topic, source, 0, alike))[1])

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(reader, "here" if number % 2 else "there")
    assert (source.asked, source.drawn, len(got)) == (1, 2, 50)


async def test_quick_changes_become_one(autojump_clock: trio.testing.MockClock) -> None:
    live, source = Live(), Source()
    with live.read("57f3?") as topic:
        seen, _ = await read(topic, source, 0)

        async def change() -> None:
            for _ in range(4):
                live.change("57f3")
                await trio.sleep(MERGED / 5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            seen, _ = await read(topic, source, seen)
        assert source.asked == 2
        assert seen == topic.changes


async def test_change_while_asking_is_not_lost(autojump_clock: trio.testing.MockClock) -> None:
    topic, source = Topic(), Source()

    async def change() -> None:
        await trio.sleep(0.05)  # the daemon has been asked, and has not answered
        topic.change()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change)
        seen, _ = await read(topic, source, 0)
    began = trio.current_time()
    await topic.newer(seen)
    assert trio.current_time() - began == MERGED


async def test_state_is_sent_again_without_a_change(
    autojump_clock: trio.testing.MockClock,
) -> None:
    topic, source = Topic(), Source()
    seen, _ = await read(topic, source, 0)
    began = trio.current_time()
    await topic.newer(seen)
    assert trio.current_time() - began == QUIET


async def test_closed_job_waits_for_a_change(autojump_clock: trio.testing.MockClock) -> None:
    topic, source = Topic(), Source()
    seen, _ = await read(topic, source, 0)
    with trio.move_on_after(1000) as waiting:
        await topic.newer(seen, math.inf)
    assert waiting.cancelled_caught


async def test_cancelled_reader_leaves_the_question_to_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    topic, source = Topic(), Source()
    with trio.move_on_after(0.05):
        await read(topic, source, 0)
    assert (await read(topic, source, 0))[1] == b"1"


def test_lists_change_with_every_job() -> None:
    live = Live()
    with live.read("?status=running") as listed, live.read("57f3?") as other:
        before = listed.changes, other.changes
        live.change("9c01")
        assert (listed.changes, other.changes) == (before[0] + 1, before[1])


def test_every_line_of_an_event_is_data() -> None:
    assert as_event(b"<p>\r\n\nevent: end\n</p>") == (
        b"retry: 2000\ndata: <p>\ndata: \ndata: event: end\ndata: </p>\n\n"
    )
