"""A call that starts something: made again when the connection breaks, with one effect.

Whether a call had its effect before the connection broke is not known here. So each has a key: the
daemon keeps it with the job, and answers a second call of that key with the job of the first.

    answer to the first call      what follows
    the reply, or a refusal       it is the result
    the key is refused            an older daemon: the call once more, without a key
    the connection breaks         the call again with the key, until the deadline

A call without a key is made once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from cucmctl.client.errors import ConnectionLost, DaemonUnavailable, InvalidRequest, ShuttingDown
from cucmd.protocol.jobs import RetryRequest, StartRequest

Request = TypeVar("Request", StartRequest, RetryRequest)
R = TypeVar("R")

# Seconds between two calls while the daemon is away.
PAUSE = 0.2


def ask_once(ask: Callable[[Request], R], request: Request, deadline: float | None) -> R:
    """The reply to `request`.

    ask       makes the call
    deadline  on the clock of `time.monotonic`; the last call ends then

    Raises what `ask` does; `ConnectionLost` if no later call was answered by the deadline.
    """
    keyed = request
    if request.start_key is None:
        keyed = replace(request, start_key=os.urandom(16).hex())
    lost: ConnectionLost | None = None
    while True:
        try:
            return ask(keyed)
        except ConnectionLost as error:
            lost = lost or error
        except (DaemonUnavailable, ShuttingDown):
            if lost is None:
                raise
        except InvalidRequest as error:
            # not after a broken call: that may have reached another daemon, which took the key
            if keyed is request or lost is not None or not _names_the_key(error):
                raise
            return ask(request)
        left = PAUSE if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise lost
        time.sleep(min(PAUSE, left))


def _names_the_key(error: InvalidRequest) -> bool:
    return error.parameters.parameter.removeprefix("$.") == "start_key"
