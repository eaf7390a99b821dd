"""Server-sent events of a job: what a reader gets, from the beginning or again."""

import json

import pytest
import trio
import trio.testing

from cucmctl.client.job_events import JobEvent
from unit.web.event_hub import ONE, OTHER, Hub, change, job, settled, state, summary


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


async def test_of_a_job_that_ran_on_over_a_restart_who_comes_again_gets_all_of_it(
    hub: Hub,
) -> None:
    await hub.told(change(3), change(4), state(summary(5)), change(6))
    hub.daemon.job = job(6)
    reader = await hub.read(last="3")
    assert reader.told == [("state", "6")]
    assert "nodes" in json.loads(reader.events[0]["data"])


async def test_nothing_goes_back_before_the_job_that_was_asked_for(hub: Hub) -> None:
    """What was asked for is ahead of the watch, in which the job was closed and is tried again."""
    hub.daemon.job = job(8)
    hub.daemon.meanwhile = lambda _: hub.tell(change(7, "failed", closed=True), change(8))
    reader = await hub.read()
    await hub.told(change(9))
    assert (reader.told, reader.ended) == ([("state", "8"), ("change", "9")], False)


async def test_that_a_job_was_deleted_is_told_whatever_its_revision(hub: Hub) -> None:
    """Of a damaged record the daemon does not know the revision."""
    hub.daemon.job = job(8, "failed")
    reader = await hub.read()
    await hub.told(change(3, "failed", deleted=True))
    assert ([name for name, _ in reader.told], reader.ended) == (["state", "change"], True)


async def test_a_job_is_streamed_with_its_nodes(hub: Hub) -> None:
    assert not hub.streams.is_followed(ONE)
    await hub.read("/events")
    assert not hub.streams.is_followed(ONE)
    await hub.read(f"/jobs/{ONE[:4]}/events")
    assert hub.streams.is_followed(ONE)
    assert not hub.streams.is_followed(OTHER)


async def test_what_waits_is_sent_in_one_piece(hub: Hub) -> None:
    reader = await hub.read()
    reader.reads = trio.Event()
    await hub.told(*(change(number) for number in range(2, 102)))
    before = len(reader.pieces)
    reader.reads.set()
    await settled()
    assert len(reader.events) == 101
    assert len(reader.pieces) - before < 4


async def test_readers_share_what_they_are_sent(hub: Hub) -> None:
    one, other = await hub.read(), await hub.read()
    await hub.told(change(2))
    assert one.pieces[-1] is other.pieces[-1]


async def test_who_is_cut_off_with_many_does_not_come_again_with_all_of_them(hub: Hub) -> None:
    """A caller has only so many requests a second, and an EventSource gives up after a 429."""
    readers = [await hub.read() for _ in range(20)]
    pauses = {int(reader.pieces[0].split()[1]) for reader in readers}
    assert len(pauses) > 10
    assert 2000 <= min(pauses) <= max(pauses) <= 5000


async def test_a_silent_stream_says_so(hub: Hub, autojump_clock: trio.testing.MockClock) -> None:
    reader = await hub.read()
    await trio.sleep(50)
    assert (reader.silences, len(reader.events)) == (3, 1)


async def test_who_is_slow_gets_all_that_is_kept(hub: Hub) -> None:
    reader = await hub.read()
    reader.reads = trio.Event()
    await hub.told(*(change(number) for number in range(2, 3002)))
    hub.tell(*(change(number) for number in range(3002, 3102)))
    reader.reads.set()
    await settled()
    assert [one["id"] for one in reader.events] == [str(number) for number in range(1, 3102)]


async def test_who_does_not_read_is_cut_off_and_the_others_go_on(hub: Hub) -> None:
    lost, other = await hub.read(), await hub.read()
    lost.reads = trio.Event()
    for first in range(2, 6002, 200):
        await hub.told(*(change(number) for number in range(first, first + 200)))
    lost.reads.set()
    await settled()
    assert lost.cut_off
    assert not other.cut_off
    assert [one["id"] for one in other.events] == [str(number) for number in range(1, 6002)]
    had = int(lost.last or 0)
    assert [one["id"] for one in lost.events] == [str(number) for number in range(1, had + 1)]
    hub.daemon.job = job(6001)
    assert (await hub.read(last=lost.last)).told == [("state", "6001")]


async def test_other_jobs_do_not_make_a_reader_slow(hub: Hub) -> None:
    reader = await hub.read()
    await hub.told(*(change(number, job_id=OTHER) for number in range(2, 9002)))
    await hub.told(change(2))
    assert reader.told == [("state", "1"), ("change", "2")]


async def test_a_silent_reader_is_not_cut_off_for_what_others_were_told(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    reader = await hub.read()
    await hub.told(*(change(number, job_id=OTHER) for number in range(2, 9002)))
    await trio.sleep(50)
    assert not reader.cut_off
    assert reader.silences == 3


async def test_what_is_kept_is_the_same_after_a_million_bytes_more(hub: Hub) -> None:
    text = {"a": "x" * 10_000}
    for first in range(2, 5000, 400):
        await hub.told(*(change(number, labels=text) for number in range(first, first + 400)))
    hub.daemon.job = job(5201)
    assert [one["event"] for one in (await hub.read(last="2")).events] == ["state"]
    again = (await hub.read(last="5190")).events
    assert [one["id"] for one in again] == [str(number) for number in range(5191, 5202)]
