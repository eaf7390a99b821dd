"""A client that makes asyncssh hold too much is cut."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from cucmd.receiver.connection import Connection
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, ReceiverLimits
from cucmd.receiver.messages import Admitted


async def connection(unread: int = 0, deferred: int = 0, variables: int = 0) -> Connection:
    """Returns a connection that has logged in and opened its session, with a fake of asyncssh."""
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


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({"unread": MIB, "variables": 100, "deferred": 0}, None),
        ({"unread": MIB + 1}, "it does not read its replies"),
        ({"deferred": 100}, None),
        ({"deferred": 5000}, "it does not read its replies"),  # a key exchange without end
        ({"variables": 101}, "it sets environment variables without end"),
    ],
)
async def test_greedy_client_is_cut(held: dict[str, int], reason: str | None) -> None:
    assert (await connection(**held)).reason_to_cut() == reason
