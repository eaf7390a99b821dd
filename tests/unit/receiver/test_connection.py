"""A connection has limits beyond those of asyncssh."""

from __future__ import annotations

from unittest.mock import Mock

from cucmd.receiver.connection import Connection
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, ReceiverLimits
from cucmd.receiver.messages import Admitted


async def connection(unread: int = 0, deferred: int = 0, variables: int = 0) -> Connection:
    """Makes one that has logged in and has opened its session, with asyncssh's side of it."""
    login = Mock(log_in=lambda *_: Admitted("job/node"))
    made = Connection(login, ReceiverLimits(), FreeSpace(0, 0.0), lambda: None)
    ssh = Mock(_deferred_packets=[b""] * deferred)
    ssh._transport.get_write_buffer_size.return_value = unread
    environment = {b"%d" % number: b"" for number in range(variables)}
    ssh.create_server_channel.return_value.get_environment_bytes.return_value = environment
    made.connection_made(ssh)
    assert await made.validate_password("login", "password")
    assert made.session_requested()
    return made


async def test_a_connection_within_the_limits_stays() -> None:
    assert (await connection(unread=MIB, variables=100)).reason_to_cut() is None


async def test_a_client_that_reads_no_reply_is_cut_off() -> None:
    assert "replies" in ((await connection(unread=MIB + 1)).reason_to_cut() or "")


async def test_a_client_that_reads_no_reply_in_an_endless_key_exchange_is_cut_off() -> None:
    assert (await connection(deferred=100)).reason_to_cut() is None
    assert "replies" in ((await connection(deferred=5000)).reason_to_cut() or "")


async def test_a_client_that_sets_too_many_variables_is_cut_off() -> None:
    assert "environment variables" in ((await connection(variables=101)).reason_to_cut() or "")


def test_a_new_connection_stays() -> None:
    made = Connection(Mock(), ReceiverLimits(), FreeSpace(0, 0.0), lambda: None)
    assert made.reason_to_cut() is None
