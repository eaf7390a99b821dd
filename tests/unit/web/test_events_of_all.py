"""The event stream of all jobs, for new and for reconnecting readers."""

import json

import pytest

from unit.web.event_hub import BEGUN, ONE, OTHER, Hub, change, settled, summary


async def test_stream_of_all_begins_with_unfinished(hub: Hub) -> None:
    hub.daemon.listed = {"queued": [summary(1, OTHER, "queued")], "running": [summary(4)]}
    reader = await hub.read("/events")
    await hub.told(change(2, job_id=OTHER), change(5))
    assert reader.told == [
        ("state", None),
        ("state", None),
        ("change", f"{OTHER}/2"),
        ("change", f"{ONE}/5"),
    ]


async def test_reader_of_all_gets_missed_events(hub: Hub) -> None:
    await hub.told(change(2), change(2, job_id=OTHER), change(3), change(3, job_id=OTHER))
    reader = await hub.read("/events", f"{OTHER}/2")
    await hub.told(change(4))
    assert [one for _, one in reader.told] == [f"{ONE}/3", f"{OTHER}/3", f"{ONE}/4"]


@pytest.mark.parametrize("last", ["", "3", f"{ONE}/1", f"{ONE}/99", "/", "x/y"])
async def test_late_reader_of_all_gets_missed(hub: Hub, last: str) -> None:
    await hub.told(change(2), change(3))
    hub.daemon.listed = {"running": [summary(3)]}
    reader = await hub.read("/events", last)
    assert reader.told == [("missed", None), ("state", None)]
    assert reader.last == f"{ONE}/3"


async def test_reconnect_after_first_states(hub: Hub) -> None:
    """The stream must not go on after the last event of the last listed job, which may be old."""
    await hub.told(change(4), change(2, job_id=OTHER), change(3, job_id=OTHER))
    hub.daemon.listed = {"running": [summary(4), summary(3, OTHER)]}
    reader = await hub.read("/events")
    again = await hub.read("/events", reader.last)
    await hub.told(change(5))
    assert again.told == [("change", f"{ONE}/5")]


async def test_first_states_are_not_repeated(hub: Hub) -> None:
    await hub.told(change(4))
    hub.daemon.listed = {"running": [summary(5)]}
    hub.daemon.meanwhile = lambda status: hub.tell(change(5)) if status == "queued" else None
    reader = await hub.read("/events")
    assert len(reader.events) == 1
    hub.daemon.meanwhile = lambda _: None
    again = await hub.read("/events", reader.last)
    await hub.told(change(6))
    assert again.told == [("change", f"{ONE}/6")]


async def test_cut_off_among_first_states(hub: Hub) -> None:
    await hub.told(change(1, job_id=OTHER), change(4))
    hub.daemon.listed = {"queued": [summary(4)], "running": [summary(1, OTHER)]}
    hub.daemon.meanwhile = lambda status: status == "running" and hub.fail()
    reader = await hub.read("/events")
    assert (reader.told, reader.last, reader.cut_off) == ([("state", None)], None, True)


async def test_reconnect_before_any_event(
    hub: Hub,
) -> None:
    reader = await hub.read("/events")
    assert (reader.status, reader.told) == (200, [])
    hub.fail()
    await settled()
    await hub.told(BEGUN)
    assert (await hub.read("/events", reader.last)).told == [("missed", None)]


async def test_many_jobs_are_listed_in_pages(hub: Hub) -> None:
    names = [f"{number:012x}" for number in range(1000)]
    hub.daemon.listed = {"running": [summary(1, name) for name in names]}
    reader = await hub.read("/events")
    assert sorted(json.loads(one["data"])["job_id"] for one in reader.events) == names
    assert hub.daemon.asked > 2
