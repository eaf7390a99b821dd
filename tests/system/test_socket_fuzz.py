"""Any input at the socket of a real daemon: it answers the next call, and keeps nothing open.

No request here names a node but one that refuses at once, however it is mutated. What the daemon
still holds at the end is compared by the `daemon` fixture.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cucmctl import Client
from cucmd.job.asked import Collection, Login
from cucmd.protocol.requests import INTERFACE
from rig import written
from rig.daemon import Daemon
from rig.quiet import wait_until
from rig.tries import tries

pytestmark = pytest.mark.long

NODE = "127.0.0.1:1"
PASSWORD = "Fuzz-Secret-1"
PATIENCE = 20.0  # seconds, for what happens at once on a machine that is not busy
LONGEST = 1024 * 1024
KERNEL_BUFFER = 64 * 1024  # bytes that the kernel takes although the peer does not read
CORPUS = Path(__file__).parents[1] / "unit" / "varlink" / "corpus"


def calls(job_id: str) -> list[dict]:
    """Makes a call of every method of the interface, as it is meant."""
    collection = {"paths": ["syslog/*"], "last": "2h", "compress": False}
    start = {"nodes": [NODE], "collection": collection, "timeouts": {"connect": 5, "node": 60.5}}
    parameters = [
        ("Start", start | {"login": {"username": "administrator", "password": PASSWORD}}),
        ("Start", start | {"login": {"credential": "none"}, "nodes": ["a b"], "concurrency": 2}),
        ("Status", {"job_id": job_id}),
        ("List", {"status": "failed", "limit": 5}),
        ("Cancel", {"job_id": job_id}),
        ("Cancel", {"job_id": job_id[:6], "nodes": [NODE]}),
        ("Watch", {"job_id": job_id}),
        ("Watch", {}),
        ("ListHostKeys", {}),
        ("AddHostKey", {"node": NODE}),
        ("AddHostKey", {"node": NODE, "key": "ssh-rsa AAAAB3NzaC1yc2E="}),
        ("ForgetHostKey", {"node": NODE}),
    ]
    return [
        {"method": f"io.cucmd.Jobs.{name}", "parameters": given, "more": name == "Watch"}
        for name, given in parameters
    ] + [
        {"method": "org.varlink.service.GetInfo"},
        {
            "method": "org.varlink.service.GetInterfaceDescription",
            "parameters": {"interface": INTERFACE},
        },
    ]


def encode(call: dict) -> bytes:
    return json.dumps(call).encode() + b"\0"


class Peer(NamedTuple):
    """The bytes that a peer sends, and what it does after that."""

    data: bytes
    ending: str

    def __repr__(self) -> str:
        """Is short, so that a report of megabytes can be read."""
        return f"Peer({len(self.data)} bytes: {self.data[:500]!r}..., {self.ending!r})"


# Mutations


def deep(levels: int) -> list:
    return [deep(levels - 1)] if levels else []


# No text among them names a node.
ODD = [
    *[None, True, False, -1, 0, 2**63, 2**80, 1.5, 1e308, "", "../..", "\0\u202e\x1b[2J"],
    "é" * 70_000,
    *[[], [[]], ["", None, 1], {}, {"": None}, {"job_id": {}}, deep(10), deep(40), deep(100)],
]  # fmt: skip
odd = st.sampled_from(ODD).map(copy.deepcopy)
SPANS = [b"\0", b'"', b"{", b"]", b",", b"\\u", b"\xff", b"null", b"1e999", b"[" * 99]
KEPT = [file.read_bytes() for file in sorted(CORPUS.iterdir())]
SIZES = [1000, LONGEST - 30, LONGEST, LONGEST + 1, 3 * LONGEST]


def places(value: object) -> Iterator[tuple[dict | list, object]]:
    """Yields every field and item in it, by what holds it and the key or index there."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield value, key
        yield from places(value[key])


@st.composite
def wrong(draw: st.DrawFn, job_id: str) -> bytes:
    """Draws a whole call, with flags of any kind and up to two fields not as they should be."""
    call = copy.deepcopy(draw(st.sampled_from(calls(job_id))))
    call |= draw(
        st.dictionaries(st.sampled_from([*["more", "oneway"] * 3, "upgrade"]), st.booleans())
    )
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        holder, key = draw(st.sampled_from(list(places(call))))
        holder[draw(st.sampled_from([key, "odd"])) if isinstance(holder, dict) else key] = draw(odd)
    return encode(call)


@st.composite
def broken(draw: st.DrawFn, job_id: str) -> bytes:
    """Draws a call of which some bytes are others; none that names a node, lest it name another."""
    harmless = [data for data in map(encode, calls(job_id)) if NODE.encode() not in data]
    data = draw(st.sampled_from(harmless))
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        data = data[:begin] + draw(st.sampled_from(SPANS)) + data[begin + draw(st.integers(0, 8)) :]
    return data


@st.composite
def huge(draw: st.DrawFn) -> bytes:
    begin, end = draw(st.sampled_from([(b'{"method":"', b'"}\0'), (b"[" * 50, b"\0"), (b"", b"")]))
    return begin + b"x" * draw(st.sampled_from(SIZES)) + end


@st.composite
def peers(draw: st.DrawFn, job_id: str) -> Peer:
    """Draws a peer. What may get it dropped comes last."""
    ending = draw(st.sampled_from(["reads", "reads", "leaves", "never reads"]))
    data = b"".join(draw(st.lists(wrong(job_id), min_size=1, max_size=5)))
    last = [st.just(b""), broken(job_id), st.binary(max_size=60), st.sampled_from(KEPT)]
    data += draw(st.one_of(*last, *([] if ending == "never reads" else [huge()])))
    return Peer(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data, ending)


# Peers


async def play(path: Path, peer: Peer) -> None:
    """Raises for an invalid reply. To be disconnected is valid too."""
    async with await trio.open_unix_socket(str(path)) as stream, trio.open_nursery() as nursery:

        async def talk() -> None:
            await send(stream, peer.data, finish=peer.ending == "reads")
            if peer.ending == "leaves":
                nursery.cancel_scope.cancel()

        if peer.ending == "never reads":
            await send(stream, peer.data[:KERNEL_BUFFER])
            return
        nursery.start_soon(talk)
        check(await replies(stream))
        nursery.cancel_scope.cancel()


async def send(stream: trio.SocketStream, data: bytes, *, finish: bool = False) -> None:
    try:
        await stream.send_all(data)
        if finish:
            await stream.send_eof()
    except trio.BrokenResourceError:
        pass  # dropped in the middle


async def replies(stream: trio.SocketStream) -> list[dict]:
    """Up to the end, or to the first reply of a stream, which need not have one."""
    received = bytearray()
    try:
        async for data in stream:
            received += data
            if b'"continues":true' in data:
                break
    except trio.BrokenResourceError:
        pass
    return [json.loads(frame) for frame in received.split(b"\0")[:-1]]


def check(received: list[dict]) -> None:
    for reply in received:
        assert isinstance(reply["parameters"], dict)
        assert reply.get("error") != f"{INTERFACE}.InternalError"


async def all_at_once(path: Path, peers: list[Peer]) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(play, path, peer)
        async with await trio.open_unix_socket(str(path)) as stream:
            await send(stream, b'{"method":"org.varlink.service.GetInfo"}\0', finish=True)
            (reply,) = await replies(stream)
            assert reply["parameters"]["product"] == "cucmd"


def failed_job(client: Client) -> str:
    login = Login("administrator", PASSWORD)
    job = client.start([NODE], login=login, work=Collection(paths=("syslog/*",)))
    assert client.wait(job.job_id).status == "failed"
    return job.job_id


def unfinished(client: Client) -> int:
    return sum(len(client.list(status=status, limit=1000)) for status in ("running", "queued"))


def wait_until_all_have_ended(client: Client) -> None:
    """Waits for any number of peers; each has its own time limit."""
    while left := unfinished(client):
        wait_until(lambda left=left: unfinished(client) < left, within=PATIENCE)


def assert_no_defect(log: str) -> None:
    assert "a defect" not in log, log
    assert "Traceback" not in log, log


def test_the_daemon_answers_after_any_input(daemon: Daemon) -> None:
    written.PASSWORDS.add(PASSWORD)
    with daemon.client() as client, daemon.log.open(errors="replace") as log:
        job_id = failed_job(client)

        # Not made smaller when it fails: what one example does to the daemon, the next one meets.
        @settings(tries(200), phases=[Phase.reuse, Phase.generate])
        @given(st.lists(peers(job_id), min_size=1, max_size=5))
        def search(peers: list[Peer]) -> None:
            trio.run(all_at_once, daemon.socket, peers)
            assert_no_defect(log.read())  # what is new in it

        search()
        assert client.status(job_id).status == "failed"
        wait_until_all_have_ended(client)
        assert_no_defect(log.read())


def test_each_method_is_answered_among_the_mutated(daemon: Daemon) -> None:
    """So that the test above does not pass because nothing gets through."""
    written.PASSWORDS.add(PASSWORD)
    with daemon.client() as client:
        said = [answer(daemon.socket, call) for call in calls(failed_job(client))]
        wait_until_all_have_ended(client)
    errors = [reply.get("error", "").rpartition(".")[2] for reply in said]
    assert errors == [
        *["", "InvalidRequest", "", "", "", "", "", ""],
        *["", "ScanFailed", "InvalidRequest", "", "", ""],
    ]


def answer(path: Path, call: dict) -> dict:
    async def main() -> dict:
        with trio.fail_after(PATIENCE):
            async with await trio.open_unix_socket(str(path)) as stream:
                await send(stream, encode(call), finish=True)
                return (await replies(stream))[0]

    return trio.run(main)
