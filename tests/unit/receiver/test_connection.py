"""Limits of a connection beyond those of asyncssh."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from cucmd.receiver.connection import Connection
from cucmd.receiver.limits import MIB


def connection(unread: int = 0, deferred: int = 0, variables: int = 0) -> Connection:
    made = Connection(cast(Any, None), "192.0.2.5")
    transport = SimpleNamespace(get_write_buffer_size=lambda: unread)
    made._connection = cast(
        Any, SimpleNamespace(_transport=transport, _deferred_packets=[b""] * deferred)
    )
    environment = {b"%d" % number: b"" for number in range(variables)}
    made._channel = cast(Any, SimpleNamespace(get_environment_bytes=lambda: environment))
    return made


def test_a_connection_within_the_limits_stays() -> None:
    assert connection(unread=MIB, variables=100).excess() is None


def test_a_client_that_reads_no_reply_is_cut_off() -> None:
    assert connection(unread=MIB + 1).excess() == "it does not read its replies"


def test_a_client_that_reads_no_reply_in_an_endless_key_exchange_is_cut_off() -> None:
    assert connection(deferred=100).excess() is None
    assert connection(deferred=5000).excess() == "it does not read its replies"


def test_a_client_that_sets_too_many_variables_is_cut_off() -> None:
    assert connection(variables=101).excess() == "it sets environment variables without end"


def test_a_new_connection_stays() -> None:
    assert Connection(cast(Any, None), "192.0.2.5").excess() is None
