"""The places of event streams and downloads."""

from contextlib import ExitStack

import pytest

from cucmd.job.request import OnBehalfOf
from cucmweb.config import WebLimits
from cucmweb.places import DOWNLOADS, DOWNLOADS_PER_CALLER, WebPlaces
from cucmweb.problems import HttpProblem

OLGA, VICTOR = OnBehalfOf("olga", "operate"), OnBehalfOf("victor", "view")


def test_no_caller_has_all_downloads() -> None:
    places = WebPlaces(WebLimits())
    with ExitStack() as stack:
        for _ in range(DOWNLOADS_PER_CALLER):
            stack.enter_context(places.download(VICTOR))
        with pytest.raises(HttpProblem) as raised, places.download(VICTOR):
            pass
        assert (raised.value.status, raised.value.code) == (429, "TooManyDownloads")
        with places.download(OLGA), places.download(None):
            pass
    with places.download(VICTOR):
        pass


def test_a_download_too_many_is_refused_at_once_and_a_stream_is_not() -> None:
    places = WebPlaces(WebLimits())
    with ExitStack() as stack:
        for number in range(DOWNLOADS):
            stack.enter_context(places.download(OnBehalfOf(f"{number}", "view")))
        with pytest.raises(HttpProblem) as raised, places.download(VICTOR):
            pass
        assert (raised.value.status, raised.value.code) == (429, "TooManyDownloads")
        assert "retry-after" in raised.value.headers
        with places.stream(VICTOR):
            pass
    with places.download(VICTOR):
        pass


def test_downloads_count_among_the_streams_of_a_caller() -> None:
    places = WebPlaces(WebLimits(streams_per_caller=2))
    with places.stream(OLGA), places.download(OLGA):
        with pytest.raises(HttpProblem) as raised, places.stream(OLGA):
            pass
        assert raised.value.code == "TooManyStreams"
        with places.stream(None), places.stream(VICTOR):
            pass
    with places.stream(OLGA), places.stream(OLGA):
        pass
