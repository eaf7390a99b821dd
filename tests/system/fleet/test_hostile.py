"""A hostile site writes what its key permits. The hub and the other sites go on."""

import asyncio

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
    subject, header = message
    size = len(header)
    asyncio.run(write(fleet, b"HPUB %s %d %d\r\n%s\r\n" % (subject, size, size, header)))
    for _ in range(2):
        assert client.wait(run(client, f"berlin/{lab.nodes[0]}").job_id, timeout=15)
    assert "the connection to NATS is broken" not in fleet.log("hub")


async def write(fleet: Fleet, message: bytes) -> None:
    """Sends bytes to NATS with the key of munich."""
    site = await nats.connect(fleet.url, nkeys_seed_str=fleet.seed("munich"))
    site._transport.write(message)
    await site.flush()
    await site.close()
