"""The output of a shell stays in order, and a slow reader pauses the channel."""

import asyncssh
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from cucmd.ssh.inbox import HIGH_WATER, LOW_WATER, Inbox
from cucmd.vos.secrets import Secrets


class Channel:
    """Stands for asyncssh's channel."""

    def __init__(self) -> None:
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def inbox(channel: Channel) -> Inbox:
    inbox = Inbox(str)
    inbox.connection_made(channel)  # type: ignore[arg-type]  # a stand-in
    return inbox


async def test_reader_waits_for_next_byte(inbox):
    read_bytes = []

    async def read() -> None:
        read_bytes.append(await inbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        assert read_bytes == []
        inbox.data_received(b"x", None)
    assert read_bytes == [b"x"]


async def test_much_output_pauses_the_channel(inbox, channel):
    while channel.reading:
        inbox.data_received(b"x" * 1000, None)
    assert HIGH_WATER <= inbox.unread_bytes < HIGH_WATER + 1000
    assert len(await inbox.receive()) >= HIGH_WATER
    assert channel.reading
    assert inbox.unread_bytes <= LOW_WATER


async def test_end_follows_all_output(inbox):
    inbox.data_received(b"last", None)
    assert inbox.eof_received() is False
    inbox.connection_lost(None)
    assert await inbox.receive() == b"last"
    assert await inbox.receive() == b""
    assert await inbox.receive() == b""
    assert inbox.lost is None
    assert inbox.closed.is_set()


async def test_disconnect_message_is_masked(channel):
    inbox = Inbox(Secrets(("correct horse",)).mask)
    inbox.connection_made(channel)
    inbox.connection_lost(asyncssh.DisconnectError(2, "no correct horse for you"))
    assert inbox.lost == "no ***** for you"


async def test_writer_waits_for_slow_node(
    inbox,
):
    inbox.pause_writing()
    assert not inbox.writable.is_set()
    inbox.resume_writing()
    assert inbox.writable.is_set()
    inbox.pause_writing()
    inbox.connection_lost(None)
    assert inbox.writable.is_set()


async def test_cancelled_receive_loses_nothing(inbox):
    with trio.CancelScope() as scope:
        scope.cancel()
        await inbox.receive()
    inbox.data_received(b"late", None)
    assert await inbox.receive() == b"late"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20), st.data())
def test_any_split_gives_same_output(chunks, data):
    async def read_all() -> bytes:
        inbox, read_bytes = Inbox(str), b""
        for chunk in chunks:
            inbox.data_received(chunk, None)
            if data.draw(st.booleans()):
                read_bytes += await inbox.receive()
        inbox.eof_received()
        while more := await inbox.receive():
            read_bytes += more
        return read_bytes

    assert trio.run(read_all) == b"".join(chunks)
