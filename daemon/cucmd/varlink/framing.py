"""PURE. Turns bytes into frames, frames into calls, and replies into bytes.

The time that input costs grows in proportion to its length, however it is cut into pieces. Input
that is not a call raises `BadFrame` or `BadCall`, and nothing else.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

# A request with a thousand nodes has some tens of KiB.
LONGEST_FRAME = 1024 * 1024
# The decoder's exceptions for text that is not JSON, and for JSON nested deeper than the stack
# allows.
UNREADABLE = (msgspec.DecodeError, RecursionError)


class BadFrame(Exception):
    """The bytes are not a frame, or the frame is not JSON. The connection ends."""


class BadCall(Exception):
    """A JSON object is not a call; `parameter` names its wrong field. The connection goes on."""

    def __init__(self, parameter: str, *, oneway: bool) -> None:
        super().__init__(parameter)
        self.parameter = parameter
        self.oneway = oneway


class Frames:
    """Cuts a stream of bytes at its NULs. After each `feed`, call `take` until it returns None."""

    def __init__(self, longest: int = LONGEST_FRAME) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._searched = 0  # there is no NUL before this index, so no byte is searched twice

    @property
    def begun(self) -> int:
        """Returns the number of bytes that belong to frames that were not taken yet."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray) -> None:
        self._buffer += data

    def take(self) -> bytes | None:
        """Takes the next frame, without its NUL. Returns None if it is not complete yet.

        Raises `BadFrame` for a frame that is too long.
        """
        # Search one byte further than the longest frame, because its NUL follows it.
        end = self._buffer.find(0, self._searched, self._longest + 1)
        if end >= 0:
            frame = bytes(memoryview(self._buffer)[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            return frame
        if len(self._buffer) > self._longest:
            raise BadFrame(f"longer than {self._longest} bytes")
        self._searched = len(self._buffer)
        return None


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds a call. Its parameters are decoded later, because their type depends on the method."""

    method: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    # Some clients send null instead of leaving a field out.
    oneway: bool | None = False
    more: bool | None = False
    upgrade: bool | None = False


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    error: str | None = None
    parameters: Any = None
    continues: bool = False


class _Oneway(msgspec.Struct, frozen=True):
    oneway: msgspec.Raw = msgspec.Raw(b"false")


_calls = msgspec.json.Decoder(Call)
_oneway = msgspec.json.Decoder(_Oneway)
_encoder = msgspec.json.Encoder()


def decode_call(frame: bytes) -> Call:
    """Decodes a frame. Raises `BadFrame` if it is not JSON, not an object or nested too deep, and
    `BadCall` if the object is not a call.
    """
    try:
        if not frame.isascii():
            frame.decode()  # the decoder does not check the text of fields that it skips
        return _calls.decode(frame)
    except UnicodeDecodeError:
        raise BadFrame("not UTF-8") from None
    except msgspec.ValidationError as error:
        wrong = wrong_field(error)[0]
    except UNREADABLE:
        raise BadFrame("not JSON, or too deep") from None
    # The decoder stopped at the first wrong field. The rest may not even be JSON.
    try:
        oneway = bytes(_oneway.decode(frame).oneway) == b"true"
    except msgspec.ValidationError:
        raise BadFrame("not an object") from None
    except UNREADABLE:
        raise BadFrame("not JSON, or too deep") from None
    raise BadCall(wrong, oneway=oneway)


def encode_reply(
    parameters: msgspec.Struct | None, *, error: str | None = None, continues: bool = False
) -> bytes:
    return _encoder.encode(Reply(error, parameters or {}, continues)) + b"\0"


_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_NO_TEXT = re.compile(r"[^ -~]")
_LONGEST_NAME = 64


def wrong_field(error: msgspec.ValidationError) -> tuple[str, str]:
    """Returns the path of a wrong field (`timeouts.connect`, `nodes[2]`), and what is wrong.

    What is wrong is "missing", "unknown", or a message of msgspec. The path is empty if the whole
    value is wrong.
    """
    parent, name, what = field_of(error)
    return (f"{parent}.{name}" if parent and name is not None else name or parent), what


def field_of(error: msgspec.ValidationError) -> tuple[str, str | None, str]:
    """Returns (the path of an object, the name of a field in it, "missing" or "unknown"), or (the
    path of a value, None, a message of msgspec).
    """
    what, _, path = str(error).rpartition(" - at `$")
    what, path = (what, path[:-1].removeprefix(".")) if what else (path, "")
    field = _FIELD.fullmatch(what)
    if field is None:
        return path, None, what
    name = _NO_TEXT.sub("?", field[2][:_LONGEST_NAME])  # a peer sent this name
    return path, name, "missing" if field[1] == "missing required" else "unknown"
