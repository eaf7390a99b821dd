"""What ends a reply that has no limit of time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.job.request import OnBehalfOf
from cucmweb.authentication import RequestHead, authenticate
from cucmweb.config import ProxySettings
from cucmweb.daemon_liveness import until
from cucmweb.operations import OPERATIONS
from cucmweb.problems import HttpProblem
from cucmweb.server import Disconnected
from cucmweb.token_file import TokenFile, add, revoke
from unit.web.played_channel import PlayedChannel, exchange

TEXT = next(one for one in OPERATIONS if one.form == "text")


async def test_http_1_0_needs_a_length() -> None:
    """HTTP/1.0 has no chunks, so a cut-off reply would look complete."""
    one = exchange(channel := PlayedChannel(version="1.0"))
    with pytest.raises(HttpProblem) as raised:
        one.begin(TEXT)
    assert (raised.value.status, channel.status) == (505, 0)
    one.begin(TEXT, {"content-length": "0"})
    assert channel.status == 200


async def test_leaving_client_ends_the_reply(autojump_clock: MockClock) -> None:
    channel = PlayedChannel()
    channel.gone.set()
    with pytest.raises(Disconnected):
        async with until(exchange(channel).gone):
            await trio.sleep_forever()


async def test_a_revoked_token_ends_streams(autojump_clock: MockClock, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    bearer = f"Bearer {add(file, 'page', 'view', None)}".encode()
    arrival, tokens = RequestHead("192.0.2.1", [(b"authorization", bearer)]), TokenFile(file)

    def identify() -> OnBehalfOf | None:
        return authenticate(arrival, tokens.tokens(), ProxySettings(), datetime.now(UTC))

    one = exchange(PlayedChannel(), identify=identify)
    with trio.move_on_after(3600) as waited:
        await one.gone()
    assert waited.cancelled_caught
    revoke(file, "page")
    with trio.fail_after(15):
        problem = await one.gone()
    assert isinstance(problem, HttpProblem)
    assert (problem.status, problem.code) == (401, "NotLetIn")
