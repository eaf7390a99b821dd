"""The arguments of `utils network capture`, and what a lab node keeps of its captures."""

from __future__ import annotations

import pytest

from cucmd.lab.captures import Captures, Wanted, parse_capture
from cucmd.lab.faults import Kind
from cucmd.lab.selection import Refused


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("file packets", Wanted("packets")),
        (
            "eth0 file x count 100000 size all",
            Wanted("x", count=100_000, size=None),
        ),
        (
            "eth0 file x count 5 size ALL host ip 10.20.0.2 port 5060",
            Wanted("x", count=5, size=None, host="10.20.0.2", port=5060),
        ),
        ("size 65535 port 123 file x", Wanted("x", size=65535, port=123)),
    ],
)
def test_arguments(line: str, wanted: Wanted) -> None:
    assert parse_capture(line.split()) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "eth0 count 5",
        "eth0 file a.b count 5",
        "eth0 file a/b",
        "eth0 file x count 100001",
        "eth0 file x count 0",
        "eth0 file x size 65536",
        "eth0 file x port 65536",
        "eth0 file x port +5",
        "eth0 file x host 10.20.0.2",
        "eth0 file x host ip phone",
        "eth0 file x host",
        "eth0 file x count",
        "eth0 file x count 5 count 6",
        "eth1 file x",
        "eth0 file x fast",
    ],
)
def test_what_a_node_does_not_take(line: str) -> None:
    with pytest.raises(Refused):
        parse_capture(line.split())


def test_a_name_that_was_used_gets_a_number() -> None:
    captures = Captures("127.1.0.1", 0)
    first, second, third = (captures.begin(Wanted("x"), None).path for _ in range(3))
    assert first == "platform/cli/x.cap"
    assert (second, third) == ("platform/cli/x1.cap", "platform/cli/x2.cap")
    captures.remove(second)
    assert {file.path for file in captures.files()} == {first, third}


@pytest.mark.parametrize(
    ("fault", "sizes"),
    [
        (None, [24]),
        (Kind.CAPTURE_HEADER, [24]),
        (Kind.CAPTURE_CUT, [17]),
        (Kind.CAPTURE_GARBAGE, [24]),
        (Kind.CAPTURE_NO_FILE, []),
    ],
)
def test_the_file_of_a_capture_without_a_packet(fault: Kind | None, sizes: list[int]) -> None:
    captures = Captures("127.1.0.1", 0)
    capture = captures.begin(Wanted("x"), fault)
    while_it_runs = [file.size for file in captures.files()]
    capture.end()
    assert while_it_runs == [file.size for file in captures.files()] == sizes
    for size in sizes:
        content = b"".join(capture.blocks(size))
        assert len(content) == size
        assert (content[:4] == b"\xd4\xc3\xb2\xa1") == (fault is not Kind.CAPTURE_GARBAGE)
