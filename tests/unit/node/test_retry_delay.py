"""The pauses between attempts to reach a node: they grow up to a cap, and are spread."""

from pathlib import Path

import pytest
import trio

from cucmd.failure import Code, failure
from cucmd.node.ports import Retry
from cucmd.node.session_start import retry_delay
from rig.scripted_node import RecordedReport, appliance, collected, node_task, pushes, scripted

RETRY = Retry(attempts=6, base=10, cap=100)
MIDDLE = 0.5  # as a random number: neither shorter nor longer


def test_a_pause_doubles_with_each_failed_attempt_up_to_the_cap() -> None:
    pauses = [retry_delay(RETRY, failed, MIDDLE) for failed in range(1, 7)]
    assert pauses == [10, 20, 40, 80, 100, 100]


@pytest.mark.parametrize("failed", [1, 3, 6])
def test_a_pause_is_spread_from_half_to_one_and_a_half(failed: int) -> None:
    middle = retry_delay(RETRY, failed, MIDDLE)
    spread = [retry_delay(RETRY, failed, fraction) for fraction in (0, 1)]
    assert spread == [0.5 * middle, 1.5 * middle]


async def test_each_pause_is_drawn_anew(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a cluster that comes back would be met by all its jobs at the same moment."""
    times: list[float] = []

    class Timed(RecordedReport):
        def attempt(self, number: int) -> None:
            times.append(trio.current_time())

    drawn = iter([0.0, 1.0])
    monkeypatch.setattr("cucmd.node.session_start.random.random", lambda: next(drawn))
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [failure(Code.CONNECTION_REFUSED, "cucm-pub:22 refused")] * 2
        task = node_task(tmp_path, retry=RETRY)
        await collected(node, task, Timed())
    first, second, third = times
    assert [second - first, third - second] == pytest.approx([5, 30])
