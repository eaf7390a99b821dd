"""Calls that one local user makes for others: in whose name a job is, and start keys and logs."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.api.case_methods import CaseMethods
from cucmd.api.job_methods import JobMethods
from cucmd.api.jobs_interface import jobs_interface
from cucmd.config import Config, Limits
from cucmd.failure import Code
from cucmd.jobs.deletion import Deletions
from cucmd.plan.planner import Planner
from cucmd.protocol.requests import INTERFACE
from cucmd.service.access import Access
from cucmd.varlink import Caller, SocketLimits
from cucmd.varlink.connection import ServerConnection, ServerParts
from cucmd.varlink.limits import Users
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO
from rig.interface_maker import NoMethods
from rig.supervised import SupervisorHarness, fails_with, hang, supervisor_harness
from rig.varlink_peer import Peer

OPERATOR, VIEWER = 1001, 1002
SPEAKER = Caller(uid=600, gid=OPERATOR, groups=frozenset(), pid=4711)
ACCESS = Access(500, OPERATOR, VIEWER, speakers=frozenset({SPEAKER.uid}))
START = {
    "nodes": ["a"],
    "login": {"username": "administrator", "password": "secret"},
    "collection": {"paths": ["syslog"]},
}
ALICE = {"on_behalf_of": {"name": "alice", "role": "operate"}}
BOB = {"on_behalf_of": {"name": "bob", "role": "operate"}}
VIEW = {"on_behalf_of": {"name": "carol", "role": "view"}}
ITSELF = {"on_behalf_of": None}


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


class Socket:
    def __init__(self, harness: SupervisorHarness, nursery: trio.Nursery) -> None:
        supervisor, store = harness.supervisor, harness.store
        planner = Planner(Config(), {}, supervisor.directory)
        jobs = JobMethods(supervisor, harness.feed, lambda: planner)
        cases = CaseMethods(supervisor, store, Deletions(supervisor, store))
        others = NoMethods()
        interface = jobs_interface(
            jobs, cases, others, others, others, effective_caller=ACCESS.effective_caller
        )
        users = Users(SocketLimits())
        self._parts = ServerParts(MethodTable(interface, INFO), users, ACCESS.authorize)
        self._nursery = nursery
        self.harness = harness

    def connect(self, caller: Caller = SPEAKER) -> Peer:
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(ServerConnection(ours, caller, self._parts).run)
        return Peer(theirs)


@asynccontextmanager
async def opened(tmp_path: Path, limits: Limits | None = None) -> AsyncIterator[Socket]:
    async with supervisor_harness(tmp_path, limits) as harness, trio.open_nursery() as nursery:
        harness.behaviours["a"] = hang
        yield Socket(harness, nursery)
        nursery.cancel_scope.cancel()


async def call(peer: Peer, method: str, *parameters: dict, **flags: bool) -> dict:
    """Returns the parameters of the reply."""
    merged = {name: value for part in parameters for name, value in part.items()}
    reply = await peer.call(f"{INTERFACE}.{method}", merged, **flags)
    assert "error" not in reply, reply
    return reply["parameters"]


async def refusal(peer: Peer, method: str, *parameters: dict, **flags: bool) -> tuple[str, dict]:
    """Returns the error's name without that of its interface, and its fields."""
    merged = {name: value for part in parameters for name, value in part.items()}
    reply = await peer.call(f"{INTERFACE}.{method}", merged, **flags)
    return reply["error"].rpartition(".")[2], reply["parameters"]


async def test_job_has_name_in_asked_by(tmp_path: Path) -> None:
    async with opened(tmp_path) as socket:
        peer, watcher = socket.connect(), socket.connect()
        await call(watcher, "Watch", VIEW, more=True)
        job = (await call(peer, "Start", START, ALICE))["job"]
        watched = (await watcher.receive())["parameters"]["job"]
        (listed,) = (await call(peer, "List", VIEW))["jobs"]
        status = (await call(peer, "Status", {"job_id": job["job_id"]}))["job"]
        stored = await socket.harness.store.load(job["job_id"])
        own = (await call(peer, "Start", START, ITSELF))["job"]
    for told in (job, watched, listed, status):
        assert (told["asked_by"], told["owner"]) == ("alice", SPEAKER.uid)
    assert (stored.asked_by, stored.uid) == ("alice", SPEAKER.uid)
    assert (own["asked_by"], own["owner"]) == (None, SPEAKER.uid)


async def test_calls_are_logged_with_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as socket:
        socket.harness.behaviours["a"] = fails_with(Code.STALLED)
        peer = socket.connect()
        job_id = (await call(peer, "Start", START, ALICE))["job"]["job_id"]
        job = {"job_id": job_id}
        await socket.harness.ended(job_id)
        await socket.harness.supervisor.wait_closed(job_id)
        caplog.clear()
        login = {"login": START["login"]}
        again = (await call(peer, "Retry", job, login, BOB))["job"]
        await call(peer, "Cancel", job, BOB)
        await socket.harness.supervisor.wait_closed(job_id)
        await call(peer, "Label", job, {"labels": {"case": "1"}}, BOB)
        await call(peer, "Delete", job, {"files_only": True}, BOB)
        await call(peer, "Prune", {"keep": 0}, BOB)
    assert again["asked_by"] == "alice"
    said = [one.getMessage() for one in caplog.records if "uid 600" in one.getMessage()]
    assert len(said) >= 9  # each call, and but for the label, what has become of it
    assert [line for line in said if "asked by 'bob'" not in line] == []


async def test_each_name_has_own_start_keys(tmp_path: Path) -> None:
    async with opened(tmp_path) as socket:
        peer, key = socket.connect(), {"start_key": "k"}
        started = {}
        for _ in range(2):
            for who in (ALICE, BOB, ITSELF):
                job = (await call(peer, "Start", START, key, who))["job"]
                started.setdefault(str(who), set()).add(job["job_id"])
        name, fields = await refusal(peer, "Start", START, {"nodes": ["b"]}, key, ALICE)
        (alice,) = started[str(ALICE)]
    assert [len(jobs) for jobs in started.values()] == [1, 1, 1]
    assert len(set.union(*started.values())) == 3
    assert (name, fields["parameter"]) == ("InvalidRequest", "start_key")
    assert alice in fields["reason"]
