"""One connection: its calls in order, a reply to each, streams, and what a hang-up ends.

The one rule: whatever a peer sends or does ends this connection at most; and a call is answered
before the next one is looked at, so that a peer that does not read costs one reply of memory.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import TypeAlias, cast

import msgspec
import trio

from cucmd.varlink.defect import trace
from cucmd.varlink.errors import ExpectedMore, InvalidParameter, VarlinkError, standard
from cucmd.varlink.framing import BadCall, BadFrame, Call, Frames, decode_call, encode_reply
from cucmd.varlink.interface import Caller, Handler, Method, StreamHandler
from cucmd.varlink.quota import Kind, OverLimit, Quota
from cucmd.varlink.requests import fit
from cucmd.varlink.service import Offer, Offered

log = logging.getLogger(__name__)

SILENCE = 30.0  # seconds that a peer may pause within a frame
_CHUNK = 64 * 1024

# Raises `PermissionDenied`. The method is None for a name that is not known.
Authorize: TypeAlias = Callable[[Caller, Method | None], None]


class NoLastReply(Exception):
    """A defect: a stream has returned, and none of its replies said that it is the last."""


class ServerParts(msgspec.Struct, frozen=True):
    """What all connections of a server share."""

    offer: Offer
    quota: Quota
    authorize: Authorize


class Connection:
    """`run` is its whole life; the other methods may be called meanwhile, by anyone."""

    def __init__(self, stream: trio.abc.Stream, caller: Caller, parts: ServerParts) -> None:
        self._stream = stream
        self._caller = caller
        self._parts = parts
        self._frames = Frames()
        self._gone = False
        self._stopping = False
        self._waiting = trio.CancelScope()  # for the next bytes
        self._cut_short = trio.CancelScope()  # the call that a hang-up ends

    async def run(self) -> None:
        """Answers until the peer has finished, or must be dropped. Does not close the stream."""
        try:
            while not self._stopping and (frame := await self._next_frame()) is not None:
                await self._answer(frame)
        except BadFrame as reason:
            self._log("dropped: a frame is %s", reason)
        except OverLimit as reason:  # and no interface has a word for it
            self._log("dropped: over its limit of %s", reason)

    def stop(self) -> None:
        """Ends it once the call that is being answered has been; at once if there is none."""
        self._stopping = True
        self._waiting.cancel()

    def hang_up(self) -> None:
        """The peer has closed: nobody reads a reply any more.

        What it sent before is still here and may be meant: one can send `oneway` and leave.
        """
        self._gone = True
        self._cut_short.cancel()

    def _log(self, text: str, *values: object) -> None:
        log.info(f"uid %d, pid %d: {text}", self._caller.uid, self._caller.pid, *values)

    # Bytes

    async def _next_frame(self) -> bytes | None:
        while (frame := self._frames.take()) is None:
            data = await self._receive()
            if not data:
                return None
            self._frames.feed(data)
        return frame

    async def _receive(self) -> bytes | bytearray:
        """Bytes; none at the end, whoever brought it about."""
        patience = SILENCE if self._frames.begun else math.inf
        self._waiting = trio.CancelScope(deadline=trio.current_time() + patience)
        with self._waiting:
            try:
                return await self._stream.receive_some(_CHUNK)
            except trio.BrokenResourceError:
                return b""
        if not self._stopping:
            self._log("dropped: silent for %d s within a frame", SILENCE)
        return b""

    async def _send(self, frame: bytes) -> None:
        if self._gone:
            await (
                trio.lowlevel.checkpoint()
            )  # else a stream that never waits would not be cancelled
            return
        try:
            await self._stream.send_all(frame)
        except trio.BrokenResourceError:
            self.hang_up()

    # Calls

    async def _answer(self, frame: bytes) -> None:
        error: VarlinkError | None
        try:
            call = decode_call(frame)
        except BadCall as bad:
            error, oneway = standard(InvalidParameter(bad.parameter)), bad.oneway
        else:
            error, oneway = await self._outcome(call), bool(call.oneway)
        if oneway:
            await trio.lowlevel.checkpoint()  # nothing sent: many in a row would hold up the rest
        elif error is not None:
            await self._send(encode_reply(error.parameters, error=error.name))

    async def _outcome(self, call: Call) -> VarlinkError | None:
        """Does what is asked and replies; the error to reply with if it comes to that."""
        offered = self._parts.offer.find(call.method)
        try:
            self._parts.authorize(self._caller, offered.method if offered else None)
            if offered is None:
                return self._parts.offer.missing(call.method)
            await self._perform(call, offered)
        except VarlinkError as error:
            return error
        except BadFrame:
            raise
        except OverLimit as over:
            refusal = self._parts.offer.too_many(over)
            if refusal is None:
                raise
            return refusal
        except Exception as defect:
            # Not `log.exception`: the text of an exception can hold what the request held.
            log.error("a defect in %s:\n%s", offered and offered.method.name, trace(defect))  # noqa: TRY400
            return VarlinkError((offered or self._parts.offer).internal_error)
        return None

    async def _perform(self, call: Call, offered: Offered) -> None:
        if call.upgrade:
            raise standard(InvalidParameter("upgrade"))
        if offered.method.streaming and not call.more:
            raise standard(ExpectedMore())
        request = fit(offered.decoder, call.parameters, offered.interface)
        lasting = offered.method.effect or bool(call.oneway)
        if self._gone and not lasting:
            return
        if not offered.method.streaming:
            await self._reply(call, offered, request, lasting=lasting)
        elif not call.oneway:  # a stream that nobody hears need not begin
            await self._stream_replies(offered, request)

    async def _reply(
        self, call: Call, offered: Offered, request: msgspec.Struct, *, lasting: bool
    ) -> None:
        handler = cast(Handler, offered.method.handler)
        with self._hold("requests"), self._until_hang_up(unless=lasting):
            reply = await handler(self._caller, request)
            if not call.oneway:
                await self._send(encode_reply(reply))

    async def _stream_replies(self, offered: Offered, request: msgspec.Struct) -> None:
        handler = cast(StreamHandler, offered.method.handler)
        with self._hold("streams"), self._until_hang_up():
            async with aclosing(handler(self._caller, request)) as replies:
                async for reply in replies:
                    await self._send(encode_reply(reply.parameters, continues=reply.continues))
                    if not reply.continues:
                        return
            raise NoLastReply

    @contextmanager
    def _until_hang_up(self, *, unless: bool = False) -> Iterator[None]:
        """Cancels the body when the peer hangs up."""
        if unless:
            yield
            return
        with trio.CancelScope() as self._cut_short:
            yield

    def _hold(self, kind: Kind) -> AbstractContextManager[None]:
        return self._parts.quota.hold(self._caller.uid, kind)
