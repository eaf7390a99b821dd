"""Bytes to frames, and frames to calls."""

import sys
import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.varlink.framing import BadCall, BadFrame, Frames, decode_call


def taken(frames: Frames, pieces: list[bytes]) -> list[bytes | str]:
    """Returns all frames of these pieces, and then the text of the error, if there was one."""
    found = []
    try:
        for piece in pieces:
            frames.feed(piece)
            while (frame := frames.take()) is not None:
                found.append(frame)
    except BadFrame as error:
        found.append(str(error))
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(ends)]


@given(st.lists(st.binary(max_size=12)), st.lists(st.integers(0, 1000)))
def test_any_split_gives_the_same_frames(chunks: list[bytes], places: list[int]) -> None:
    data = b"\0".join(chunks)
    whole = taken(Frames(longest=8), [data])
    assert taken(Frames(longest=8), cut(data, places)) == whole
    assert taken(Frames(longest=8), [data[i : i + 1] for i in range(len(data))]) == whole


@given(st.lists(st.binary(max_size=12).filter(lambda one: b"\0" not in one)))
def test_frames_are_the_bytes_between_nuls(chunks: list[bytes]) -> None:
    frames = Frames(longest=12)
    assert taken(frames, [b"".join(chunk + b"\0" for chunk in chunks)]) == chunks
    assert not frames.begun


def test_longest_frame_is_accepted() -> None:
    assert taken(Frames(longest=4), [b"1234\0"]) == [b"1234"]
    assert taken(Frames(longest=4), [b"1\0", b"12345\0"]) == [b"1", "longer than 4 bytes"]


def seconds(size: int) -> float:
    """Measures the processor time for a frame of that size that comes 16 bytes at a time."""
    frames = Frames(longest=size)
    begun = time.thread_time()
    for _ in range(size // 16):
        frames.feed(b"x" * 16)
        assert frames.take() is None
    frames.feed(b"\0")
    assert frames.take() is not None
    return time.thread_time() - begun


def test_small_pieces_cost_linear_time() -> None:
    small = min(seconds(2**16) for _ in range(3))
    large = min(seconds(2**20) for _ in range(3))
    assert large < 16 * small * 4  # 16 times the bytes; were it quadratic, 256 times the time


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not JSON"),
        (b"  ", "not JSON"),
        (b"nope", "not JSON"),
        (b'{"method":"a.b"', "not JSON"),
        (b'{"method":"a.b"} x', "not JSON"),
        (b'{"method":"a.b","parameters":{"a":01}}', "not JSON"),
        (b'{"method":"a.b","parameters":{"a":1,}}', "not JSON"),
        (b'{"method":"a\xff"}', "not UTF-8"),
        (b'{"method":"a.b","parameters":{"a":"\xff"}}', "not UTF-8"),
        (b'{"method":"a\\ud800"}', "not JSON"),
        (b"[]", "not an object"),
        (b'"method"', "not an object"),
        (b"17", "not an object"),
        (b"null", "not an object"),
        (b" [1]", "not an object"),
        (b'{"a":' * 200_000, "not JSON"),
    ],
)
def test_non_objects_are_bad_frames(frame: bytes, reason: str) -> None:
    with pytest.raises(BadFrame, match=reason):
        decode_call(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'{"method":"a.b","parameters":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"method":"a.b","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
)
def test_deep_nesting_is_a_bad_frame(frame: bytes) -> None:
    """Python 3.14 checks the stack that is left, which is enough for these."""
    with (
        suppress(BadCall) if sys.version_info >= (3, 14) else pytest.raises(BadFrame, match="deep")
    ):
        decode_call(frame)


@pytest.mark.parametrize(
    ("frame", "parameter"),
    [
        (b"{}", "method"),
        (b'{"method":5}', "method"),
        (b'{"method":"a.b","more":"yes"}', "more"),
        (b'{"method":"a.b","parameter":{}}', "parameter"),
        (b'{"method":"a.b","\\u001b[31m":{}}', "?[31m"),
        (b'{"method":"a.b","' + b"x" * 1000 + b'":1}', "x" * 64),
    ],
)
def test_bad_call_names_the_field(frame: bytes, parameter: str) -> None:
    with pytest.raises(BadCall) as caught:
        decode_call(frame)
    assert (caught.value.parameter, caught.value.oneway) == (parameter, False)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\methodparamsu01 \n').map(str.encode))
def test_any_bytes_are_decoded_or_refused(frame: bytes) -> None:
    try:
        decode_call(frame)
    except (BadFrame, BadCall):
        pass
