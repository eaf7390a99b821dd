"""Says who a request is of, by the tokens and the time of that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cucmd.job.request import OnBehalfOf
from cucmweb.callers import Arrival, caller_of
from cucmweb.config import ProxySettings
from cucmweb.token_file import TokenFile


class Callers:
    def __init__(self, tokens: TokenFile, proxy: ProxySettings) -> None:
        self._tokens = tokens
        self._proxy = proxy

    def of(
        self, client: tuple[str, int] | None, headers: Sequence[tuple[bytes, bytes]]
    ) -> OnBehalfOf | None:
        """Does what `callers.caller_of` does. `client` and `headers` are those of ASGI."""
        arrival = Arrival(client[0] if client else None, headers)
        return caller_of(arrival, self._tokens.tokens(), self._proxy, datetime.now(UTC))
