"""PURE. `RepeatableCall`: a call that starts something has one effect, also if the connection breaks.

Whether a call had its effect before the connection broke is not known here. So one that starts
something has a key: the daemon keeps it with the job, and answers a second call of that key with
the job of the first.

    answer to the first call      what follows
    the reply, or a refusal       it is the result
    the connection breaks         the call again with the key, until the deadline
"""

from __future__ import annotations

import os

from msgspec.structs import replace

from cucmctl.client.errors import (
    ClientError,
    ConnectionLost,
    DaemonUnavailable,
    ShuttingDown,
)
from cucmd.job.work import StartRequest
from cucmd.protocol.jobs import RetryRequest

# Seconds between two calls with a key while the daemon is away.
PAUSE = 0.2


class RepeatableCall:
    """Who calls asks `request`, and tells each error to `pause_after`.

    request  what is to be asked next
    lost     the error of the first call that was cut off, which is raised at the deadline
    """

    def __init__(self, request: StartRequest | RetryRequest) -> None:
        self.request = request
        self.lost: ConnectionLost | None = None
        if request.start_key is None:
            self.request = replace(request, start_key=os.urandom(16).hex())

    def pause_after(self, error: ClientError) -> float:
        """Says after how many seconds to ask it again. Raises `error` if it is the result."""
        if isinstance(error, ConnectionLost):
            self.lost = self.lost or error
            return PAUSE
        if isinstance(error, DaemonUnavailable | ShuttingDown) and self.lost is not None:
            return PAUSE
        raise error
