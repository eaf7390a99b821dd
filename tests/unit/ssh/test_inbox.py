"""The output of a shell: in order and bounded; a slow reader pauses the channel."""

import asyncssh
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from cucmd.ssh.inbox import HIGH_WATER, LOW_WATER, Inbox
from cucmd.vos.secrets import Secrets


class Channel:
    """asyncssh's channel, as far as an inbox needs it."""

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


async def test_all_that_has_come_is_taken_at_once(inbox):
    for byte in b"admin:":
        inbox.data_received(bytes([byte]), None)
    assert await inbox.receive() == b"admin:"


async def test_the_reader_waits_for_the_next_byte(inbox):
    read_bytes = []

    async def read() -> None:
        read_bytes.append(await inbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        assert read_bytes == []
        inbox.data_received(b"x", None)
    assert read_bytes == [b"x"]


async def test_much_output_pauses_the_channel_until_it_is_read(inbox, channel):
    while channel.reading:
        inbox.data_received(b"x" * 1000, None)
    assert HIGH_WATER <= inbox.unread_bytes < HIGH_WATER + 1000
    assert len(await inbox.receive()) >= HIGH_WATER
    assert channel.reading
    assert inbox.unread_bytes <= LOW_WATER


async def test_many_single_bytes_are_bounded_too(inbox, channel):
    sent = 0
    while channel.reading:
        inbox.data_received(b"x", None)
        sent += 1
    assert sent == HIGH_WATER
    assert await inbox.receive() == b"x" * sent


async def test_the_end_comes_after_all_output(inbox):
    inbox.data_received(b"last", None)
    assert inbox.eof_received() is False
    inbox.connection_lost(None)
    assert await inbox.receive() == b"last"
    assert await inbox.receive() == b""
    assert await inbox.receive() == b""
    assert inbox.lost is None
    assert inbox.closed.is_set()


async def test_a_broken_connection_has_a_reason(inbox):
    inbox.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    assert await inbox.receive() == b""
    assert inbox.lost == "Connection reset by peer"


async def test_a_password_in_the_disconnect_message_is_masked(channel):
    inbox = Inbox(Secrets(("correct horse",)).mask)
    inbox.connection_made(channel)
    inbox.connection_lost(asyncssh.DisconnectError(2, "no correct horse for you"))
    assert inbox.lost == "no ***** for you"


async def test_a_writer_waits_while_the_node_does_not_read_and_not_after_the_connection_is_lost(
    inbox,
):
    inbox.pause_writing()
    assert not inbox.writable.is_set()
    inbox.resume_writing()
    assert inbox.writable.is_set()
    inbox.pause_writing()
    inbox.connection_lost(None)
    assert inbox.writable.is_set()


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20), st.data())
def test_output_is_the_same_however_it_is_split_and_read(chunks, data):
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
