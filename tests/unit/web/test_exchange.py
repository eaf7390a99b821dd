"""A request as the application has it."""

from typing import Any

import pytest

from cucmweb.config import WebLimits
from cucmweb.exchange import Exchange
from cucmweb.operations import OPERATIONS
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem

TEXT = next(one for one in OPERATIONS if one.form == "text")


async def test_a_reply_whose_end_could_not_be_told_from_a_cut_is_refused() -> None:
    """HTTP/1.0 has no chunks: the reply would end with the connection."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    no: Any = None
    scope = {"method": "GET", "http_version": "1.0", "state": {"request_id": "r", "who": None}}
    limits = WebLimits()
    places = WebPlaces(limits)
    exchange = Exchange(scope, no, send, daemon=no, downloads=no, places=places, limits=limits)
    with pytest.raises(HttpProblem) as raised:
        await exchange.begin(TEXT)
    assert (raised.value.status, sent) == (505, [])
    await exchange.begin(TEXT, content_length="0")
    assert sent[0]["status"] == 200
