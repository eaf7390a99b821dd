"""A connection's bytes reach asyncssh whole and in order, in slices, and only in its turn.

asyncssh is played by a connection whose packets have 16 bytes, and whose loop is asyncssh's.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable
from typing import Any

import pytest

from cucmd.ssh import feed as module
from cucmd.ssh.feed import Allowed, Feed
from cucmd.ssh.turns import Group

PACKET = 16


class Transport:
    def __init__(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Connection:
    def __init__(self) -> None:
        self._transport: Transport | None = Transport()
        self._inpbuf = b""
        self.busy = False  # with a packet that it made a task of
        self.heard: list[bytes] = []
        self.events: list[str] = []
        self.aborted: list[str] = []

    def data_received(self, data: Any) -> None:
        self._inpbuf += data
        self._recv_data()

    def _recv_data(self) -> None:
        while self._inpbuf and not self.busy and self._recv_pkthdr():
            pass

    def _recv_pkthdr(self) -> bool:
        if len(self._inpbuf) < PACKET:
            return False
        packet, self._inpbuf = self._inpbuf[:PACKET], self._inpbuf[PACKET:]
        self.heard.append(packet)
        return True

    def process_packet(self, pkttype: int, pktid: int, packet: Any) -> bool | Awaitable[None]:
        async def exchange() -> None:
            self.events.append("exchange")

        return exchange() if pkttype == 20 else True

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")

    def abort(self, what: str) -> None:
        self.aborted.append(what)
        self._transport = None


class Turns:
    """Gives a turn when the test says so."""

    def __init__(self) -> None:
        self.line: list[Feed] = []
        self.charged = 0
        self.idle = False

    def wait(self, one: Feed) -> None:
        assert one not in self.line
        self.line.append(one)

    def at_once(self, one: Feed) -> bool:
        if self.idle:
            one.take_turn(Clock.now + 1)
            if one.has_more:
                self.line.append(one)
        return self.idle

    def charge(self, one: Feed, seconds: float) -> None:
        self.charged += 1

    def give(self, slices: float = 1) -> None:
        one = self.line.pop(0)
        one.take_turn(Clock.now + slices)
        if one.has_more:
            self.line.append(one)

    def give_all(self) -> int:
        given = 0
        while self.line:
            self.give()
            given += 1
        return given


class Clock:
    """A slice is 1.0: ten packets, since it is read once before each of them."""

    now = 0.0

    @classmethod
    def perf_counter(cls) -> float:
        cls.now += 0.1
        return cls.now


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    turns = Turns()
    monkeypatch.setattr(module, "turns", lambda: turns)
    monkeypatch.setattr(module, "time", types.SimpleNamespace(perf_counter=Clock.perf_counter))
    return turns


@pytest.fixture
def connection() -> Connection:
    return Connection()


def receive(feed: Feed, data: bytes) -> None:
    feed.get_buffer(-1)[: len(data)] = data
    feed.buffer_updated(len(data))


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(PACKET, "big") for number in range(count)]


def test_many_small_packets_take_many_turns_and_arrive_whole_and_in_order(
    turns: Turns, connection: Connection
) -> None:
    feed, packets = Feed(connection, "a"), numbered(5000)
    receive(feed, b"".join(packets))
    assert connection.heard == [], "nothing outside of a turn"
    turns.give()
    assert 5 <= len(connection.heard) <= 10
    assert turns.give_all() >= 500
    assert connection.heard == packets


def test_a_packet_in_two_reads_is_handled_once_it_is_whole(
    turns: Turns, connection: Connection
) -> None:
    feed, packets = Feed(connection, "a"), numbered(3)
    stream = b"".join(packets)
    for at in range(0, len(stream), 7):
        receive(feed, stream[at : at + 7])
        turns.give_all()
    assert connection.heard == packets


def test_nothing_more_is_read_while_much_waits(turns: Turns, connection: Connection) -> None:
    feed, transport = Feed(connection, "a"), connection._transport
    assert transport is not None
    receive(feed, b"".join(numbered(100)))
    assert not transport.paused
    receive(feed, b"x")
    assert transport.paused
    turns.give()
    assert transport.paused
    turns.give_all()
    assert not transport.paused


def test_the_end_comes_after_all_that_came_before_it(turns: Turns, connection: Connection) -> None:
    feed = Feed(connection, "a")
    receive(feed, b"".join(numbered(50)))
    assert feed.eof_received() is True, "asyncio must not close it yet"
    turns.give()
    assert connection.events == []
    turns.give_all()
    assert (len(connection.heard), connection.events) == (50, ["eof"])


def test_a_connection_that_goes_on_by_itself_has_to_wait_for_its_turn(
    turns: Turns, connection: Connection
) -> None:
    """asyncssh does so after a packet that it made a task of."""
    feed = Feed(connection, "a")
    connection.busy = True
    receive(feed, b"".join(numbered(30)))
    turns.give()
    connection.busy = False
    connection._recv_data()
    assert connection.heard == []
    turns.give_all()
    assert len(connection.heard) == 30


@pytest.mark.parametrize(
    ("allowed", "count"),
    [(Allowed(packets=20, size=10**6, exchanges=1), 20), (Allowed(10**6, 320, 1), 0)],
)
def test_who_has_not_logged_in_is_cut_at_its_limit_and_nothing_more_is_handled(
    turns: Turns, connection: Connection, allowed: Allowed, count: int
) -> None:
    feed = Feed(connection, "a", Group.OTHERS, allowed, connection.abort)
    receive(feed, b"".join(numbered(400)))
    turns.give_all()
    assert len(connection.aborted) == 1
    assert count <= len(connection.heard) <= count + 1


def test_after_the_login_there_is_no_limit(turns: Turns, connection: Connection) -> None:
    feed = Feed(connection, "a", Group.OTHERS, Allowed(20, 320, 1), connection.abort)
    receive(feed, b"".join(numbered(20)))
    turns.give_all()
    feed.logged_in()
    assert feed.group is Group.EXPECTED
    receive(feed, b"".join(numbered(400)))
    turns.give_all()
    assert (len(connection.heard), connection.aborted) == (420, [])


async def test_key_exchanges_are_counted_before_the_login_and_charged_always(
    turns: Turns, connection: Connection
) -> None:
    feed = Feed(connection, "a", Group.OTHERS, Allowed(20, 320, 1), connection.abort)
    for _ in range(2):
        await connection.process_packet(20, 0, None)  # type: ignore[misc]
    assert (connection.events, len(connection.aborted)) == (["exchange"], 1)
    feed.logged_in()
    for _ in range(5):
        await connection.process_packet(20, 0, None)  # type: ignore[misc]
    assert turns.charged == 6


def test_what_waits_is_dropped_with_the_connection(turns: Turns, connection: Connection) -> None:
    feed = Feed(connection, "a")
    receive(feed, b"".join(numbered(100)))
    feed.connection_lost(None)
    turns.give_all()
    assert (connection.heard, connection.events) == ([], ["lost"])


def test_where_nobody_waits_what_was_read_is_handled_at_once(
    turns: Turns, connection: Connection
) -> None:
    feed, packets = Feed(connection, "a"), numbered(5)
    turns.idle = True
    receive(feed, b"".join(packets))
    assert connection.heard == packets
    assert turns.line == []


def test_what_is_left_of_a_read_outlives_the_buffer_that_all_share(
    turns: Turns, connection: Connection
) -> None:
    one, other, packets = Feed(connection, "a"), Feed(Connection(), "b"), numbered(400)
    turns.idle = True
    receive(one, b"".join(packets))
    assert len(connection.heard) < 20
    turns.idle = False
    receive(other, b"\xff" * PACKET * 400)
    turns.give_all()
    assert connection.heard == packets


def test_of_one_that_has_not_logged_in_nothing_is_handled_at_once(
    turns: Turns, connection: Connection
) -> None:
    feed = Feed(connection, "a", Group.EXPECTED, Allowed(20, 320, 1), connection.abort)
    turns.idle = True
    receive(feed, b"".join(numbered(5)))
    assert connection.heard == []
    assert turns.line == [feed]
