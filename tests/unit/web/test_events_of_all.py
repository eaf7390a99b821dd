"""Server-sent events of all jobs: what a reader gets, from the beginning or again."""

import json

import pytest

from unit.web.event_hub import BEGUN, ONE, OTHER, Hub, change, job, settled, summary


async def test_a_stream_of_all_begins_with_each_job_that_waits_or_runs(hub: Hub) -> None:
    hub.daemon.listed = {"queued": [summary(1, OTHER, "queued")], "running": [summary(4)]}
    reader = await hub.read("/events")
    await hub.told(change(2, job_id=OTHER), change(5))
    assert reader.told == [
        ("state", None),
        ("state", None),
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
    assert [json.loads(one["data"])["revision"] for one in reader.events] == [1, 2]


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
    assert reader.told == [("missed", None), ("state", None)]
    assert reader.last == f"{ONE}/3"


async def test_who_has_only_had_the_beginning_comes_again_to_what_came_after_it(hub: Hub) -> None:
    """Not after the event of the last job in it, which may be an old one."""
    await hub.told(change(4), change(2, job_id=OTHER), change(3, job_id=OTHER))
    hub.daemon.listed = {"running": [summary(4), summary(3, OTHER)]}
    reader = await hub.read("/events")
    again = await hub.read("/events", reader.last)
    await hub.told(change(5))
    assert again.told == [("change", f"{ONE}/5")]


async def test_what_is_in_the_beginning_is_not_told_again_either(hub: Hub) -> None:
    await hub.told(change(4))
    hub.daemon.listed = {"running": [summary(5)]}
    hub.daemon.meanwhile = lambda status: hub.tell(change(5)) if status == "queued" else None
    reader = await hub.read("/events")
    assert len(reader.events) == 1
    hub.daemon.meanwhile = lambda _: None
    again = await hub.read("/events", reader.last)
    await hub.told(change(6))
    assert again.told == [("change", f"{ONE}/6")]


async def test_what_happens_meanwhile_is_still_to_come_after_the_beginning(hub: Hub) -> None:
    await hub.told(change(4))
    hub.daemon.listed = {"running": [summary(4)]}
    hub.daemon.meanwhile = lambda status: hub.tell(change(5)) if status == "queued" else None
    reader = await hub.read("/events")
    assert reader.ids == [f"{ONE}/4", f"{ONE}/5"]


async def test_who_is_cut_off_in_the_beginning_gets_all_of_it(hub: Hub) -> None:
    await hub.told(change(1, job_id=OTHER), change(4))
    hub.daemon.listed = {"queued": [summary(4)], "running": [summary(1, OTHER)]}
    hub.daemon.meanwhile = lambda status: status == "running" and hub.fail()
    reader = await hub.read("/events")
    assert (reader.told, reader.last, reader.cut_off) == ([("state", None)], None, True)


async def test_where_nothing_has_happened_yet_who_comes_again_is_told_that_it_may_have(
    hub: Hub,
) -> None:
    reader = await hub.read("/events")
    assert (reader.status, reader.told) == (200, [])
    hub.fail()
    await settled()
    await hub.told(BEGUN)
    assert (await hub.read("/events", reader.last)).told == [("missed", None)]


async def test_a_thousand_jobs_are_asked_for_in_pages(hub: Hub) -> None:
    names = [f"{number:012x}" for number in range(1000)]
    hub.daemon.listed = {"running": [summary(1, name) for name in names]}
    reader = await hub.read("/events")
    assert sorted(json.loads(one["data"])["job_id"] for one in reader.events) == names
    assert hub.daemon.asked > 2


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
