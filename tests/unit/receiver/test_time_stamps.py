"""The time stamp of a client is recorded, and the time on the disk stays that of the arrival."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import Status
from cucmd.receiver.sftp_packets import PacketType
from rig import sftp_words as words

TIMES = words.set_times(5, 1_700_000_000)


def stamps(client: Any) -> dict[str, int | None]:
    return {file.path: file.modified for file in client.received.files()}


def at_open(client: Any) -> None:
    client.close(client.open(b"a", words.PUT, TIMES).handle)


def by_handle(client: Any) -> None:
    handle = client.open(b"a").handle
    assert client.set_times(handle, TIMES).status == Status.OK
    client.write(handle, 0, b"written after it")
    client.close(handle)


def by_path_while_it_is_open(client: Any) -> None:
    handle = client.open(b"/a").handle
    assert client.on_path(PacketType.SETSTAT, b"./a", TIMES).status == Status.OK
    client.close(handle)


def by_path_once_it_is_closed(client: Any) -> None:
    client.put(b"a", b"1")
    assert client.on_path(PacketType.SETSTAT, b"a", TIMES).status == Status.OK


@pytest.mark.parametrize(
    "set_it", [at_open, by_handle, by_path_while_it_is_open, by_path_once_it_is_closed]
)
def test_time_is_recorded(client: Any, set_it: Callable[[Any], None]) -> None:
    set_it(client)
    assert stamps(client) == {"a": 1_700_000_000}
    assert client.received.files()[0].closed
    assert (client.folder / "a").stat().st_mtime > 1_700_000_000


def test_time_of_incomplete_file(client: Any) -> None:
    client.set_times(client.open(b"a").handle, TIMES)
    client.handler.close()
    assert stamps(client) == {"a": 1_700_000_000}
    assert not client.received.files()[0].closed


def test_last_time_counts(client: Any) -> None:
    client.put(b"a", b"123")
    (before,) = client.received.files()
    for seconds in (1, 2):
        client.on_path(PacketType.SETSTAT, b"a", words.set_times(9, seconds))
    assert client.received.files() == (
        ReceivedFile("", "a", 3, before.sha256, closed=True, modified=2),
    )


def test_path_means_the_last_file(client: Any) -> None:
    first, second = client.open(b"a").handle, client.open(b"a").handle
    client.set_times(first, words.set_times(1, 1))
    client.on_path(PacketType.SETSTAT, b"a", words.set_times(1, 2))
    client.close(second)
    client.close(first)
    assert stamps(client) == {"a": 1, "a.2": 2}


def test_other_connection_sets_no_time(make_client: Callable[..., Any]) -> None:
    make_client().put(b"a", b"1")
    other = make_client()
    assert other.on_path(PacketType.SETSTAT, b"a", TIMES).status == Status.OK
    assert stamps(other) == {"a": None}
