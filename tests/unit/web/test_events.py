"""The event stream of a job, for new and for reconnecting readers."""

import json

import pytest
import trio
import trio.testing

from cucmctl.client.job_events import JobEvent
from unit.web.event_hub import ONE, OTHER, Hub, change, job, settled, state, summary


async def test_stream_begins_and_ends_with_job(hub: Hub) -> None:
    hub.daemon.job = job(3)
    reader = await hub.read()
    await hub.told(change(4), change(5, "succeeded"))
    assert not reader.ended
    await hub.told(change(6, "succeeded", closed=True), change(7, "succeeded", closed=True))
    assert reader.told == [("state", "3"), ("change", "4"), ("change", "5"), ("change", "6")]
    assert (reader.status, reader.ended) == (200, True)


async def test_closed_job_is_one_event(hub: Hub) -> None:
    hub.daemon.job = job(9, "failed", closed=True)
    reader = await hub.read()
    assert (reader.told, reader.ended) == ([("state", "9")], True)


async def test_figures_have_no_id(hub: Hub) -> None:
    reader = await hub.read()
    await hub.told(change(2), change(2), change(3))
    assert reader.told == [("state", "1"), ("change", "2"), ("change", None), ("change", "3")]


async def test_changes_during_first_question_are_kept(hub: Hub) -> None:
    hub.daemon.job = job(5)
    hub.daemon.meanwhile = lambda _: hub.tell(change(4), change(5), change(6))
    reader = await hub.read()
    assert reader.told == [("state", "5"), ("change", "6")]


async def test_reconnecting_reader_gets_missed_events(hub: Hub) -> None:
    await hub.told(change(2), change(3), change(3), change(4))
    hub.daemon.job = job(4)
    reader = await hub.read(last="2")
    await hub.told(change(5))
    assert reader.told == [("change", "3"), ("change", None), ("change", "4"), ("change", "5")]


@pytest.mark.parametrize("last", ["1", "99", "-1", "", "x", "4/4", "9" * 100, "1e3"])
async def test_unknown_last_id_gets_state(hub: Hub, last: str) -> None:
    await hub.told(change(3), change(4))
    hub.daemon.job = job(4)
    reader = await hub.read(last=last)
    await hub.told(change(5))
    assert reader.told == [("state", "4"), ("change", "5")]


async def test_reconnect_after_end_gets_204(hub: Hub) -> None:
    hub.daemon.job = job(4, "succeeded", closed=True)
    reader = await hub.read(last="4")
    assert (reader.status, reader.ended, reader.events) == (204, True, [])


async def test_missed_end_is_sent(hub: Hub) -> None:
    await hub.told(change(3), change(4, "succeeded", closed=True))
    hub.daemon.job = job(4, "succeeded", closed=True)
    reader = await hub.read(last="3")
    assert (reader.told, reader.ended) == ([("change", "4")], True)


async def test_deletion_ends_the_stream(hub: Hub) -> None:
    readers = [await hub.read(), await hub.read("/events")]
    await hub.told(change(7, "failed", deleted=True))
    assert [reader.ended for reader in readers] == [True, False]
    gone = await hub.read()
    await hub.told(JobEvent("gone", ONE))
    assert (gone.told[-1], gone.ended) == (("gone", None), True)


async def test_short_event_is_replaced_by_state(
    hub: Hub,
) -> None:
    await hub.told(change(3), change(4), state(summary(5)), change(6))
    hub.daemon.job = job(6)
    reader = await hub.read(last="3")
    assert reader.told == [("state", "6")]
    assert "nodes" in json.loads(reader.events[0]["data"])


async def test_deletion_ignores_the_revision(hub: Hub) -> None:
    """The daemon does not know the revision of a damaged record."""
    hub.daemon.job = job(8, "failed")
    reader = await hub.read()
    await hub.told(change(3, "failed", deleted=True))
    assert ([name for name, _ in reader.told], reader.ended) == (["state", "change"], True)


async def test_followed_jobs_need_nodes(hub: Hub) -> None:
    assert not hub.streams.is_followed(ONE)
    await hub.read("/events")
    assert not hub.streams.is_followed(ONE)
    await hub.read(f"/jobs/{ONE[:4]}/events")
    assert hub.streams.is_followed(ONE)
    assert not hub.streams.is_followed(OTHER)


async def test_silent_stream_sends_comments(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    reader = await hub.read()
    await trio.sleep(50)
    assert (reader.silences, len(reader.events)) == (3, 1)


async def test_slow_reader_is_cut_off(hub: Hub) -> None:
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


async def test_events_of_others_cut_nobody_off(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    reader = await hub.read()
    await hub.told(*(change(number, job_id=OTHER) for number in range(2, 9002)))
    await trio.sleep(50)
    assert not reader.cut_off
    assert reader.silences == 3


async def test_kept_events_are_bounded(hub: Hub) -> None:
    text = {"a": "x" * 10_000}
    for first in range(2, 5000, 400):
        await hub.told(*(change(number, labels=text) for number in range(first, first + 400)))
    hub.daemon.job = job(5201)
    assert [one["event"] for one in (await hub.read(last="2")).events] == ["state"]
    again = (await hub.read(last="5190")).events
    assert [one["id"] for one in again] == [str(number) for number in range(5191, 5202)]
