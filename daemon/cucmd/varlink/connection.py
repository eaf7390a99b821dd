"""Serves one connection: its calls in order, a reply to each, streams, and what a hang-up ends.

Whatever a peer sends or does ends this connection at most; and a call is answered before the next
one is read, so that a peer that does not read costs one reply of memory.

A connection is one task (`run`), which goes round this loop:

    bytes -> a frame -> the user's turn (limits.py) -> a call -> is the caller permitted?
          -> the method -> its request -> as whom is it made? -> the handler
          -> a reply, or a stream of replies, or an error -> the next frame

Each round has a checkpoint, and so has each reply of a stream, whatever the peer sends or does. The
turn ends before a reply is sent. It ends before the handler of a stream, of an upgrade and of a
method with an effect, since these may wait for a node or for the peer. The frame is not kept while
the handler runs.

Three others act on it from outside:

    the peer hangs up    `hang_up`, called by the server within a second. The running call is
                         cancelled, unless its method has an effect or it was sent `oneway`.
                         Frames that an operator has sent before the hang-up are still read, and
                         those with an effect are carried out.
    the server stops     `stop`. The running call is answered, then `run` returns. The server
                         cancels what is left after CLOSE_SECONDS.
    the peer is silent   within a frame for SILENCE seconds: `run` returns. Between frames a
                         peer may be silent for ever.
    the peer reads not   a reply for UNREAD seconds: `run` returns. After an upgrade the handler has
                         the connection, and says.

What goes wrong, and what it ends:

    a wrong request, a refusal    the call: the error is the reply
    a defect in the handler       the call: InternalError, and a traceback in the log
    over a limit of the user      the call
    no JSON, too long, too deep   the connection: nothing after it can be trusted
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager
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
    standard,
    trace,
)
from cucmd.varlink.limits import UNREAD, NobodyReads, OverLimit, Users
from cucmd.varlink.requests import decode_request
from cucmd.varlink.service import MethodEntry, MethodTable

log = logging.getLogger(__name__)

SILENCE = 30.0  # seconds that a peer may pause within a frame
_CHUNK = 64 * 1024
# Bytes of a frame of a user who may not operate: no request that such a user may make is longer.
LONGEST_OF_OTHERS = 64 * 1024

# Raises `PermissionDenied`. The method is None for a name that is not known.
Authorize: TypeAlias = Callable[[Caller, Method | None], None]


class NoLastReply(Exception):
    """A defect: a stream has returned, and none of its replies said that it is the last."""


class ServerParts(msgspec.Struct, frozen=True):
    """Holds what all connections of a server share."""

    methods: MethodTable
    users: Users
    authorize: Authorize
    may_operate: Callable[[Caller], bool] = lambda _: True


class _Permitted(msgspec.Struct, frozen=True):
    """Holds a call that is permitted and well-formed. `caller`: as whom it is made."""

    entry: MethodEntry
    caller: Caller
    parameters: msgspec.Struct
    oneway: bool

    @property
    def lasting(self) -> bool:
        """Says whether it is carried out even if its caller has hung up."""
        return self.entry.method.effect or self.oneway


class _Refusal(msgspec.Struct, frozen=True):
    """Holds a call that is answered with an error."""

    error: VarlinkError
    oneway: bool


class ServerConnection:
    """`run` serves it until it ends. The other public methods may be called meanwhile."""

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
                while (frame := self._frames.take()) is None:
                    data = await self._receive()
                    if not data:
                        return
                    self._frames.feed(data)
                self._turn = await self._parts.users.turn(self._caller.uid)
                with self._turn:
                    call = self._decode(frame)
                    del frame
                    error = call.error if isinstance(call, _Refusal) else await self._outcome(call)
                    if error is not None and not call.oneway:
                        await self._send(encode_reply(error.parameters, error=error.name))
        except BadFrame as reason:
            self._log("dropped: a frame is %s", reason)
        except NobodyReads:
            self._log("dropped: nobody has read for %d s", UNREAD)

    def stop(self) -> None:
        """Lets `run` return after the call that is being answered; at once if there is none."""
        self._stopping = True
        self._read_scope.cancel()

    def hang_up(self) -> None:
        """Gives up the peer, which has closed its socket: nothing that is sent will be read.

        Calls that it sent before are still carried out if they have an effect or are `oneway`.
        """
        self._gone = True
        self._call_scope.cancel()

    def _log(self, text: str, *values: object) -> None:
        log.info(f"%s: {text}", self._caller, *values, extra=self._caller.for_log)

    # Bytes

    async def _receive(self) -> bytes | bytearray:
        """Receives bytes; b"" at the end of the stream, after `stop`, and after a silence."""
        if self._stopping:
            return b""
        timeout = SILENCE if self._frames.begun else math.inf
        self._read_scope = trio.CancelScope(deadline=trio.current_time() + timeout)
        with self._read_scope:
            try:
                return await self._stream.receive_some(_CHUNK)
            except trio.BrokenResourceError:
                return b""
        if not self._stopping:
            self._log("dropped: silent for %d s within a frame", SILENCE)
        return b""

    async def _send(self, frame: bytes) -> None:
        """Raises `NobodyReads`; a part of the frame may have been sent then."""
        self._turn.close()
        if self._gone:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(UNREAD) as patience:
            try:
                await self._stream.send_all(frame)
            except trio.BrokenResourceError:
                self.hang_up()
        if patience.cancelled_caught:
            raise NobodyReads

    # Calls

    def _decode(self, frame: bytes) -> _Permitted | _Refusal:
        """Raises `BadFrame`."""
        try:
            call = decode_call(frame)
        except BadCall as bad:
            return _Refusal(standard(InvalidParameter(bad.parameter)), bad.oneway)
        entry = self._parts.methods.find(call.method)
        oneway = bool(call.oneway)
        try:
            self._parts.authorize(self._caller, entry.method if entry else None)
            if entry is None:
                return _Refusal(self._parts.methods.missing(call.method), oneway)
            parameters = _parameters(call, entry)
            caller = entry.interface.as_whom(self._caller, entry.method, parameters)
            return _Permitted(entry, caller, parameters, oneway)
        except VarlinkError as error:
            return _Refusal(error, oneway)
        except BadFrame:
            raise
        except Exception as defect:
            return _Refusal(self._defect(entry, defect), oneway)

    async def _outcome(self, request: _Permitted) -> VarlinkError | None:
        """Carries the call out and replies. Returns the error if that is to be the reply."""
        try:
            await self._perform(request)
        except VarlinkError as error:
            return error
        except (BadFrame, NobodyReads):
            raise
        except OverLimit as over:
            return self._parts.methods.too_many(over)
        except Exception as defect:
            return self._defect(request.entry, defect)
        return None

    def _defect(self, entry: MethodEntry | None, defect: Exception) -> VarlinkError:
        # Not `log.exception`: the text of an exception can quote the request.
        name = entry and entry.method.name
        log.error("a defect in %s:\n%s", name, trace(defect), extra=self._caller.for_log)
        return VarlinkError(self._parts.methods.internal_error)

    async def _perform(self, request: _Permitted) -> None:
        if self._gone and not request.lasting:
            return
        method = request.entry.method
        if method.streaming or method.upgrade or method.effect:
            self._turn.close()
        if not (method.streaming or method.upgrade):
            handler = cast(Handler, method.handler)
            with self._until_hang_up(unless=request.lasting):
                reply = await handler(request.caller, request.parameters)
                if not request.oneway:
                    await self._send(encode_reply(reply))
        elif request.oneway:
            pass  # a stream without a reader does not begin
        elif method.upgrade:
            await self._upgrade(request)
        else:
            await self._stream_replies(request)

    async def _stream_replies(self, request: _Permitted) -> None:
        handler = cast(StreamHandler, request.entry.method.handler)
        with self._hold_stream(), self._until_hang_up():
            async with aclosing(handler(request.caller, request.parameters)) as replies:
                async for reply in replies:
                    await self._send(encode_reply(reply.parameters, continues=reply.continues))
                    if not reply.continues:
                        return
            raise NoLastReply

    async def _upgrade(self, request: _Permitted) -> None:
        """Sends the reply, and leaves the connection to the handler. Nothing else is sent or read
        on it by us.
        """
        method = request.entry.method
        handler = cast(UpgradeHandler, method.handler)
        with self._hold_stream(), self._until_hang_up():
            async with handler(request.caller, request.parameters) as upgrade:
                if self._frames.begun:
                    raise BadFrame("followed by bytes before the reply to its upgrade")
                self._stopping = True
                await self._send(encode_reply(upgrade.parameters))
                try:
                    await upgrade.serve(self._stream)
                except Exception as error:  # the peer sees that bytes are missing
                    self._log("%s was cut off: %s", method.name, error)

    @contextmanager
    def _until_hang_up(self, *, unless: bool = False) -> Iterator[None]:
        """Cancels the body when the peer hangs up."""
        if unless:
            yield
            return
        with trio.CancelScope() as self._call_scope:
            yield

    def _hold_stream(self) -> AbstractContextManager[None]:
        return self._parts.users.hold(self._caller.uid, "streams")


def _parameters(call: Call, entry: MethodEntry) -> msgspec.Struct:
    """Raises `VarlinkError`, and `BadFrame`."""
    if bool(call.upgrade) != entry.method.upgrade:
        raise standard(InvalidParameter("upgrade"))
    if entry.method.streaming and not call.more:
        raise standard(ExpectedMore())
    return decode_request(entry.decoder, call.parameters, entry.interface)
