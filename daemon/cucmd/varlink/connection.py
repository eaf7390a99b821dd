"""Serves one connection: answers its calls in order, and ends a call when the peer hangs up.

Nothing that a peer sends or does can end more than this connection. A call is answered before the
next one is read, so a peer that does not read costs the memory of one reply.

A connection is one task (`run`), which goes round this loop:

    bytes -> a frame -> the user's turn (limits.py) -> a call -> is the caller permitted?
          -> the method -> its request -> on whose behalf is it made? -> the handler
          -> a reply, or a stream of replies, or an error -> the next frame

Each round and each reply of a stream passes a checkpoint. The turn ends before a reply is sent. For
a stream, an upgrade and a method with an effect it ends before the handler is called, since these
may wait for a node or for the peer. The frame may have 1 MiB, and is not kept while the handler
runs.

Four things can end a call or the connection from outside:

    the peer hangs up        The server notices it and calls `hang_up`. The running call is
                             cancelled, unless its method has an effect or the call was sent
                             `oneway`. Frames that an operator sent before the hang-up are still
                             read, and calls with an effect among them are carried out.
    the server stops         It calls `stop`. The running call is answered, then `run` returns. What
                             is left after CLOSE_SECONDS is cancelled by the server.
    the peer is silent       `run` returns after SILENCE seconds without a byte within a frame.
                             Between frames a peer may be silent for ever.
    the peer does not read   `run` returns if a reply is not read within UNREAD seconds. After an
                             upgrade the handler sets its own limit.

How far an error reaches:

    a wrong request, a refusal    the call: the error is the reply
    a defect in the handler       the call: InternalError, and a traceback in the log
    over a limit of the user      the call
    no JSON, too long, too deep   the connection: where the next frame begins is not known
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack, aclosing, suppress
from typing import TypeAlias, cast

import msgspec
import trio

from cucmd.varlink.framing import (
    LONGEST_FRAME,
    BadCall,
    BadFrame,
    Call,
    Frames,
    decode_call,
    encode_reply,
)
from cucmd.varlink.interface import (
    Caller,
    ExpectedMore,
    Handler,
    InvalidParameter,
    Method,
    StreamHandler,
    UpgradeHandler,
    VarlinkError,
    standard_error,
    trace,
)
from cucmd.varlink.limits import UNREAD, NobodyReads, OverLimit, Users
from cucmd.varlink.request_decoding import decode_request
from cucmd.varlink.service import MethodEntry, MethodTable

log = logging.getLogger(__name__)

SILENCE = 30.0  # seconds that a peer may pause within a frame
_CHUNK = 64 * 1024
# Bytes in a frame of a user who may not operate: no request that such a user may make is longer.
LONGEST_OF_OTHERS = 64 * 1024

# Raises `PermissionDenied`. The method is None for a name that is not known.
Authorize: TypeAlias = Callable[[Caller, Method | None], None]


class ServerParts(msgspec.Struct, frozen=True):
    """Holds what all connections of a server share."""

    methods: MethodTable
    users: Users
    authorize: Authorize
    may_operate: Callable[[Caller], bool] = lambda _: True


class ServerConnection:
    """Serves one peer with `run`. The other methods may be called while `run` runs."""

    def __init__(self, stream: trio.abc.Stream, caller: Caller, parts: ServerParts) -> None:
        self._stream = stream
        self._caller = caller
        self._parts = parts
        self._operates = parts.may_operate(caller)
        self._frames = Frames(LONGEST_FRAME if self._operates else LONGEST_OF_OTHERS)
        self._turn = ExitStack()
        self._gone = False
        self._stopping = False
        self._read_scope = trio.CancelScope()  # cancelled by `stop`
        self._call_scope = trio.CancelScope()  # cancelled by `hang_up`

    async def run(self) -> None:
        """Answers calls until the peer has finished or is dropped. Does not close the stream."""
        try:
            while not self._stopping and not (self._gone and not self._operates):
                # The frame has no name here, so that it is freed while its handler runs.
                await self._answer(await self._receive_frame())
        except trio.EndOfChannel:
            pass
        except BadFrame as reason:
            self._log("dropped: a frame is %s", reason)
        except NobodyReads:
            self._log("dropped: nobody has read for %d s", UNREAD)

    def stop(self) -> None:
        """Makes `run` return after the call that is being answered, or at once if no call is."""
        self._stopping = True
        self._read_scope.cancel()

    def hang_up(self) -> None:
        """Gives up the peer, which has closed its socket, so that it reads no reply any more.

        Calls from before are still carried out if they have an effect or are `oneway`.
        """
        self._gone = True
        self._call_scope.cancel()

    def _log(self, text: str, *values: object) -> None:
        log.info(f"%s: {text}", self._caller, *values, extra=self._caller.for_log)

    # Bytes

    async def _receive_frame(self) -> bytes:
        """Returns the next frame. Raises `BadFrame`, and `trio.EndOfChannel` at the end of the
        stream, after `stop`, and when the peer has been silent within a frame.
        """
        while (frame := self._frames.take()) is None:
            timeout = SILENCE if self._frames.begun else math.inf
            self._read_scope = trio.CancelScope(deadline=trio.current_time() + timeout)
            data: bytes | bytearray = b""
            with self._read_scope, suppress(trio.BrokenResourceError):
                if not self._stopping:
                    data = await self._stream.receive_some(_CHUNK)
            if self._read_scope.cancelled_caught and not self._stopping:
                self._log("dropped: silent for %d s within a frame", SILENCE)
            if not data:
                raise trio.EndOfChannel
            self._frames.feed(data)
        return frame

    async def _send(self, frame: bytes) -> None:
        """Ends the turn and sends a reply. Raises `NobodyReads` if the peer does not read it."""
        # Other calls of the user must not wait until this peer has read its reply.
        self._turn.close()
        if self._gone:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(UNREAD) as reading:
            try:
                await self._stream.send_all(frame)
            except trio.BrokenResourceError:
                self.hang_up()
        if reading.cancelled_caught:
            raise NobodyReads

    # Calls

    async def _answer(self, frame: bytes) -> None:
        """Carries out a call, and sends its replies or its error. `BadFrame` and `NobodyReads`,
        which end the connection, are raised.
        """
        methods = self._parts.methods
        oneway, found = False, None
        self._turn = await self._parts.users.turn(self._caller.uid)
        with self._turn:
            try:
                call = decode_call(frame)
                oneway, found = bool(call.oneway), methods.find(call.method)
                entry = self._permitted(call, found)
                request = decode_request(entry.decoder, call.parameters, entry.interface)
                caller = entry.interface.effective_caller(self._caller, entry.method, request)
                del frame, call
                await self._perform(entry.method, caller, request, oneway=oneway)
                reply = b""
            except (BadFrame, NobodyReads):
                raise
            except BadCall as bad:
                oneway = bad.oneway
                reply = _error_frame(standard_error(InvalidParameter(bad.parameter)))
            except VarlinkError as refusal:
                reply = _error_frame(refusal)
            except OverLimit as over:
                reply = _error_frame(methods.too_many(over))
            except Exception as defect:
                # Not `log.exception`: the text of an exception can quote the request.
                name = found and found.method.name
                log.error("a defect in %s:\n%s", name, trace(defect), extra=self._caller.for_log)  # noqa: TRY400
                reply = _error_frame(VarlinkError(methods.internal_error))
            if reply and not oneway:
                await self._send(reply)

    def _permitted(self, call: Call, entry: MethodEntry | None) -> MethodEntry:
        """Returns the entry, if the caller is permitted to call the method in this way.

        Raises `VarlinkError`.
        """
        self._parts.authorize(self._caller, entry.method if entry else None)
        if entry is None:
            raise self._parts.methods.missing(call.method)
        if bool(call.upgrade) != entry.method.upgrade:
            raise standard_error(InvalidParameter("upgrade"))
        if entry.method.streaming and not call.more:
            raise standard_error(ExpectedMore())
        return entry

    async def _perform(
        self, method: Method, caller: Caller, request: msgspec.Struct, *, oneway: bool
    ) -> None:
        """Calls the handler of the method, and sends what it returns."""
        is_lasting = method.effect or oneway  # carried out even if the caller has hung up
        if self._gone and not is_lasting:
            return
        if method.streaming or method.upgrade:
            self._turn.close()
            if not oneway:  # without a reader there is nothing to begin
                serve = self._upgrade if method.upgrade else self._stream_replies
                place = self._parts.users.hold(self._caller.uid, "streams")
                with place, trio.CancelScope() as self._call_scope:
                    await serve(method, caller, request)
            return
        if method.effect:
            self._turn.close()
        handler = cast(Handler, method.handler)
        scope = trio.CancelScope()
        if not is_lasting:
            self._call_scope = scope
        with scope:
            reply = await handler(caller, request)
            if not oneway:
                await self._send(encode_reply(reply))

    async def _stream_replies(
        self, method: Method, caller: Caller, request: msgspec.Struct
    ) -> None:
        handler = cast(StreamHandler, method.handler)
        async with aclosing(handler(caller, request)) as replies:
            async for reply in replies:
                await self._send(encode_reply(reply.parameters, continues=reply.continues))
                if not reply.continues:
                    return
        raise RuntimeError("a handler ended its stream without a last reply")

    async def _upgrade(self, method: Method, caller: Caller, request: msgspec.Struct) -> None:
        """Sends the reply. From then on only the handler reads and writes on the connection."""
        handler = cast(UpgradeHandler, method.handler)
        async with handler(caller, request) as upgrade:
            # These bytes were read with the call. The handler reads from the socket, where they are
            # not any more, so the stream would begin in its middle.
            if self._frames.begun:
                raise BadFrame("followed by bytes before the reply to its upgrade")
            self._stopping = True  # what the peer sends from now on is no frame
            await self._send(encode_reply(upgrade.parameters))
            try:
                await upgrade.serve(self._stream)
            except Exception as error:  # the peer sees that bytes are missing
                self._log("%s was cut off: %s", method.name, error)


def _error_frame(error: VarlinkError) -> bytes:
    return encode_reply(error.parameters, error=error.name)
