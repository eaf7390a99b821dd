"""A hostile site floods NATS with what its key permits. Other sites go on."""

import subprocess
import sys

import pytest

from cucmctl import Client
from cucmd.protocol.jobs import Job
from cucmfleet.messages import states_of
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
        await client.publish(f"$KV.state_munich.job.{secrets.token_hex(6)}", b"x" * int(size))
        if number % 100 == 0:
            await client.flush(60)
    await client.flush(60)
    await client.close()
asyncio.run(flood(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("count", "size"),
    [
        # As large as a state may be. The hub must not get more at a time than NATS lets it fetch.
        (1000, 260_000),
        (300, 1_000_000),  # larger than a state may be
        (100_000, 100),
    ],
)
def test_flood_is_felt_at_its_own_site(
    client: Client, fleet: Fleet, lab: Lab, count: int, size: int
) -> None:
    hub = fleet.processes["hub"]
    memory = hub.memory()
    words = map(str, (fleet.port, fleet.seed("munich"), count, size))
    command = [sys.executable, "-c", FLOOD, *words]
    with subprocess.Popen(command, preexec_fn=die_with_parent) as flood:
        while flood.poll() is None:
            in_time(client, run(client, f"berlin/{lab.nodes[0]}"))
    assert flood.returncode == 0
    behind = run(client, f"munich/{lab.nodes[0]}")
    while client.status(behind.job_id).status in ("queued", "running"):
        in_time(client, run(client, f"berlin/{lab.nodes[0]}"))
    assert client.status(behind.job_id).status == "succeeded"
    assert hub.most_memory() - memory < 100_000_000
    used = sum(file.stat().st_blocks * 512 for file in fleet.state.glob("nats/**/*.blk"))
    assert used < 2 * states_of("munich")[1]["max_bytes"]


def in_time(client: Client, job: Job) -> None:
    """A job of another site ends as if there were no flood; without one it takes a second."""
    assert client.wait(job.job_id, timeout=15).status == "succeeded"
