"""The replies of a stream, with the knowledge of which one is the last.

The one rule: a reply is passed on as soon as it is there, and at most two wait for a slow peer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import msgspec
import trio


class Ahead:
    """Runs a generator of replies one ahead of whoever takes them.

    The last reply must not say `continues`, and that a generator ends shows only in what it does
    next. So by the time that a reply is taken, `run` has gone on to the point where the generator
    waits for something, or has returned. It runs in a task of its own, and keeps the generator
    there from its first step to its close, as trio demands.
    """

    def __init__(self, replies: AsyncIterator[msgspec.Struct]) -> None:
        self._replies = replies
        self._put, self._taken = trio.open_memory_channel[msgspec.Struct](1)
        # What the generator raised. There is no last reply then: the error comes after them all.
        self.error: Exception | None = None

    async def run(self) -> None:
        with self._put:
            try:
                async with aclosing(cast("AsyncGenerator[msgspec.Struct, None]", self._replies)):
                    async for reply in self._replies:
                        await self._pass_on(reply)
            except Exception as error:  # raised again by whoever takes the replies
                self.error = error

    async def _pass_on(self, reply: msgspec.Struct) -> None:
        try:
            self._put.send_nowait(reply)  # no checkpoint: the generator goes on in this instant
        except trio.WouldBlock:
            # Where this ends, `run` goes on in the next round of trio's loop, before the taker
            # has come back from the two checkpoints that lie between it and the reply.
            await self._put.send(reply)

    def __aiter__(self) -> Ahead:
        return self  # not a generator: left early, one would be finished by the collector

    async def __anext__(self) -> tuple[msgspec.Struct, bool]:
        """The next reply, and whether it is the last."""
        try:
            reply = await self._taken.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        state = self._taken.statistics()
        over = state.open_send_channels == 0 and state.current_buffer_used == 0
        return reply, over and self.error is None
