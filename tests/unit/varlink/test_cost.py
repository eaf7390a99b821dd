"""A frame takes no more of the event loop than its length demands, whatever is in it."""

import time

import msgspec
import pytest

from cucmd.varlink import VarlinkError
from cucmd.varlink.framing import LONGEST_FRAME, BadCall, BadFrame, Frames, decode_call
from cucmd.varlink.request_decoding import decode_request
from rig.example_interface import Echo, Example

DECODER = msgspec.json.Decoder(Echo)
INTERFACE = Example().interface()
# A frame of one long string takes 1 ms here, the worst of the others 14 ms.
MOST_TIMES = 40


def filled(before: bytes, part: bytes, after: bytes) -> bytes:
    """Fills a frame to almost full length: a call of Echo with so many parts in its parameters."""
    begin = b'{"method":"io.example.Test.Echo","parameters":' + before
    count = (LONGEST_FRAME - len(begin) - len(after) - 1) // len(part)
    return begin + part * count + after + b"}"


PLAIN = filled(b'{"text":"', b"x", b'"}')
UNKNOWN = b",".join(b'"a%d":0' % number for number in range(75_000))
HOSTILE = {
    "opening brackets": b"[" * LONGEST_FRAME,
    "as many closing ones": b"[" * (LONGEST_FRAME // 2) + b"]" * (LONGEST_FRAME // 2),
    "pairs": filled(b'{"a":[', b"[],", b"[]]}"),
    "pairs of the largest depth": filled(b'{"a":[', b"[" * 29 + b"]" * 29 + b",", b"[]]}"),
    "empty strings and some brackets": filled(b'{"a":[' + b"[]," * 40, b'"",', b'""]}'),
    "backslashes and some brackets": filled(b'{"a":[' + b"[]," * 40 + b'"', rb"\\", b'"]}'),
    "unknown fields": b'{"method":"io.example.Test.Echo","parameters":{' + UNKNOWN + b"}}",
    "the same field": filled(b"{", b'"text":"",', b'"x":0}'),
    "a wrong value": filled(b'{"text":"","numbers":[', b"1,", b'""]}'),
    "values of the wrong type": filled(b'{"text":"","numbers":[', b'"",', b'""]}'),
    "escapes": filled(b'{"text":"', rb"\n", b'"}'),
    "beyond ASCII": filled(b'{"text":"', "é😀".encode(), b'"}'),
    "blanks": filled(b"", b" ", b'{"text":""}'),
}


def seconds(frame: bytes) -> float:
    """Measures the least processor time of three tries, from the bytes to the request or error."""
    return min(_once(frame) for _ in range(3))


def _once(frame: bytes) -> float:
    begun = time.thread_time()
    frames = Frames()
    frames.feed(frame + b"\0")
    taken = frames.take()
    assert taken is not None
    try:
        decode_request(DECODER, decode_call(taken).parameters, INTERFACE)
    except (BadFrame, BadCall, VarlinkError):
        pass
    return time.thread_time() - begun


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_frame_takes_about_as_long_as_a_plain_one(what: str) -> None:
    assert seconds(HOSTILE[what]) < MOST_TIMES * seconds(PLAIN)


def test_the_first_of_many_unknown_fields_is_named() -> None:
    with pytest.raises(VarlinkError) as caught:
        decode_request(DECODER, decode_call(HOSTILE["unknown fields"]).parameters, INTERFACE)
    assert caught.value.parameters.parameter == "a0"
