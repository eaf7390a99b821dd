"""What serves HTTP replaces two private names of hypercorn: they are there."""

from inspect import iscoroutinefunction

import pytest

pytest.importorskip("hypercorn")

from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer


@pytest.mark.parametrize(
    ("kind", "name"), [(H11Protocol, "_check_protocol"), (TCPServer, "_read_data")]
)
def test_what_is_replaced_is_there(kind: type, name: str) -> None:
    assert iscoroutinefunction(vars(kind)[name])
