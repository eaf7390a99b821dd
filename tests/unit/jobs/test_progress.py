"""What the job shows of a node at work: when it was heard last, and whether its size is known."""

from datetime import UTC, datetime, timedelta

import trio
from msgspec.structs import replace

from cucmd.job.node import Node
from cucmd.jobs.node_work import NodeProgress
from cucmd.received_file import ReceivedFile

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


async def test_a_node_is_heard_by_what_it_says_and_by_what_it_sends(
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


async def test_a_file_that_we_write_is_seen_to_grow() -> None:
    watched = Watched()
    shown = []
    for size in (5, 9):
        watched.progress.report_size(size)
        shown.append((watched.look().files_received, watched.node.bytes_received))
    watched.progress.add_own_file(ReceivedFile("a", "a/output/1", 9, complete=True))
    shown.append((watched.look().files_received, watched.node.bytes_received))
    assert shown == [(0, 5), (0, 9), (1, 9)]


async def test_nothing_changes_while_a_node_is_silent(
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


async def test_another_attempt_is_heard_from_its_beginning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watched = Watched()
    watched.progress.attempt(1)
    watched.progress.session(Heard())
    await trio.sleep(60)
    watched.progress.attempt(2)
    assert watched.look().heard_at == BEGAN + timedelta(seconds=60)


async def test_the_size_is_known_once_all_commands_have_announced_theirs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watched = Watched()
    watched.progress.attempt(1)
    watched.progress.upload_target(Heard())
    watched.progress.report_announced(2, 20, all_of_them=False)
    assert not watched.look().all_announced
    watched.progress.report_announced(3, 30, all_of_them=True)
    assert watched.look().all_announced
    watched.progress.attempt(2)
    assert not watched.node.all_announced


async def test_a_node_that_has_ended_stays_as_it_was_heard() -> None:
    watched = Watched()
    watched.progress.attempt(1)
    watched.node = replace(watched.node.cancel(BEGAN), heard_at=BEGAN)
    watched.progress.session(Heard())
    assert watched.look().heard_at == BEGAN
