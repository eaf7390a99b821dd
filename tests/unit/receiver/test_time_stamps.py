"""The time stamp that a client gives a file is recorded, whenever and in whichever way. The time on
the disk stays that of the arrival.
"""

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
def test_it_is_kept(client: Any, set_it: Callable[[Any], None]) -> None:
    set_it(client)
    assert stamps(client) == {"a": 1_700_000_000}
    assert client.received.files()[0].closed
    assert (client.folder / "a").stat().st_mtime > 1_700_000_000


def test_of_a_file_that_is_cut_off_too(client: Any) -> None:
    client.set_times(client.open(b"a").handle, TIMES)
    client.handler.close()
    assert stamps(client) == {"a": 1_700_000_000}
    assert not client.received.files()[0].closed


def test_without_one_there_is_none(client: Any) -> None:
    client.put(b"a", b"1")
    reply = client.on_path(PacketType.SETSTAT, b"a", words.set_size(1))
    assert reply.status == Status.OK
    assert stamps(client) == {"a": None}


def test_the_last_one_counts_and_nothing_else_of_the_file_changes(client: Any) -> None:
    client.put(b"a", b"123")
    (before,) = client.received.files()
    for seconds in (1, 2):
        client.on_path(PacketType.SETSTAT, b"a", words.set_times(9, seconds))
    assert client.received.files() == (
        ReceivedFile("", "a", 3, before.sha256, closed=True, modified=2),
    )


@pytest.mark.parametrize("seconds", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_whatever_it_is_the_file_is_whole(client: Any, seconds: int) -> None:
    """-1 is 2^32 - 1 on the wire, which has 32 bits without a sign."""
    times = words.set_times(0, seconds)
    handle = client.open(b"a", words.PUT, times).handle
    assert client.set_times(handle, times).status == Status.OK
    assert client.close(handle).status == Status.OK
    assert client.on_path(PacketType.SETSTAT, b"a", times).status == Status.OK
    assert stamps(client) == {"a": seconds}
    assert client.received.files_received == 1


@pytest.mark.parametrize("attributes", [b"", b"\0\0\0", TIMES[:7], TIMES + b"more"])
def test_attributes_of_an_open_that_end_too_early_prevent_nothing(
    client: Any, attributes: bytes
) -> None:
    handle = client.open(b"a", words.PUT, attributes).handle
    assert client.close(handle).status == Status.OK


def test_before_there_is_a_file_nothing_is_kept(client: Any) -> None:
    assert client.on_path(PacketType.SETSTAT, b"a", TIMES).status == Status.NO_SUCH_FILE
    assert client.set_times(bytes(4), TIMES).status == Status.FAILURE
    client.put(b"a", b"1")
    assert stamps(client) == {"a": None}


def test_each_file_has_its_own(client: Any) -> None:
    client.mkdir(b"d")
    for name in (b"a", b"d/a", b"b"):
        client.put(name, name)
    client.on_path(PacketType.SETSTAT, b"d/a", TIMES)
    client.on_path(PacketType.SETSTAT, b"d", words.set_times(1, 1))
    client.on_path(PacketType.SETSTAT, b"", words.set_times(1, 1))
    assert stamps(client) == {"a": None, "d/a": 1_700_000_000, "b": None}


def test_of_two_files_of_one_name_it_is_that_of_the_last(client: Any) -> None:
    first, second = client.open(b"a").handle, client.open(b"a").handle
    client.set_times(first, words.set_times(1, 1))
    client.on_path(PacketType.SETSTAT, b"a", words.set_times(1, 2))
    client.close(second)
    client.close(first)
    assert stamps(client) == {"a": 1, "a.2": 2}


def test_another_connection_does_not_stamp_it(make_client: Callable[..., Any]) -> None:
    make_client().put(b"a", b"1")
    other = make_client()
    assert other.on_path(PacketType.SETSTAT, b"a", TIMES).status == Status.OK
    assert stamps(other) == {"a": None}


def test_a_stamp_is_not_set_on_disk(client: Any) -> None:
    client.put(b"a", b"1")
    client.on_path(PacketType.SETSTAT, b"a", TIMES)
    assert (client.folder / "a").stat().st_mtime > 1_700_000_000
