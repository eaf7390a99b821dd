"""An HTTP request without a server. Its reply is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from cucmweb.config import WebLimits
from cucmweb.exchange import Exchange
from cucmweb.places import WebPlaces


class PlayedChannel:
    """Stands in for `HttpChannel`. status, sent: the reply. gone: set it when the client leaves."""

    def __init__(
        self, headers: Sequence[tuple[bytes, bytes]] = (), *, version: str = "1.1"
    ) -> None:
        self.query, self.request_id, self.version = "", "r", version
        self.headers = headers
        self.status = 0
        self.sent = b""
        self.ended = False
        self.gone = trio.Event()

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def end(self, data: bytes = b"") -> None:
        await self.send(data)
        self.ended = True

    async def left(self) -> None:
        await self.gone.wait()


def exchange(
    channel: Any,
    daemon: Any = None,
    identify: Any = lambda: None,
    places: WebPlaces | None = None,
    **path: str,
) -> Exchange:
    """Makes an exchange whose caller is the result of `identify`."""
    limits = WebLimits()
    places = places or WebPlaces(limits)
    own = {"daemon": daemon, "downloads": daemon, "places": places, "limits": limits}
    return Exchange(channel, path, identify, identify(), **own)
