"""Tests how an assistant starts jobs, waits for them, and cancels them."""

import grp
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from mcp import Client
from trio.testing import MockClock

from cucmctl import Collection, Login
from cucmmcp.tools import Tools
from cucmtrio import open_client
from rig.assistant import Assistant, Person, ask, over_stdio, refusal
from rig.credentials import named_credential
from rig.daemon import Daemon
from rig.lab import Lab
from rig.others import allow_all_to_connect, needs_root
from rig.readable_python import readable_python
from rig.scripted_daemon import Caller, reply, scripted_daemon
from system.ctl.conftest import make_job
from system.mcp.conftest import Cluster

# The SDK's client does not close a stream of httpx2 that it has not read to its end.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TRACES = {"paths": ["cm/trace/ccm/sdl"], "last": "2h"}


@pytest.mark.parametrize(
    ("kind", "arguments", "typed"),
    [
        ("dry_run", TRACES, "start --dry-run {} --path cm/trace/ccm/sdl --last 2h"),
        ("discover", {}, "discover {}"),
        ("capture", {"port": 5060, "duration": 1}, "capture {} --port 5060 --duration 1"),
    ],
)
async def test_every_kind_is_started(
    cluster: Cluster, web_assistant: Assistant, kind: str, arguments: dict[str, object], typed: str
) -> None:
    node = cluster.nodes[0]
    async with web_assistant("operate", person=(person := Person())) as client:
        started = await ask(client, "start", kind=kind, nodes=[node], **arguments)
        ended = await ask(client, "wait", job=started["job_id"])
    assert ended["status"] == "succeeded"
    assert person.asked[0].endswith(f"cucmctl {typed.format(node)}")


@pytest.fixture
def hanging(cluster: Cluster) -> str:
    """Starts a job that does not end by itself."""
    paths = Collection(paths=("cm/trace/ccm/sdl",))
    with cluster.daemon.client() as client:
        return client.collect([cluster.hanging], paths, login=Login(credential="lab")).job_id


async def test_wait_ends_without_the_job(web_assistant: Assistant, hanging: str) -> None:
    async with web_assistant("operate", person=Person()) as client:
        assert (await ask(client, "wait", job=hanging, seconds=1))["status"] == "running"
        assert "cancelled" in (await ask(client, "cancel", job=hanging))["says"][0]
        assert (await ask(client, "wait", job=hanging))["status"] == "cancelled"


async def test_other_person_cancels(web_assistant: Assistant, hanging: str) -> None:
    async with web_assistant("operate", person=Person()) as one, trio.open_nursery() as nursery:
        nursery.start_soon(ends_as, one, hanging, "cancelled", begun := trio.Event())
        await begun.wait()
        async with web_assistant("operate", person=Person()) as other:
            await ask(other, "cancel", job=hanging)


@needs_root
async def test_user_has_the_role_at_the_socket(make_daemon: Callable[..., Daemon]) -> None:
    group = next(group for group in grp.getgrall() if group.gr_gid)
    daemon = make_daemon(f'[access]\nview_group = "{group.gr_name}"\n')
    allow_all_to_connect(daemon)
    user = ["setpriv", "--reuid=61001", "--regid=61001", f"--groups={group.gr_gid}"]
    run = [*user, readable_python().program]
    async with over_stdio(daemon.socket, "--operate", person=Person(), run=run) as client:
        assert (await ask(client, "jobs"))["items"] == []
        text = await refusal(client, "start", kind="check", nodes=["192.0.2.1"])
    assert "does not permit" in text


async def ends_as(client: Client, job: str, status: str, begun: trio.Event) -> None:
    """Waits for the end of a job. `begun` is set by the first report of progress."""

    async def report(*_: object) -> None:
        begun.set()

    result = await client.call_tool("wait", {"job": job}, progress_callback=report)
    assert result.structured_content["status"] == status


async def test_wait_goes_on_over_a_restart(
    make_daemon: Callable[..., Daemon], make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    lab, link = make_lab(1, "--fault", "hang:command"), tmp_path / "sock"
    config = named_credential(tmp_path / "keys", "lab", lab.username, lab.password)
    (earlier := make_daemon(config)).link_at(link)
    with earlier.client() as client:
        paths = Collection(paths=("cm/trace/ccm/sdl",))
        job = client.collect(lab.nodes, paths, login=Login(credential="lab")).job_id
    async with over_stdio(link) as assistant, trio.open_nursery() as nursery:
        nursery.start_soon(ends_as, assistant, job, "cancelled", begun := trio.Event())
        await begun.wait()
        await trio.to_thread.run_sync(earlier.stop)
        assert "no daemon" in await refusal(assistant, "jobs")
        later = await trio.to_thread.run_sync(make_daemon, config)
        later.link_at(link)
        await ask(assistant, "jobs")
        with later.client() as client:
            await trio.to_thread.run_sync(client.cancel, job)


async def test_wait_takes_at_most_50_seconds(tmp_path: Path, autojump_clock: MockClock) -> None:
    running = make_job("running")

    async def serve(caller: Caller) -> None:
        while (call := await caller.call()) is not None:
            watches = call["method"].endswith("Watch")
            first = {"sequence": 0, "missed": 0} if watches else {}
            await caller.send(reply({**first, "job": running}, continues=watches))

    async def report_progress(*_: object) -> None:
        pass

    async with scripted_daemon(path := tmp_path / "sock", serve), open_client(path) as client:
        began = trio.current_time()
        state = await Tools(client).wait("57f3a91c04de", seconds=1000, report=report_progress)
    assert state.status == "running"
    assert 50 <= trio.current_time() - began < 55
