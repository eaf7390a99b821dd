"""A connection answers any input or ends, and raises nothing.

Each file in `corpus/` is the input of one peer, found by hypothesis or chosen as an attack. Search
longer with `pytest tests/unit/varlink/test_fuzz.py --hypothesis-profile=long`.
"""

import json
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from cucmd.varlink import Caller, SocketLimits
from cucmd.varlink.connection import ServerConnection, ServerParts
from cucmd.varlink.limits import Users
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO, NAME, Example
from rig.tries import tries

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
# Those that would last until a gate opens.
LASTING = {"Wait", "Change", "Count"}


def answers(pieces: list[bytes]) -> list[dict]:
    """Returns all replies to the input of one peer. Raises what the connection raises."""

    async def main() -> bytes:
        whole = Example().interface()
        methods = tuple(one for one in whole.methods if one.name not in LASTING)
        table = MethodTable(msgspec.structs.replace(whole, methods=methods), INFO)
        held = ServerParts(table, Users(SocketLimits()), lambda *_: None)
        ours, theirs = trio.testing.memory_stream_pair()
        received = bytearray()
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                async with ours:
                    await ServerConnection(ours, CALLER, held).run()

            nursery.start_soon(serve)
            try:
                for piece in pieces:
                    await theirs.send_all(piece)
                await theirs.send_eof()
            except trio.BrokenResourceError:
                pass  # dropped in the middle
            async for data in theirs:
                received += data
        return bytes(received)

    received = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    frames = received.split(b"\0")
    assert frames.pop() == b"", "half a reply"
    return [json.loads(frame) for frame in frames]


def check(replies: list[dict]) -> None:
    for reply in replies:
        assert isinstance(reply["parameters"], dict)
        # Only `Fail`, which fails on purpose, may have come to this.
        assert reply.get("error") != f"{NAME}.InternalError"


@pytest.mark.parametrize("file", CORPUS, ids=[file.name for file in CORPUS])
def test_the_corpus(file: Path) -> None:
    data = file.read_bytes()
    replies = answers([data])
    check(replies)
    if len(data) < 500:
        assert answers([data[i : i + 1] for i in range(len(data))]) == replies


@tries(200)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_random_bytes(pieces: list[bytes]) -> None:
    check(answers(pieces))


VALID = [
    {
        "method": f"{NAME}.Echo",
        "parameters": {"text": "x", "numbers": [1], "inner": {"ratio": 1.5}},
    },
    {"method": f"{NAME}.Who"},
    {"method": f"{NAME}.Refuse", "parameters": {"text": "x"}, "oneway": False},
    {"method": f"{NAME}.Falter", "parameters": {"text": "refuse"}, "more": True},
    {"method": "org.varlink.service.GetInfo", "parameters": {}},
    {"method": "org.varlink.service.GetInterfaceDescription", "parameters": {"interface": NAME}},
]
PIECES = [b"\0", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\xff", b"null", b"1e999", b"-"]
odd = st.sampled_from([*PIECES, b"[" * 40]) | st.binary(max_size=4)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draws a valid request in which some spans are replaced."""
    data = json.dumps(draw(st.sampled_from(VALID))).encode() + b"\0"
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        data = data[:begin] + draw(odd) + data[begin + draw(st.integers(0, 8)) :]
    return data


@tries(400)
@given(st.lists(mutated(), max_size=4))
def test_mutated_requests(calls: list[bytes]) -> None:
    check(answers([b"".join(calls)]))


def test_valid_requests_are_answered() -> None:
    """Otherwise the tests above could pass because nothing gets through."""
    replies = answers([json.dumps(call).encode() + b"\0" for call in VALID])
    assert len(replies) == 7
    assert sum("error" in reply for reply in replies) == 2
