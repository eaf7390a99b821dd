"""What /metrics answers if the daemon sends figures that make no sense, or sends nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from cucmctl.client.errors import DaemonUnavailable
from cucmd.protocol.figures import DurationFigure, FiguresReply
from cucmweb.operations import OPERATIONS
from cucmweb.replies import send_metrics
from rig.figures import made_figures
from unit.web.played_channel import PlayedChannel, exchange

METRICS = next(one for one in OPERATIONS if one.form == "metrics")


class PlayedDaemon:
    """Stands in for the client of a daemon that answers with these figures, or never."""

    def __init__(self, figures: FiguresReply | None) -> None:
        self._figures = figures

    @contextmanager
    def limit(self, until: float) -> Iterator[None]:
        with trio.move_on_at(until):
            yield
            return
        raise DaemonUnavailable("too late")

    async def call(self, method: str, parameters: object, reply: type) -> FiguresReply:
        if self._figures is None:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return self._figures


async def test_defect_while_collecting_sends_nothing() -> None:
    """The server answers any exception with 500 if no part of a reply was sent."""
    wrong = made_figures(durations=(DurationFigure("connect", (1.0,), (1, 2, 3), 1.0),))
    one = exchange(channel := PlayedChannel(), PlayedDaemon(wrong))
    with pytest.raises(ValueError, match="argument 2"):
        await send_metrics(one, METRICS, {}, per_node=False)
    assert (channel.status, channel.sent) == (0, b"")


async def test_silent_daemon_fails_before_the_scrape(
    autojump_clock: trio.testing.MockClock,
) -> None:
    one = exchange(PlayedChannel(), PlayedDaemon(None))
    with pytest.raises(DaemonUnavailable), trio.fail_after(10):
        await send_metrics(one, METRICS, {}, per_node=False)
