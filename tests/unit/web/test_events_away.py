"""Event streams while the daemon is away, and while no watch runs."""

import pytest
import trio
import trio.testing

from cucmctl.client.errors import (
    DaemonUnavailable,
    JobNotFound,
    StorageFailed,
)
from cucmd.protocol import errors
from unit.web.event_hub import AWAY, BACK, BEGUN, ONE, Hub, change, job, settled, summary

GONE = JobNotFound("JobNotFound", errors.JobNotFound(ONE))
PATHS = pytest.mark.parametrize("path", [f"/jobs/{ONE}/events", "/events"])


async def test_refused_watch_is_logged_once(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        hub.streams.log_refusal(GONE)
    assert len(caplog.records) == 1
    await hub.told(BEGUN)
    hub.streams.log_refusal(GONE)
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 2


@pytest.fixture
async def beginning(hub: Hub) -> Hub:
    """A hub whose watch has not begun."""
    hub.fail()
    await settled()
    return hub


async def test_streams_outlive_the_daemon(hub: Hub, autojump_clock: trio.testing.MockClock) -> None:
    reader = await hub.read()
    await hub.told(AWAY)
    await trio.sleep(3600)
    await hub.told(BACK, change(2))
    assert reader.told == [("state", "1"), ("change", "2")]


@PATHS
@pytest.mark.parametrize("last", [None, "1", f"{ONE}/1"])
async def test_reader_waits_for_the_daemon(
    hub: Hub, path: str, last: str | None, autojump_clock: trio.testing.MockClock
) -> None:
    await hub.told(AWAY)
    reader = await hub.read(path, last)
    await trio.sleep(100)
    assert (reader.status, reader.events, reader.silences) == (200, [], 6)
    assert hub.daemon.asked == 0
    hub.daemon.job = job(3)
    hub.daemon.listed = {"running": [summary(3)]}
    await hub.told(BACK)
    await hub.told(change(4))
    assert [name for name, _ in reader.told if name != "missed"] == ["state", "change"]


@PATHS
async def test_reader_waits_for_first_watch(
    beginning: Hub, path: str, autojump_clock: trio.testing.MockClock
) -> None:
    beginning.daemon.job = DaemonUnavailable("no socket")
    reader = await beginning.read(path)
    await beginning.told(AWAY)
    await trio.sleep(100)
    beginning.daemon.job = job(3)
    beginning.daemon.listed = {"running": [summary(3)]}
    await beginning.told(BACK)
    await beginning.told(change(4))
    assert (reader.status, [name for name, _ in reader.told]) == (200, ["state", "change"])


@pytest.mark.parametrize("error", [GONE, StorageFailed("S", errors.StorageFailed("damaged"))])
async def test_refusal_of_daemon_is_raised(
    beginning: Hub, error: Exception, autojump_clock: trio.testing.MockClock
) -> None:
    for event in (BEGUN, AWAY, BACK):
        beginning.daemon.job = error
        reader = await beginning.read()
        assert (reader.status, reader.raised) == (0, error)
        beginning.daemon.job = job(3)
        await beginning.told(event)
        if event is AWAY:
            beginning.daemon.job = error
            reader = await beginning.read()
            await beginning.told(BACK)
            assert (reader.status, reader.raised, reader.ended) == (200, error, False)


async def test_failed_watch_cuts_readers_off(hub: Hub) -> None:
    await hub.told(change(2))
    reader = await hub.read(last="2")
    hub.fail()
    await settled()
    assert reader.cut_off
    hub.daemon.job = job(9)
    again = await hub.read(last="2")
    assert (again.status, again.told) == (200, [])
    await hub.told(BEGUN)
    assert again.told == [("state", "9")]


@PATHS
async def test_failed_watch_forgets_events(hub: Hub, path: str) -> None:
    """Events between the two watches are not known."""
    await hub.told(change(2), change(3))
    hub.fail()
    await settled()
    await hub.told(change(5), BEGUN)
    hub.daemon.job = job(5)
    hub.daemon.listed = {"running": [summary(5)]}
    reader = await hub.read(path, "2" if "jobs" in path else f"{ONE}/2")
    assert [name for name, _ in reader.told if name != "missed"] == ["state"]
