"""What the hub asks of the sites, and what it refuses."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd.job.failure import Failure
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Commands, Estimate, Login
from cucmd.protocol.jobs import RetryRequest
from cucmd.protocol.requests import CancelRequest
from cucmd.varlink import Caller, VarlinkError
from cucmfleet.board import Board
from cucmfleet.hub_methods import HubMethods
from cucmfleet.messages import LARGEST, Asked, Command, NodeState, PartState

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
START = StartRequest(
    ("berlin/a", "munich/b"),
    Login(credential="lab"),
    commands=Commands(("show status",)),
    start_key="one",
)


class Hub:
    """Holds the methods of a hub with two sites, and the commands that they give."""

    def __init__(self, folder: Path) -> None:
        self.board = Board(folder)
        self.folder = folder
        self.commands: list[Command] = []
        self.methods = HubMethods(self.board, self._take)

    def _take(self, _asked: Asked, commands: Sequence[Command]) -> None:
        self.commands += commands

    async def start(self, request: StartRequest = START) -> str:
        return (await self.methods.start(CALLER, request)).job.job_id

    def refuse(self, job_id: str) -> None:
        """Lets both sites refuse what they were asked last."""
        failure = Failure("refused_at_site", "no credential", retryable=False)
        for site in ("berlin", "munich"):
            done = max(one.number for one in self.commands if one.site == site)
            self.board.take(PartState(site, job_id, done, failure=failure))


@pytest.fixture
async def hub(tmp_path: Path) -> Hub:
    hub = Hub(tmp_path / "jobs")
    hub.board.set_sites(dict.fromkeys(("berlin", "munich"), "key"))
    return hub


@pytest.mark.parametrize("second", ["same", "another"])
async def test_start_at_same_time_with_one_key(hub: Hub, second: str) -> None:
    again = START if second == "same" else replace(START, labels={"a": "b"})
    errors: list[VarlinkError] = []

    async def repeat() -> None:
        try:
            await hub.start(again)
        except VarlinkError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.start)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(repeat)
    assert [one.site for one in hub.commands] == ["berlin", "munich"]
    wrong = [getattr(error.parameters, "parameter", None) for error in errors]
    assert wrong == ([] if second == "same" else ["start_key"])


async def test_retry_can_be_repeated_after_full_disk(hub: Hub) -> None:
    job_id = await hub.start()
    hub.refuse(job_id)
    away = hub.folder.rename(hub.folder.with_name("away"))
    retry = RetryRequest(job_id, start_key="two")
    with pytest.raises(VarlinkError, match="StorageFailed"):
        await hub.methods.retry(CALLER, retry)
    away.rename(hub.folder)
    assert len(hub.commands) == 2
    await hub.methods.retry(CALLER, retry)
    assert len(hub.commands) == 4


async def test_no_retry_at_removed_site(hub: Hub) -> None:
    job_id = await hub.start()
    hub.refuse(job_id)
    hub.board.set_sites({"munich": "key"})
    with pytest.raises(VarlinkError, match="InvalidRequest"):
        await hub.methods.retry(CALLER, RetryRequest(job_id))
    await hub.methods.retry(CALLER, RetryRequest(job_id, nodes=("munich/b",)))
    assert [one.site for one in hub.commands[2:]] == ["munich"]


async def test_no_nodes_is_not_all_nodes(hub: Hub) -> None:
    job_id = await hub.start()
    with pytest.raises(VarlinkError, match="InvalidRequest"):
        await hub.methods.cancel(CALLER, CancelRequest(job_id, nodes=()))
    with pytest.raises(VarlinkError, match="InvalidRequest"):
        await hub.methods.retry(CALLER, RetryRequest(job_id, nodes=()))


async def test_what_is_too_large_for_nats_is_refused(hub: Hub) -> None:
    large = Commands(("x" * 400_000,))
    with pytest.raises(VarlinkError, match="InvalidRequest"):
        await hub.start(replace(START, commands=large))
    assert not hub.board.jobs
    await hub.start()


async def test_nodes_are_not_sent_with_what_was_asked(hub: Hub) -> None:
    job_id = await hub.start()
    before = hub.board.jobs[job_id].for_nats()
    node = hub.board.job(job_id).nodes[0]
    hub.board.take(NodeState("berlin", job_id, 0, 1, node))
    assert hub.board.jobs[job_id].for_nats() == before


async def test_large_states_do_not_hinder_a_cancel(hub: Hub) -> None:
    sites = [f"s{number}" for number in range(300)]
    hub.board.set_sites(dict.fromkeys(sites, "key"))
    job_id = await hub.start(replace(START, nodes=tuple(f"{site}/a" for site in sites)))
    job = replace(hub.board.job(job_id), nodes=(), labels={"a": "x" * 10_000})
    for site in sites:
        hub.board.take(PartState(site, job_id, 0, job, 1))
    await hub.methods.cancel(CALLER, CancelRequest(job_id))
    assert [one.site for one in hub.commands if one.cancel] == sites
    assert len(hub.board.jobs[job_id].for_nats()) <= LARGEST


@pytest.mark.parametrize("kind", ["collection", "dry_run"])
async def test_window_must_be_times(hub: Hub, kind: str) -> None:
    """No list could be shown with such a job."""
    wanted = Collection("callmanager", since="yesterday")
    work = {kind: wanted if kind == "collection" else Estimate(wanted)}
    with pytest.raises(VarlinkError) as refused:
        await hub.start(replace(START, commands=None, **work))
    assert refused.value.parameters.parameter == "collection.since"
