"""Calls that one local user makes for others: in whose name a job is, and start keys and logs."""

import logging
from collections.abc import AsyncIterator, Callable
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


async def test_a_job_says_by_whom_it_was_asked_for(tmp_path: Path) -> None:
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


async def test_what_others_do_with_it_is_logged_with_their_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as socket:
        socket.harness.behaviours["a"] = fails_with(Code.STALLED)
        peer = socket.connect()
        job_id = (await call(peer, "Start", START, ALICE))["job"]["job_id"]
        job = {"job_id": job_id}
        await socket.harness.ended(job_id)
        await socket.harness.supervisor.closed(job_id)
        caplog.clear()
        login = {"login": START["login"]}
        again = (await call(peer, "Retry", job, login, BOB))["job"]
        await call(peer, "Cancel", job, BOB)
        await socket.harness.supervisor.closed(job_id)
        await call(peer, "Label", job, {"labels": {"case": "1"}}, BOB)
        await call(peer, "Delete", job, {"files_only": True}, BOB)
        await call(peer, "Prune", {"keep": 0}, BOB)
    assert again["asked_by"] == "alice"
    said = [one.getMessage() for one in caplog.records if "uid 600" in one.getMessage()]
    assert len(said) >= 9  # each call, and but for the label, what has become of it
    assert [line for line in said if "asked by 'bob'" not in line] == []


async def test_the_start_key_of_one_is_not_that_of_another(tmp_path: Path) -> None:
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


async def test_the_limits_are_those_of_the_calling_user(tmp_path: Path) -> None:
    async with opened(tmp_path, Limits(jobs=1, queued=10, queued_per_uid=1)) as socket:
        peer = socket.connect()
        running = (await call(peer, "Start", START, ALICE))["job"]["job_id"]
        await socket.harness.running(running)
        await call(peer, "Start", START, ALICE)
        name, fields = await refusal(peer, "Start", START, BOB)
    assert (name, fields["limit"]) == ("LimitReached", "queued_per_uid")


ANYBODY = Caller(uid=2000, gid=OPERATOR, groups=frozenset(), pid=4712)
ROOT = Caller(uid=0, gid=0, groups=frozenset(), pid=4713)


@pytest.mark.parametrize("who", [ANYBODY, ROOT], ids=["operator", "root"])
async def test_whoever_is_not_listed_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, who: Caller
) -> None:
    async with opened(tmp_path) as socket:
        peer = socket.connect(who)
        name, fields = await refusal(peer, "Start", START, ALICE)
        streamed = await refusal(peer, "Watch", VIEW, more=True)
        assert (await call(peer, "List", ITSELF))["jobs"] == []
    assert name == streamed[0] == "InvalidRequest"
    assert fields["parameter"] == streamed[1]["parameter"] == "on_behalf_of"
    refused = [one for one in caplog.records if one.getMessage().startswith("refused ")]
    assert [one.levelno for one in refused] == [logging.WARNING, logging.WARNING]
    assert {one.uid for one in refused} == {who.uid}


@pytest.mark.parametrize(
    ("gid", "who", "method", "permitted"),
    [
        (OPERATOR, VIEW, "Start", False),
        (OPERATOR, ALICE, "Start", True),
        (VIEWER, ALICE, "Start", False),
        (VIEWER, ALICE, "List", True),
        (2000, ALICE, "List", False),
    ],
)
async def test_the_lower_of_both_roles_counts(
    tmp_path: Path, gid: int, who: dict, method: str, permitted: bool
) -> None:
    caller = Caller(SPEAKER.uid, gid, frozenset(), 1)
    do: Callable = call if permitted else refusal
    async with opened(tmp_path) as socket:
        said = await do(socket.connect(caller), method, START if method == "Start" else {}, who)
        jobs = await socket.harness.supervisor.newest(9)
    assert permitted or said == ("PermissionDenied", {})
    assert len(jobs) == (permitted and method == "Start")
