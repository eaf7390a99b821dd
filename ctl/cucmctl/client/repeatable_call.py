"""PURE. `RepeatableCall`: repeats a call that starts something, without starting it twice.

If the connection breaks during a call, the client cannot know whether the daemon has received the
request. So every call that starts something has a random key. The daemon stores the key with the
job, and answers a second call that has the same key with the job of the first.

    answer to the first call      what the client does
    a reply, or a refusal         takes it as the result
    the connection breaks         calls again with the same key, until the deadline
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
    """Holds the request, and decides after each error whether to send it again.

    request  the request with its key, to be sent by the caller
    lost     the error of the first call that was cut off; the caller raises it at the deadline
    """

    def __init__(self, request: StartRequest | RetryRequest) -> None:
        self.request = request
        self.lost: ConnectionLost | None = None
        if request.start_key is None:
            self.request = replace(request, start_key=os.urandom(16).hex())

    def pause_after(self, error: ClientError) -> float:
        """Returns how many seconds to wait before the next call. Raises `error` if it is final."""
        # The call may have had its effect, so only a call with the same key can tell what became of
        # it.
        if isinstance(error, ConnectionLost):
            self.lost = self.lost or error
            return PAUSE
        # If no call was cut off, the user gets the error at once. After a call that was cut off,
        # the daemon is probably being restarted, and will answer soon.
        if isinstance(error, DaemonUnavailable | ShuttingDown) and self.lost is not None:
            return PAUSE
        raise error
