"""Whatever is killed or lost: each job that the hub has accepted runs once, and is shown.

The fixture `same_jobs` checks this after each test.
"""

import asyncio
import socket
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import nats
import pytest
import trio

from cucmctl import Client
from cucmfleet.messages import COMMANDS, JOBS, PartState, states_of
from rig.fleet import Fleet, collect, ended, run, running_fleet
from rig.jobs import in_phase, statuses, until
from rig.lab import Lab
from rig.quiet import wait_until

pytestmark = [pytest.mark.exhaustive, pytest.mark.usefixtures("same_jobs")]

STATES = tuple(states_of(site)[0] for site in ("berlin", "munich"))


def test_start_waits_for_agent(client: Client, fleet: Fleet, lab: Lab) -> None:
    fleet.kill("berlin")
    job = run(client, f"berlin/{lab.nodes[0]}")
    assert client.status(job.job_id).status == "queued"
    fleet.start_agent("berlin")
    assert ended(client, job).status == "succeeded"


def test_silent_cut_is_noticed(client: Client, fleet: Fleet, lab: Lab) -> None:
    with fleet.link("berlin") as link:
        runs = collect(client, f"berlin/{lab.nodes[2]}")
        until(client, runs.job_id, in_phase("command"))
        link.cut()
        broken = "the connection to NATS is broken"
        before = fleet.log("berlin").count(broken)
        job = run(client, f"berlin/{lab.nodes[0]}")
        with fleet.daemons["berlin"].client() as site:
            site.cancel(fleet.jobs_at("berlin", runs.job_id)[0])
        wait_until(lambda: fleet.log("berlin").count(broken) > before, 40)
        assert statuses(client.status(runs.job_id)) == ["running"]
        link.mend()
        assert ended(client, runs).status == "cancelled"
        assert ended(client, job).status == "succeeded"


def test_late_start_is_refused(client: Client, fleet: Fleet, lab: Lab) -> None:
    fleet.kill("berlin")
    limit = datetime.now(UTC) + timedelta(seconds=2)
    job = run(client, f"berlin/{lab.nodes[0]}", not_after=limit.isoformat())
    wait_until(lambda: datetime.now(UTC) > limit)
    fleet.start_agent("berlin")
    (node,) = ended(client, job).nodes
    assert node.failure.code == "too_late"


def test_cancel_overtakes_its_start(client: Client, fleet: Fleet, lab: Lab) -> None:
    fleet.kill("berlin")
    job = run(client, f"berlin/{lab.nodes[0]}")
    subject = "cmd.berlin.start"

    async def swap() -> None:
        """Puts the start behind the cancel."""
        async with fleet.as_hub() as hub:
            wanted = {"last_by_subj": subject}
            found = await hub.ask(f"STREAM.MSG.GET.{COMMANDS}", wanted)
            await hub.ask(f"STREAM.PURGE.{COMMANDS}", {"filter": subject})
            await hub.publish(subject, b64decode(found["message"]["data"]))

    wait_until(lambda: fleet.count(subject) == 1)
    client.cancel(job.job_id)
    wait_until(lambda: fleet.count("cmd.berlin.cancel") == 1)
    trio.run(swap)
    fleet.start_agent("berlin")
    wait_until(lambda: client.status(job.job_id).status == "cancelled")
    wait_until(lambda: fleet.count(subject) == 0)
    assert fleet.jobs_at("berlin", job.job_id) == []


def test_start_without_nats(client: Client, fleet: Fleet, lab: Lab) -> None:
    fleet.kill("nats")
    jobs = [run(client, f"{site}/{lab.nodes[0]}") for site in ("berlin", "munich")]
    fleet.start_nats()
    assert [ended(client, job).status for job in jobs] == ["succeeded"] * 2


def test_lost_connection_is_logged_once(fleet: Fleet) -> None:
    before = {name: fleet.log(name) for name in ("hub", "berlin")}
    fleet.kill("nats")
    with socket.create_server(("127.0.0.1", int(fleet.port))) as refuses:
        refuses.settimeout(20)
        for _ in range(12):  # hub and agents try each second
            refuses.accept()[0].close()
    for name, text in before.items():
        logged = fleet.log(name).removeprefix(text).splitlines()
        texts = [line.partition(" ")[2] for line in logged]  # without their times
        assert sorted(texts) == sorted(set(texts))
    fleet.start_nats()


def test_hub_shows_jobs_after_kill(client: Client, fleet: Fleet, lab: Lab) -> None:
    done = ended(client, run(client, f"berlin/{lab.nodes[0]}"))
    runs = collect(client, f"munich/{lab.nodes[2]}")
    until(client, runs.job_id, in_phase("command"))
    fleet.kill("hub")
    fleet.start_hub()
    wait_until(lambda: client.status(done.job_id).status == "succeeded")
    wait_until(lambda: client.status(runs.job_id).status == "running")
    client.cancel(runs.job_id)
    assert ended(client, runs).status == "cancelled"


@pytest.mark.parametrize("lost", [(COMMANDS,), STATES, (COMMANDS, *STATES, JOBS)])
def test_lost_streams_are_filled(
    client: Client, fleet: Fleet, lab: Lab, lost: tuple[str, ...]
) -> None:
    fleet.kill("berlin")
    waits = run(client, f"berlin/{lab.nodes[0]}")
    done = ended(client, run(client, f"munich/{lab.nodes[0]}"))

    async def delete() -> None:
        async with fleet.as_hub() as hub:
            for name in lost:
                await hub.ask(f"STREAM.DELETE.{name}")

    trio.run(delete)
    fleet.start_agent("berlin")
    assert ended(client, waits).status == "succeeded"
    fleet.kill("hub")  # so that it has to read all states again
    fleet.start_hub()
    for job in (waits, done):
        wait_until(lambda job=job: client.status(job.job_id).status == "succeeded", 40)


def test_lost_files_of_hub_come_back(client: Client, fleet: Fleet, lab: Lab) -> None:
    done = ended(client, run(client, f"berlin/{lab.nodes[0]}"))
    fleet.kill("hub")
    for file in (fleet.state / "jobs").iterdir():
        file.unlink()
    fleet.start_hub()
    wait_until(lambda: done.job_id in {job.job_id for job in client.list(status="succeeded")})


def test_waiting_start_holds_up_nothing(tmp_path: Path, lab: Lab) -> None:
    limits = "jobs = 1\nqueued = 0\n"
    with (
        running_fleet(tmp_path, lab, "berlin", limits=limits) as fleet,
        fleet.client() as client,
    ):
        runs = collect(client, f"berlin/{lab.nodes[2]}")
        until(client, runs.job_id, in_phase("command"))
        waits = run(client, f"berlin/{lab.nodes[0]}")
        wait_until(lambda: f"start of job {waits.job_id} waits" in fleet.log("berlin"))
        client.cancel(runs.job_id)
        assert ended(client, runs).status == "cancelled"
        assert ended(client, waits).status == "succeeded"
        fleet.assert_same_jobs()


def test_killed_agent_knows_its_jobs(client: Client, fleet: Fleet, lab: Lab) -> None:
    job = collect(client, f"berlin/{lab.nodes[2]}")
    until(client, job.job_id, in_phase("command"))
    fleet.kill("berlin")
    fleet.start_agent("berlin")
    client.cancel(job.job_id)
    assert ended(client, job).status == "cancelled"


def test_hostile_site_is_refused(client: Client, fleet: Fleet, lab: Lab) -> None:
    fleet.kill("berlin")
    fleet.kill("munich")
    job = run(client, f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[0]}")
    wait_until(lambda: fleet.count("cmd.munich.start") == 1)
    asyncio.run(attack(fleet.port, fleet.seed("munich"), job.job_id))
    assert statuses(client.status(job.job_id))[0] == "pending"
    fleet.start_agent("berlin")
    fleet.start_agent("munich")
    assert ended(client, job).status == "succeeded"


def test_hub_ignores_forged_job(client: Client, fleet: Fleet, lab: Lab) -> None:
    asyncio.run(forge_job(fleet.port, fleet.seed("munich")))
    fleet.kill("hub")
    fleet.start_hub()
    job = run(client, f"berlin/{lab.nodes[0]}")
    assert ended(client, job).status == "succeeded"


async def forge_job(port: str, seed: str) -> None:
    """Lets the server answer to the subject of a job, with the key of munich."""
    client = await nats.connect(f"nats://127.0.0.1:{port}", nkeys_seed_str=seed)
    subject, answer_to = "$JS.API.STREAM.MSG.GET.KV_state_munich", "$KV.jobs.aaaaaaaaaaaa"
    await client.publish(subject, b'{"seq": 1}', reply=answer_to)
    await client.flush()
    await client.close()


async def attack(port: str, seed: str, job_id: str) -> None:
    """Tries with the key of munich whatever a hostile site could try against berlin."""
    refused: list[str] = []
    all_refused = asyncio.Event()

    async def keep(error: Exception) -> None:
        refused.append(str(error))
        if len(refused) == len(subjects) + 5:
            all_refused.set()

    client = await nats.connect(
        f"nats://127.0.0.1:{port}",
        nkeys_seed_str=seed,
        inbox_prefix="_INBOX_munich",
        error_cb=keep,
    )
    forged = PartState("berlin", job_id, done=2**53)
    subjects = ["$KV.state_berlin.site", "cmd.berlin.start", "$KV.jobs.x", "$JS.ACK.CMD.berlin.1"]
    subjects += [f"$JS.API.{name}" for name in ("STREAM.INFO.CMD", "CONSUMER.MSG.NEXT.CMD.berlin")]
    subjects += ["$JS.API.STREAM.DELETE.CMD", "$JS.API.STREAM.MSG.GET.KV_state_berlin"]
    for subject in subjects:
        await client.publish(subject, b"{}", reply=client.new_inbox())
    await client.publish(forged.subject, msgspec.json.encode(forged))
    for subject in ("$KV.>", "cmd.>", "_INBOX_berlin.>", "_INBOX_hub.>"):
        await client.subscribe(subject)
    await asyncio.wait_for(all_refused.wait(), 30)
    # The server itself sends answers with all rights, but none of its answers is a state.
    await client.publish(f"$KV.state_munich.job.{job_id}", msgspec.json.encode(forged))
    for request in ("STREAM.MSG.GET.KV_state_munich", "DIRECT.GET.KV_state_munich"):
        wanted = f'{{"last_by_subj": "$KV.state_munich.job.{job_id}"}}'
        answer_to = f"$KV.state_berlin.job.{job_id}"
        await client.publish(f"$JS.API.{request}", wanted.encode(), reply=answer_to)
    await client.publish(f"$KV.state_munich.job.{job_id}", b"no JSON")
    await client.publish("$KV.state_munich.site", b"[" * 100_000)
    await client.flush()
    await client.close()
