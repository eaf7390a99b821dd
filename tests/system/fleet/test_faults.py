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
from nats.aio.msg import Msg

from cucmctl import Client, Login
from cucmfleet.keys import hub_seed
from cucmfleet.messages import AGENT, JOBS, PartState, commands_of, states_of
from rig.fleet import LAB, Fleet, collect, ended, run, running_fleet
from rig.jobs import in_phase, statuses, until
from rig.lab import Lab
from rig.quiet import wait_until

pytestmark = [pytest.mark.exhaustive, pytest.mark.usefixtures("same_jobs")]

COMMANDS = tuple(commands_of(site)[0] for site in ("berlin", "munich"))
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
            found = await hub.ask("STREAM.MSG.GET.CMD_berlin", wanted)
            await hub.ask("STREAM.PURGE.CMD_berlin", {"filter": subject})
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


@pytest.mark.parametrize("lost", [COMMANDS, STATES, (*COMMANDS, *STATES, JOBS)])
def test_lost_streams_are_filled(
    client: Client, fleet: Fleet, lab: Lab, lost: tuple[str, ...]
) -> None:
    fleet.kill("berlin")
    waits = run(client, f"berlin/{lab.nodes[0]}")
    done = ended(client, run(client, f"munich/{lab.nodes[0]}"))
    trio.run(delete_streams, fleet, lost)
    fleet.start_agent("berlin")
    assert ended(client, waits).status == "succeeded"
    fleet.kill("hub")  # so that it has to read all states again
    fleet.start_hub()
    for job in (waits, done):
        wait_until(lambda job=job: client.status(job.job_id).status == "succeeded", 40)


def test_lost_files_of_hub_come_back(client: Client, fleet: Fleet, lab: Lab) -> None:
    done = ended(client, run(client, f"berlin/{lab.nodes[0]}"))
    fleet.kill("berlin")
    waits = run(client, f"berlin/{lab.nodes[0]}")
    wait_until(lambda: fleet.count("cmd.berlin.start") == 1)
    fleet.kill("hub")
    for file in (fleet.state / "jobs").iterdir():
        file.unlink()
    trio.run(delete_streams, fleet, COMMANDS)
    fleet.start_hub()
    fleet.start_agent("berlin")
    wait_until(lambda: done.job_id in {job.job_id for job in client.list(status="succeeded")})
    assert ended(client, waits).status == "succeeded"


def test_cancel_of_node_waits_for_its_start(tmp_path: Path, lab: Lab) -> None:
    limits = "jobs = 1\nqueued = 0\n"
    with (
        running_fleet(tmp_path, lab, "berlin", limits=limits) as fleet,
        fleet.client() as client,
    ):
        nodes = [f"berlin/{name}" for name in lab.nodes[:2]]
        refused = client.run(nodes, ["show status"], login=Login(credential="none"))
        assert ended(client, refused).status == "failed"
        runs = collect(client, f"berlin/{lab.nodes[2]}")
        until(client, runs.job_id, in_phase("command"))
        client.retry(refused.job_id, login=LAB)
        wait_until(lambda: f"start of job {refused.job_id} waits" in fleet.log("berlin"))
        client.cancel(refused.job_id, nodes[:1])
        client.cancel(runs.job_id)
        assert ended(client, refused).nodes[1].status == "succeeded"


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
    for site in ("berlin", "munich"):
        wait_until(lambda subject=f"cmd.{site}.start": fleet.count(subject) == 1)
    before = trio.run(streams_of_others, fleet)
    seeds = hub_seed(fleet.state), fleet.seed("munich")
    asyncio.run(attack(fleet.port, *seeds, job.job_id))
    assert trio.run(streams_of_others, fleet) == before
    assert statuses(client.status(job.job_id))[0] == "pending"
    fleet.start_agent("berlin")
    fleet.start_agent("munich")
    assert ended(client, job).status == "succeeded"


def test_hub_ignores_what_is_no_job(client: Client, fleet: Fleet, lab: Lab) -> None:
    async def forge() -> None:
        async with fleet.as_hub() as hub:
            await hub.publish("$KV.jobs.aaaaaaaaaaaa", b"{}")

    trio.run(forge)
    fleet.kill("hub")
    fleet.start_hub()
    job = run(client, f"berlin/{lab.nodes[0]}")
    assert ended(client, job).status == "succeeded"


async def delete_streams(fleet: Fleet, names: tuple[str, ...]) -> None:
    async with fleet.as_hub() as hub:
        for name in names:
            await hub.ask(f"STREAM.DELETE.{name}")


async def streams_of_others(fleet: Fleet) -> dict[str, tuple[str, int]]:
    """Returns when each stream was created, and how many messages were ever written there."""
    async with fleet.as_hub() as hub:
        streams = (await hub.ask("STREAM.LIST"))["streams"]
    return {
        name: (stream["created"], stream["state"]["last_seq"])
        for stream in streams
        if (name := stream["config"]["name"]) != "KV_state_munich"
    }


async def attack(port: str, hub_seed: str, seed: str, job_id: str) -> None:
    """Tries with the key of munich whatever a hostile site could try against berlin."""
    address = f"nats://127.0.0.1:{port}"
    client = await nats.connect(address, nkeys_seed_str=seed, error_cb=ignore)
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    everything = await client.subscribe(">", cb=hear)
    await client.flush()
    hub = await nats.connect(address, nkeys_seed_str=hub_seed)
    for subject in ("cmd.berlin", "ev.berlin", "$KV.x", "_INBOX.x"):
        await hub.publish(subject, b"")
    await hub.close()
    await client.flush()
    assert heard == []
    await everything.unsubscribe()

    forged = PartState("berlin", job_id, done=2**53)
    data = msgspec.json.encode(forged)
    requests = [f"CONSUMER.{what}.CMD_berlin.{AGENT}" for what in ("INFO", "MSG.NEXT", "DELETE")]
    requests += [f"STREAM.{what}.CMD_berlin" for what in ("INFO", "DELETE", "MSG.GET")]
    requests += ["STREAM.MSG.GET.KV_state_berlin", "DIRECT.GET.KV_state_berlin.>"]
    subjects = ["$KV.state_berlin.site", "cmd.berlin.start", "$KV.jobs.x"]
    subjects += [f"$JS.ACK.CMD_berlin.{AGENT}.1.{number}.1.1.0" for number in range(1, 99)]
    subjects += [f"{api}.{request}" for api in ("$JS.API", "JS.API") for request in requests]
    for subject in (*subjects, forged.subject):
        for content in (b"", b"{}", data):
            await client.publish(subject, content, reply=client.new_inbox())

    # The server sends answers with all rights to any subject of the account, also empty answers.
    state = f"$KV.state_munich.job.{job_id}"
    await client.publish(state, data)
    answers_to = [*subjects, forged.subject, "ev.berlin.ended", "$JS.API.STREAM.DELETE.EV"]
    for answer_to in answers_to:
        for api in ("JS.API", "$JS.API"):
            last = f"{api}.DIRECT.GET.KV_state_munich.{state}"
            await client.publish(last, b"", reply=answer_to)
            pull, nothing = f"{api}.CONSUMER.MSG.NEXT.CMD_munich.{AGENT}", b'{"no_wait": true}'
            await client.publish(pull, nothing, reply=answer_to)
        await client.publish(state, data, reply=answer_to)
    await client.publish(state, b"no JSON")
    await client.publish("$KV.state_munich.site", b"[" * 100_000)
    await client.flush()
    await client.close()


async def ignore(_error: Exception) -> None:
    pass
