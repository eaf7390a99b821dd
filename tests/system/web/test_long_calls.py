"""A call that takes the daemon longer than others may: it is waited for as long as that answers."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from cucmctl.client.errors import DaemonUnavailable
from cucmtrio import open_client
from cucmweb.answers import send_object
from cucmweb.config import WebLimits
from cucmweb.exchange import Exchange
from cucmweb.operations import OPERATIONS
from cucmweb.places import WebPlaces
from rig.scripted_daemon import Caller, reply, scripted_daemon
from rig.varlink_peer import short_path

DELETE = next(one for one in OPERATIONS if one.verb == "DELETE")
HOURS = 10 * 3600


async def delete(path: Path, others: float) -> list[dict[str, Any]]:
    """Deletes a job of a daemon that takes hours for it. Returns the reply over HTTP, if there is
    one. `others`: seconds until any other call is answered.
    """

    async def serve(caller: Caller) -> None:
        while (call := await caller.call()) is not None:
            await trio.sleep(HOURS if call["method"].endswith(".Delete") else others)
            await caller.send(reply({"bytes": 1}))

    async def send(message: Any) -> None:
        sent.append(message)

    path.parent.mkdir()
    sent: list[dict[str, Any]] = []
    limits = WebLimits()
    scope = {
        **{"method": "DELETE", "http_version": "1.1", "headers": [], "query_string": b""},
        **{"path_params": {"job_id": "1234"}, "state": {"request_id": "r", "who": None}},
    }
    async with scripted_daemon(path, serve), open_client(path) as daemon:
        own = {"daemon": daemon, "downloads": daemon, "places": WebPlaces(limits)}
        never: Any = trio.sleep_forever
        with suppress(DaemonUnavailable):
            await send_object(Exchange(scope, never, send, **own, limits=limits), DELETE)
    return sent


async def test_a_long_deletion_is_answered_once_it_is_done(autojump_clock: MockClock) -> None:
    with short_path() as path:
        sent = await delete(path, 0)
    assert (sent[0]["status"], sent[1]["body"]) == (200, b'{"bytes":1}')


async def test_a_daemon_that_stops_in_a_deletion_is_given_up(autojump_clock: MockClock) -> None:
    with short_path() as path:
        assert await delete(path, math.inf) == []
    assert trio.current_time() < HOURS
