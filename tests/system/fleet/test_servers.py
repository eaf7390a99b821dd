"""NATS itself: a full disk, and three servers of which one is killed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cucmctl import Client
from rig.fleet import CURRENT, DEBIANS, Fleet, ended, run, running_fleet
from rig.lab import Lab, free_port
from rig.quiet import wait_until
from rig.small_disk import fill, small_disk

pytestmark = pytest.mark.exhaustive

MEMBER = """\
server_name: {name}
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{folder}/{name}", sync_interval: always }}
cluster {{ name: hub, listen: 127.0.0.1:{own}, routes: {routes} }}
include users.conf
"""


@pytest.mark.parametrize("server", [CURRENT, DEBIANS])
def test_full_disk_of_nats(tmp_path: Path, lab: Lab, server: str) -> None:
    if not Path(server).exists():
        pytest.skip("no such nats-server here")
    with (
        small_disk(tmp_path / "hub" / "nats", 128) as disk,
        running_fleet(tmp_path, lab, "berlin", server=server) as fleet,
        fleet.client() as client,
    ):
        nodes = [f"berlin/{lab.nodes[0]}"]
        jobs = [ended(client, run(client, *nodes))]
        filler = fill(disk)
        jobs += [run(client, *nodes) for _ in range(5)]
        wait_until(lambda: "no space left on device" in fleet.log("nats"))
        filler.unlink()
        # The server may have switched JetStream off; then its administrator starts it again.
        fleet.kill("nats")
        fleet.start_nats()
        assert {ended(client, job).status for job in jobs} == {"succeeded"}
        fleet.assert_same_jobs()


@pytest.fixture
def fleet(tmp_path: Path, lab: Lab) -> Iterator[Fleet]:
    """Runs three servers that all keep each message."""
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, stack, CURRENT)
        ports = {name: (free_port(), free_port()) for name in ("one", "two", "three")}
        servers = [f"nats://localhost:{port}" for port, _ in ports.values()]
        text = fleet.config.read_text().replace(f'["{fleet.url}"]', f"{servers}\nreplicas = 3")
        fleet.config.write_text(text)
        fleet.add_site("berlin")
        file = tmp_path / "berlin" / "cucmagent.toml"
        file.write_text(file.read_text().replace(f'["{servers[0]}"]', str(servers)))
        routes = [f"nats://127.0.0.1:{own}" for _, own in ports.values()]
        for name, (port, own) in ports.items():
            config = fleet.state / f"{name}.conf"
            config.write_text(
                MEMBER.format(name=name, port=port, folder=fleet.state, own=own, routes=str(routes))
            )
            fleet.start_server(name, config)
        fleet.start_hub()
        fleet.start_daemon("berlin", lab)
        fleet.start_agent("berlin")
        yield fleet


@pytest.mark.usefixtures("same_jobs")
def test_one_of_three_servers_is_killed(client: Client, fleet: Fleet, lab: Lab) -> None:
    nodes = [f"berlin/{lab.nodes[0]}"]
    jobs = [ended(client, run(client, *nodes))]
    for name in ("one", "two", "three"):
        fleet.kill(name)
        jobs += [run(client, *nodes) for _ in range(3)]
        assert {ended(client, job).status for job in jobs} == {"succeeded"}
        fleet.start_server(name, fleet.state / f"{name}.conf")
        jobs.append(run(client, *nodes))
    assert {ended(client, job).status for job in jobs} == {"succeeded"}
