"""Finds out whether the daemon answers, also while a long call or a reply in pieces is silent.

Such a reply has no limit of time: if it follows a node, it is silent for as long as the node is. So
the daemon gets other calls meanwhile, and the reply ends once the daemon does not answer them.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import trio

from cucmctl.client.calls import CALL_TIMEOUT
from cucmctl.client.errors import ClientError, DaemonUnavailable
from cucmtrio import Client

# Seconds after which a daemon that hangs is given up at the latest, as for a call with one reply.
# It is asked after half of this time, and has the other half for its answer.
SILENCE = CALL_TIMEOUT
# Seconds within which the daemon has to answer for /readyz, and seconds for which /readyz repeats
# the answer.
_READY_TIMEOUT, _READY_AGE = 5.0, 1.0


async def check_daemon(daemon: Client, within: float) -> None:
    """Makes a call. Raises `DaemonUnavailable` if it takes longer than `within` seconds, and the
    other errors of a call.
    """
    with daemon.limit(trio.current_time() + within):
        await daemon.call("org.varlink.service.GetInfo", {}, dict[str, msgspec.Raw])


class Readiness:
    """Finds out whether the daemon answers. Everybody may ask as often as they like, so an answer
    is used again for `_READY_AGE` seconds.
    """

    def __init__(self) -> None:
        self._lock = trio.Lock()
        self._is_ready = False
        self._known_until = -math.inf

    async def check(self, daemon: Client) -> bool:
        """Returns whether the daemon answers."""
        # With the lock, requests that come at the same time make one call to the daemon together.
        async with self._lock:
            if trio.current_time() >= self._known_until:
                try:
                    await check_daemon(daemon, _READY_TIMEOUT)
                    self._is_ready = True
                except ClientError:
                    self._is_ready = False
                self._known_until = trio.current_time() + _READY_AGE
            return self._is_ready


@asynccontextmanager
async def until(ends: Callable[[], Awaitable[Exception]]) -> AsyncIterator[None]:
    """Cancels the block once `ends` returns, and raises the exception that `ends` returned."""
    raised: Exception | None = None

    async def wait() -> None:
        nonlocal raised
        error = await ends()
        if not nursery.cancel_scope.cancel_called:  # else the block has ended
            raised = error
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        try:
            yield
        except Exception as error:  # caught here, since the nursery would put it into a group
            raised = raised or error
        nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised


@asynccontextmanager
async def while_it_answers(daemon: Client) -> AsyncIterator[None]:
    """Cancels the block and raises `DaemonUnavailable` once the daemon does not answer."""

    async def silence() -> Exception:
        while True:
            await trio.sleep(SILENCE / 2)
            try:
                await check_daemon(daemon, SILENCE / 2)
            except DaemonUnavailable as error:
                return error
            except ClientError:
                pass  # a refusal is an answer too

    async with until(silence):
        yield
