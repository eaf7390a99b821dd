"""What a connection may cost beyond what asyncssh itself bounds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from cucmd.receiver.connection import Connection
from cucmd.receiver.limits import MIB


def connection(unread: int = 0, deferred: int = 0, variables: int = 0) -> Connection:
    made = Connection(cast(Any, None))
    transport = SimpleNamespace(get_write_buffer_size=lambda: unread)
    made._connection = cast(
        Any, SimpleNamespace(_transport=transport, _deferred_packets=[b""] * deferred)
    )
    environment = {b"%d" % number: b"" for number in range(variables)}
    made._channel = cast(Any, SimpleNamespace(get_environment_bytes=lambda: environment))
    return made


def test_a_connection_that_behaves_may_stay() -> None:
    assert connection(unread=MIB, variables=100).overstays() is None


def test_who_asks_without_end_and_reads_no_answer_is_cut_off() -> None:
    assert connection(unread=MIB + 1).overstays() == "it does not read our answers"


def test_who_asks_without_end_in_a_key_exchange_that_does_not_end_is_cut_off() -> None:
    assert connection(deferred=100).overstays() is None
    assert connection(deferred=5000).overstays() == "it does not read our answers"


def test_who_sets_variables_without_end_is_cut_off() -> None:
    assert connection(variables=101).overstays() == "it sets environment variables without end"


def test_a_connection_that_has_asked_for_nothing_yet_may_stay() -> None:
    assert Connection(cast(Any, None)).overstays() is None
