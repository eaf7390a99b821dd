"""There are as many clusters as are kept, and many who ask for them."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from cucmctl import Client
from cucmd.job.discover import Discover, Found, Member
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.store import Store, open_store
from cucmd.store.node_sql import MOST_DISCOVERIES
from rig.daemon import Daemon, running_daemon
from rig.meanwhile import another_client

NODES = 21  # of a cluster, at most
ASK = 63  # and the other client: what one user may have open
WORST = 1.5  # seconds of another client's call: see `another_client`
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.long


async def known(store: Store, number: int) -> None:
    """Stores a cluster that its first node has told of."""
    members = tuple(
        Member(f"node{n}", f"10.{number // 250}.{number % 250}.{n}", f"node{n}", "Subscriber", "cm")
        for n in range(NODES)
    )
    then = NOW + timedelta(seconds=number)
    job = Job(f"{number:012x}", then, Discover(), Timeouts(), 8, (Node(members[0].address),))
    await store.add_job(job)
    running = job.begin(then)
    at_work = Node(members[0].address, result=Found(members)).begin(then, 1)
    running = running.replace_node(0, at_work, then)
    await store.save(job, running)
    done = running.replace_node(0, running.nodes[0].succeed(then), then)
    await store.save(running, done)
    await store.close_job(done.job_id)


async def fill(path: Path) -> None:
    async with open_store(path) as store:
        for number in range(MOST_DISCOVERIES):
            await known(store, number)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "cucmd"
    (folder / "state").mkdir(parents=True)
    trio.run(fill, folder / "state" / "cucmd.db")
    return folder


def test_others_are_answered_while_many_ask_for_all_clusters(state: Path) -> None:
    found: list[int] = []

    def ask(daemon: Daemon) -> None:
        with daemon.client() as client:
            found.append(len(client.clusters()))

    def lists(client: Client) -> object:
        return client.list(limit=1)

    with running_daemon(state) as daemon, another_client(daemon, lists, WORST):
        asking = [threading.Thread(target=ask, args=(daemon,)) for _ in range(ASK)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
    assert found == [MOST_DISCOVERIES] * ASK
