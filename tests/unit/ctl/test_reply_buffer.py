"""Replies from bytes that are split anywhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.client.errors import ProtocolError
from cucmctl.client.frames import LONGEST_REPLY, ReplyBuffer

TEXTS = st.lists(st.text(max_size=20), max_size=6)


def sent(texts):
    frames_sent = [json.dumps({"parameters": {"text": text}}).encode() + b"\0" for text in texts]
    return b"".join(frames_sent)


def taken(buffer):
    while (reply := buffer.take()) is not None:
        yield json.loads(bytes(reply.parameters))["text"]


@given(TEXTS, st.data())
def test_replies_cut_at_every_split(texts, data):
    whole, buffer, came = sent(texts), ReplyBuffer("sock"), []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        buffer.feed(whole[:size])
        whole = whole[size:]
        came += taken(buffer)
    assert came == texts
    assert len(buffer) == 0


def test_bytes_after_an_upgrade():
    buffer = ReplyBuffer("sock")
    buffer.feed(sent(["x"]) + b"a\0b")
    assert buffer.take() is not None
    assert (buffer.take_bytes(2), buffer.take_bytes(2), buffer.take_bytes(2)) == (b"a\0", b"b", b"")


@pytest.mark.parametrize("frame", [b"", b"x", b"[]", b'{"error": 1}', b'{"continues": 1}'])
def test_bad_replies_are_refused(frame):
    buffer = ReplyBuffer("sock")
    buffer.feed(frame + b"\0")
    with pytest.raises(ProtocolError):
        buffer.take()


def test_endless_reply_is_refused():
    buffer = ReplyBuffer("sock")
    buffer.feed(b"x" * LONGEST_REPLY)
    assert buffer.take() is None
    buffer.feed(b"x")
    with pytest.raises(ProtocolError):
        buffer.take()
