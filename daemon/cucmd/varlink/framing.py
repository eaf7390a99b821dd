"""PURE. Turns bytes into frames, frames into calls, and replies into bytes.

Whatever comes in costs time in proportion to its length, whichever way it is cut, and what is not a
call ends in `BadFrame` or `BadCall`, nothing else.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

# A request with a thousand nodes has some tens of KiB.
LONGEST_FRAME = 1024 * 1024
# What the decoder raises for what is no JSON, and for more levels than the stack has room for.
UNREADABLE = (msgspec.DecodeError, RecursionError)


class BadFrame(Exception):
    """It is no frame: what follows cannot be told apart any more, so the connection has to end."""


class BadCall(Exception):
    """A JSON object is not a call. `parameter` is the wrong field. The connection goes on."""

    def __init__(self, parameter: str, *, oneway: bool) -> None:
        super().__init__(parameter)
        self.parameter = parameter
        self.oneway = oneway


class Frames:
    """Cuts a stream of bytes at its NULs. Feed it, then take frames until there is none."""

    def __init__(self, longest: int = LONGEST_FRAME) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._searched = 0  # no NUL before this, so no byte is looked at twice

    @property
    def begun(self) -> int:
        """Returns how many bytes are here of frames that have not been taken."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray) -> None:
        self._buffer += data

    def take(self) -> bytes | None:
        """Takes the next frame without its NUL, or None until more is fed. Raises `BadFrame`."""
        # One byte beyond the longest is the place of its NUL.
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
    """Holds a request as it travels. Its parameters are decoded once its method is known."""

    method: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    # Some clients write null for what they do not mean.
    oneway: bool | None = False
    more: bool | None = False
    upgrade: bool | None = False


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    error: str | None = None
    parameters: Any = None
    continues: bool = False


class _Oneway(msgspec.Struct, frozen=True):
    oneway: msgspec.Raw = msgspec.Raw(b"false")


class _Empty(msgspec.Struct, frozen=True):
    pass


_EMPTY = _Empty()
_calls = msgspec.json.Decoder(Call)
_oneway = msgspec.json.Decoder(_Oneway)
_encoder = msgspec.json.Encoder()


def decode_call(frame: bytes) -> Call:
    """Raises `BadFrame` for what is not JSON, not an object or too deep, else `BadCall`."""
    try:
        if not frame.isascii():
            frame.decode()  # the decoder does not check the fields that it skips
        return _calls.decode(frame)
    except UnicodeDecodeError:
        raise BadFrame("not UTF-8") from None
    except msgspec.ValidationError as error:
        wrong = wrong_field(error)[0]
    except UNREADABLE:
        raise BadFrame("not JSON, or too deep") from None
    # The decoder stops at the first error: the rest may not even be JSON.
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
    return _encoder.encode(Reply(error, parameters or _EMPTY, continues)) + b"\0"


_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_NO_TEXT = re.compile(r"[^ -~]")
_LONGEST_NAME = 64


def safe_name(name: str) -> str:
    """Makes a field's name that somebody sent fit to be repeated: short, and printable ASCII."""
    return _NO_TEXT.sub("?", name[:_LONGEST_NAME])


def wrong_field(error: msgspec.ValidationError) -> tuple[str, str]:
    """Returns where, as a user would write it (`timeouts.connect`, `nodes[2]`), and what is wrong.

    What is wrong is "missing", "unknown", or msgspec's own words. The place is empty for the whole.
    """
    parent, name, what = field_of(error)
    return (f"{parent}.{name}" if parent and name is not None else name or parent), what


def field_of(error: msgspec.ValidationError) -> tuple[str, str | None, str]:
    """Returns (the place of an object, the name of a field in it, "missing" or "unknown"), or (the
    place of a value, None, msgspec's own words).
    """
    what, _, path = str(error).rpartition(" - at `$")
    what, path = (what, path[:-1].removeprefix(".")) if what else (path, "")
    field = _FIELD.fullmatch(what)
    if field is None:
        return path, None, what
    return path, safe_name(field[2]), "missing" if field[1] == "missing required" else "unknown"
