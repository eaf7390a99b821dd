"""A call that takes the daemon longer than others may: it is waited for as long as that answers."""

import math
from contextlib import suppress
from pathlib import Path

import trio
from trio.testing import MockClock

from cucmctl.client.errors import DaemonUnavailable
from cucmtrio import open_client
from cucmweb.operations import OPERATIONS
from cucmweb.replies import send_object
from rig.scripted_daemon import Caller, reply, scripted_daemon
from rig.varlink_peer import short_path
from unit.web.played_channel import PlayedChannel, exchange

DELETE = next(one for one in OPERATIONS if one.verb == "DELETE")
HOURS = 10 * 3600


async def delete(path: Path, others: float) -> PlayedChannel:
    """Deletes a job of a daemon that takes hours for it. Returns what was sent.

    others: seconds until any other call is answered.
    """

    async def serve(caller: Caller) -> None:
        while (call := await caller.call()) is not None:
            await trio.sleep(HOURS if call["method"].endswith(".Delete") else others)
            await caller.send(reply({"bytes": 1}))

    path.parent.mkdir()
    channel = PlayedChannel()
    async with scripted_daemon(path, serve), open_client(path) as daemon:
        one = exchange(channel, daemon, job_id="1234")
        with suppress(DaemonUnavailable):
            await send_object(one, DELETE, await one.parameters(DELETE))
    return channel


async def test_a_long_deletion_is_answered_once_it_is_done(autojump_clock: MockClock) -> None:
    with short_path() as path:
        channel = await delete(path, 0)
    assert (channel.status, channel.sent) == (200, b'{"bytes":1}')


async def test_a_daemon_that_stops_in_a_deletion_is_given_up(autojump_clock: MockClock) -> None:
    with short_path() as path:
        assert (await delete(path, math.inf)).status == 0
    assert trio.current_time() < HOURS
