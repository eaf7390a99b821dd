"""Says whether the daemon answers, also while a reply in pieces, or a long call, says nothing.

Such a reply has no limit of time: one that follows a node is silent for as long as the node is. So
the daemon is asked something else meanwhile, and where it does not answer that, the reply ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import trio

from cucmctl.client.calls import CALL_TIMEOUT
from cucmctl.client.errors import ClientError, DaemonUnavailable
from cucmtrio import Client

# Seconds after which a daemon that has stopped is given up at the latest, as in a call with one
# reply: half of them until it is asked, half for its answer.
SILENCE = CALL_TIMEOUT
# Seconds for a daemon that is there to say so to who asks whether it is.
_READY = 5.0


async def check_daemon(daemon: Client, within: float) -> None:
    """Raises `DaemonUnavailable` if it does not answer within so many seconds, and other errors of
    a call.
    """
    with daemon.limit(trio.current_time() + within):
        await daemon.call("org.varlink.service.GetInfo", {}, dict[str, msgspec.Raw])


class Readiness:
    """Says whether the daemon answers, for anybody, who may ask as often as they like: those who
    ask at the same time are told together.
    """

    def __init__(self) -> None:
        self._asking = trio.Lock()
        self._known = 0  # how often it has become known
        self._is_ready = False

    async def of(self, daemon: Client) -> bool:
        before = self._known
        async with self._asking:
            if self._known == before:  # and not since this one came
                try:
                    await check_daemon(daemon, _READY)
                    self._is_ready = True
                except ClientError:
                    self._is_ready = False
                self._known += 1  # not before: whoever asks may leave meanwhile
            return self._is_ready


@asynccontextmanager
async def until(ends: Callable[[], Awaitable[Exception]]) -> AsyncIterator[None]:
    """Cancels the block once `ends` returns, and raises the exception that it has returned."""
    raised: Exception | None = None
    is_done = False

    async def wait() -> None:
        nonlocal raised
        error = await ends()
        if not is_done:
            raised = error
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        try:
            yield
        except Exception as error:  # a nursery would put it into a group
            raised = raised or error
        is_done = True
        nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised


@asynccontextmanager
async def while_it_answers(daemon: Client) -> AsyncIterator[None]:
    """Cancels the block once the daemon does not answer, and raises `DaemonUnavailable` then."""

    async def silence() -> Exception:
        while True:
            await trio.sleep(SILENCE / 2)
            try:
                await check_daemon(daemon, SILENCE / 2)
            except DaemonUnavailable as error:
                return error
            except ClientError:
                pass  # a refusal is an answer

    async with until(silence):
        yield
