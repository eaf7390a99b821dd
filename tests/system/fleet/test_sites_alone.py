"""What happens at one site, and touches neither its jobs nor other sites."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmctl import Client
from rig.fleet import Fleet, Link, collect, ended, run, running_fleet
from rig.jobs import in_phase, statuses, until
from rig.lab import Lab
from rig.odd_clock import off_by
from rig.quiet import wait_until

pytestmark = [pytest.mark.exhaustive, pytest.mark.usefixtures("same_jobs")]


def test_killed_daemon_goes_on_with_job(client: Client, fleet: Fleet, lab: Lab) -> None:
    job = collect(client, f"berlin/{lab.nodes[2]}")
    until(client, job.job_id, in_phase("command"))
    fleet.kill("berlin.cucmd")
    waits = run(client, f"berlin/{lab.nodes[0]}")
    fleet.start_again("berlin.cucmd")
    assert ended(client, waits).status == "succeeded"
    client.cancel(job.job_id)
    assert ended(client, job).status == "cancelled"


def test_agent_killed_before_it_knows_its_job(client: Client, fleet: Fleet, lab: Lab) -> None:
    """The daemon has started the job, and its answer does not reach the agent."""
    fleet.kill("berlin")
    with closing(Link(fleet.daemons["berlin"].socket, b".Start")) as link:
        fleet.socket_at("berlin").unlink()
        fleet.socket_at("berlin").symlink_to(link.path)
        fleet.start_agent("berlin")
        job = run(client, f"berlin/{lab.nodes[0]}")
        wait_until(lambda: len(fleet.jobs_at("berlin", job.job_id)) == 1)
        assert statuses(client.status(job.job_id)) == ["pending"]
        fleet.kill("berlin")
    link.path.unlink()
    fleet.daemons["berlin"].link_at(fleet.socket_at("berlin"))
    fleet.start_agent("berlin")
    assert ended(client, job).status == "succeeded"


def test_two_agents_with_one_name(client: Client, fleet: Fleet, lab: Lab) -> None:
    twin = fleet.start_agent("berlin", "twin")
    wait_until(lambda: "connected to NATS" in fleet.log("twin"))
    nodes = [f"{site}/{lab.nodes[0]}" for site in ("berlin", "munich")]
    jobs = [run(client, *nodes) for _ in range(10)]
    hangs = collect(client, f"berlin/{lab.nodes[2]}")
    until(client, hangs.job_id, in_phase("command"))
    client.cancel(hangs.job_id)
    assert ended(client, hangs).status == "cancelled"
    assert {ended(client, job).status for job in jobs} == {"succeeded"}
    assert twin.stop() == 0


def test_lost_database_of_daemon(tmp_path: Path, lab: Lab) -> None:
    with running_fleet(tmp_path, lab, "berlin") as fleet, fleet.client() as client:
        job = collect(client, f"berlin/{lab.nodes[2]}")
        until(client, job.job_id, in_phase("command"))
        fleet.kill("berlin.cucmd")
        for file in fleet.daemons["berlin"].state.glob("cucmd.db*"):
            file.unlink()
        fleet.start_again("berlin.cucmd")
        client.cancel(job.job_id)
        (node,) = ended(client, job).nodes
        assert (node.status, node.failure.code) == ("failed", "refused_at_site")
        client.retry(job.job_id)  # starts the job again
        until(client, job.job_id, in_phase("command"))
        client.cancel(job.job_id)
        assert ended(client, job).status == "cancelled"
        fleet.assert_same_jobs()


@pytest.mark.parametrize("hours", [-5, 5])
def test_clock_of_site_is_off(tmp_path: Path, lab: Lab, hours: int) -> None:
    environ = off_by(tmp_path, timedelta(hours=hours))
    with running_fleet(tmp_path, lab, "berlin") as fleet, fleet.client() as client:
        fleet.kill("berlin")
        fleet.daemons["berlin"].stop()
        daemon = fleet.start_daemon("berlin", lab, environ=environ)
        late = datetime.now(UTC) + timedelta(seconds=1)
        refused = run(client, f"berlin/{lab.nodes[0]}", not_after=late.isoformat())
        wait_until(lambda: datetime.now(UTC) > late)
        fleet.start_agent("berlin", environ=environ)
        limit = datetime.now(UTC) + timedelta(minutes=2)
        job = ended(client, run(client, f"berlin/{lab.nodes[0]}", not_after=limit.isoformat()))
        assert job.status == "succeeded"
        off = job.nodes[0].completed_at - datetime.now(UTC)
        assert abs(off - timedelta(hours=hours)) < timedelta(minutes=2)  # as the site says it
        assert ended(client, refused).nodes[0].failure.code == "too_late"
        fleet.assert_same_jobs()
        assert daemon.in_service
