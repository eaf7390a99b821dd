"""PURE. Encodes calls and decodes replies, for the blocking client and for the client on trio."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cucmctl.client.errors import InvalidRequest, NotPermitted, ProtocolError, read, refusal
from cucmd.protocol.requests import INTERFACE

R = TypeVar("R")

# Bytes. The reply for a job of some hundred nodes has about 200 KB.
LONGEST_REPLY = 64 * 1024 * 1024
# Bytes. The daemon closes the connection without an answer if a request is longer.
LONGEST_REQUEST = 1024 * 1024


class CallFrame(msgspec.Struct, omit_defaults=True):
    """A call, as Varlink frames it."""

    method: str
    parameters: object
    more: bool = False
    upgrade: bool = False


class ReplyFrame(msgspec.Struct):
    """A reply, as Varlink frames it. Its parameters are decoded later."""

    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    continues: bool = False
    error: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ReplyFrame)


class ReplyBuffer:
    """Collects the bytes of one connection, and hands out whole replies or plain bytes.

    path  path of the socket, for error messages
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._buffer = bytearray()
        self._searched = 0  # there is no NUL before this position; avoids searching twice

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes | bytearray) -> None:
        """Adds bytes that have come over the connection."""
        self._buffer += data

    def take(self) -> ReplyFrame | None:
        """Returns the next reply, or None if it is not complete yet.

        Raises `ProtocolError` if the bytes are no reply, or if the reply is too long.
        """
        end = self._buffer.find(b"\0", self._searched)
        if end < 0:
            self._searched = size = len(self._buffer)
            if size > LONGEST_REPLY:
                raise ProtocolError(f"{self._path} sent {size} bytes without an end of reply")
            return None
        frame = bytes(memoryview(self._buffer)[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        try:
            return _decoder.decode(frame)
        except msgspec.MsgspecError as error:
            text = f"{self._path} is not the socket of a cucmd: {error}"
            raise ProtocolError(text) from error

    def take_bytes(self, size: int) -> bytes:
        """Returns up to `size` of the bytes that follow an upgrade; b"" if there are none yet."""
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return data


def call_frame(
    method: str, request: object, *, more: bool = False, upgrade: bool = False
) -> CallFrame:
    """Makes the frame of a call. `method` is a name within `io.cucmd.Jobs`, or a full one."""
    name = method if "." in method else f"{INTERFACE}.{method}"
    return CallFrame(name, request, more, upgrade)


def encode_call(call: CallFrame) -> bytes:
    """Encodes a call. Omits fields without a value: an older daemon refuses unknown fields.

    Parameters that are encoded already, as `msgspec.Raw`, stay as they are. Raises `InvalidRequest`
    for text that is not UTF-8 and for a request that is too long, and `TypeError` for values that
    JSON cannot express.
    """
    try:
        parameters = call.parameters
        if not isinstance(parameters, msgspec.Raw):
            parameters = _without_none(msgspec.to_builtins(parameters))
        frame = _encoder.encode(CallFrame(call.method, parameters, call.more, call.upgrade)) + b"\0"
    except UnicodeEncodeError:  # do not show this exception: it may quote a password
        place = _path_of_invalid_text(msgspec.to_builtins(call.parameters))
        raise InvalidRequest.make(place, "it is not UTF-8") from None
    if len(frame) > LONGEST_REQUEST:
        reason = f"it has {len(frame)} bytes; expected at most {LONGEST_REQUEST}"
        raise InvalidRequest.make("the request", reason)
    return frame


def decode_reply(reply: ReplyFrame, kind: type[R], socket: str = "") -> R:
    """Returns the struct of a reply. Raises the error in the reply, or `ProtocolError`."""
    if reply.error is not None:
        error = refusal(reply.error, reply.parameters)
        if isinstance(error, NotPermitted):
            error.socket = socket
        raise error
    try:
        return read(reply.parameters, kind)
    except msgspec.MsgspecError as error:
        text = f"the daemon's reply does not fit; does it have another version? {error}"
        raise ProtocolError(text) from error


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return value


def _path_of_invalid_text(parameters: object) -> str:
    """Returns the path of the text that is not UTF-8, such as `nodes[2]`."""
    places: list[tuple[str, object]] = [("", parameters)]
    for place, value in places:  # the list grows in this loop
        if isinstance(value, dict):
            places += [(f"{place}.{name}".lstrip("."), inner) for name, inner in value.items()]
        elif isinstance(value, list | tuple):
            places += [(f"{place}[{at}]", inner) for at, inner in enumerate(value)]
        elif isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return place
    return "the request"
