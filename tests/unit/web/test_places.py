"""The limits of event streams and downloads."""

from contextlib import ExitStack

import pytest

from cucmd.job.request import OnBehalfOf
from cucmweb.config import WebLimits
from cucmweb.places import DOWNLOADS_PER_CALLER, WebPlaces
from cucmweb.problems import HttpProblem
from unit.web.played_channel import PlayedChannel, exchange

OLGA, VICTOR = OnBehalfOf("olga", "operate"), OnBehalfOf("victor", "view")


def test_no_caller_has_all_downloads() -> None:
    places = WebPlaces(WebLimits())
    with ExitStack() as stack:
        for _ in range(DOWNLOADS_PER_CALLER):
            stack.enter_context(places.downloads.held(VICTOR))
        with pytest.raises(HttpProblem) as raised, places.downloads.held(VICTOR):
            pass
        assert (raised.value.status, raised.value.code) == (429, "TooManyDownloads")
        with places.downloads.held(OLGA), places.downloads.held(None):
            pass
    with places.downloads.held(VICTOR):
        pass


async def test_downloads_count_as_streams() -> None:
    places = WebPlaces(WebLimits(streams_per_caller=2))
    one = exchange(PlayedChannel(), identify=lambda: OLGA, places=places)
    async with one.download():
        with places.streams.held(OLGA), pytest.raises(HttpProblem), places.streams.held(OLGA):
            pass
    with places.streams.held(OLGA), places.streams.held(OLGA):
        with pytest.raises(HttpProblem) as raised, places.streams.held(OLGA):
            pass
        assert raised.value.code == "TooManyStreams"
        with places.streams.held(None), places.streams.held(VICTOR):
            pass
    with places.streams.held(OLGA), places.streams.held(OLGA):
        pass
