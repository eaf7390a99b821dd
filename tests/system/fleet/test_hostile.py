"""A hostile site writes what its key permits. The hub and the other sites go on."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import nats
import pytest

from cucmctl import Client
from rig.fleet import Fleet, run
from rig.lab import Lab

pytestmark = pytest.mark.exhaustive

# Subjects and headers of states, which NATS passes on as they are.
RAW = {
    "no UTF-8": (b"$KV.state_munich.job.\xff", b""),
    "vertical tab": (b"$KV.state_munich.job.a\x0bb", b""),
    "short header": (b"$KV.state_munich.job.a", b"NATS/1.0\r\n"),
    "header without UTF-8": (b"$KV.state_munich.job.b", b"NATS/1.0 \xff\r\n\r\n"),
}


@pytest.mark.parametrize("message", RAW.values(), ids=RAW)
def test_hub_goes_on_after_bad_message(
    client: Client, fleet: Fleet, lab: Lab, message: tuple[bytes, bytes]
) -> None:
    asyncio.run(write(fleet, [hpub(*message)]))
    for _ in range(2):
        assert client.wait(run(client, f"berlin/{lab.nodes[0]}").job_id, timeout=15)
    assert "the connection to NATS is broken" not in fleet.log("hub")


def test_site_cannot_fill_memory_of_nats(fleet: Fleet) -> None:
    nats = fleet.processes["nats"]
    before = nats.memory()
    with suppress(OSError):  # the server has ended the connection
        asyncio.run(write(fleet, [b"SUB a.%d %d\r\n" % (n, n) for n in range(500_000)]))
    assert nats.most_memory() - before < 100_000_000


def hpub(subject: bytes, header: bytes) -> bytes:
    """Returns a message of NATS without data."""
    return b"HPUB %s %d %d\r\n%s\r\n" % (subject, len(header), len(header), header)


async def write(fleet: Fleet, messages: Iterable[bytes]) -> None:
    """Sends messages to NATS with the key of munich."""
    seed = fleet.seed("munich")
    site = await nats.connect(fleet.url, nkeys_seed_str=seed, allow_reconnect=False)
    for message in messages:
        site._transport.write(message)
        await site._transport.drain()
    await site.flush()
    await site.close()
