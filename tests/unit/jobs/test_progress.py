"""What the job shows of a node at work: when it was heard last, and whether its size is known."""

from datetime import UTC, datetime, timedelta

import trio

from cucmd.job.node import Node
from cucmd.jobs.node_work import NodeProgress

BEGAN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Heard:
    """A session or an upload target; it was heard when it was made, or when it was touched."""

    files_received = 1
    bytes_received = 10
    refusal = None

    def __init__(self) -> None:
        self.touch()

    def touch(self) -> None:
        self.last_heard = self.last_activity = trio.current_time()


class Watched:
    """A node with its progress; the wall clock is trio's, plus `ahead`."""

    def __init__(self) -> None:
        self.node = Node("a")
        self.ahead = timedelta()
        self._zero = trio.current_time()
        self.progress = NodeProgress(self._change, self.now)

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=trio.current_time() - self._zero) + self.ahead

    def _change(self, change) -> None:
        self.node = change(self.node)

    def look(self) -> Node:
        self.node = self.progress.figures(self.node)
        return self.node


async def test_heard_at_follows_session_and_target(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watched = Watched()
    watched.progress.attempt(1)
    assert watched.look().heard_at == BEGAN
    await trio.sleep(5)
    session = Heard()
    watched.progress.session(session)
    assert watched.look().heard_at == BEGAN + timedelta(seconds=5)
    target = Heard()
    watched.progress.upload_target(target)
    await trio.sleep(20)
    target.touch()
    assert watched.look().heard_at == BEGAN + timedelta(seconds=25)
    await trio.sleep(20)
    session.touch()
    await trio.sleep(7)
    assert watched.look().heard_at == BEGAN + timedelta(seconds=45)


async def test_silent_node_stays_unchanged(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watched = Watched()
    watched.progress.attempt(1)
    watched.progress.session(Heard())
    for _ in range(3):
        before = watched.look()
        await trio.sleep(0.5)
        watched.ahead += timedelta(days=2)  # somebody sets the clock
        assert watched.look() is before
