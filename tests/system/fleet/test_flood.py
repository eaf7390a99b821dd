"""A hostile site floods NATS with states, as its key permits. Other sites are only delayed."""

import subprocess
import sys
import time

import pytest

from cucmctl import Client
from rig.fleet import Fleet, run
from rig.lab import Lab
from rig.process import die_with_parent

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.usefixtures("same_jobs"),
    pytest.mark.timeout(900),
]

FLOOD = """
import asyncio, nats, secrets, sys
async def flood(port, seed, count, size):
    client = await nats.connect(f"nats://127.0.0.1:{port}", nkeys_seed_str=seed)
    for number in range(int(count)):
        await client.publish(f"$KV.state.munich.job.{secrets.token_hex(6)}", b"x" * int(size))
        if number % 100 == 0:
            await client.flush(60)
    await client.flush(60)
    await client.close()
asyncio.run(flood(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("count", "size", "longest"),
    [
        # As large as a state may be. The hub must not get more at a time than NATS lets it fetch.
        (1000, 260_000, 60),
        (300, 1_000_000, 60),
        # NATS puts all of them on the disk before the next state of another site.
        (100_000, 100, 240),
    ],
)
def test_flood_delays_other_sites(
    client: Client, fleet: Fleet, lab: Lab, count: int, size: int, longest: float
) -> None:
    hub = fleet.processes["hub"]
    memory = hub.memory()
    words = map(str, (fleet.port, fleet.seed("munich"), count, size))
    command = [sys.executable, "-c", FLOOD, *words]
    with subprocess.Popen(command, preexec_fn=die_with_parent) as flood:
        while flood.poll() is None:
            began = time.monotonic()
            job = run(client, f"berlin/{lab.nodes[0]}")
            assert client.wait(job.job_id, timeout=longest).status == "succeeded"
            print("a job took", time.monotonic() - began)
    assert flood.returncode == 0
    assert client.wait(run(client, f"munich/{lab.nodes[0]}").job_id, timeout=longest)
    assert hub.most_memory() - memory < 100_000_000
