"""What the hub shows of a job, from what the sites have sent, and what it keeps."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from cucmd.job.attempt import PhaseBegun
from cucmd.job.failure import Failure
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Commands, Login, Timeouts
from cucmd.jobs.job_feed import CAPACITY
from cucmd.protocol.jobs import Job, Node, RetryRequest
from cucmd.protocol.knowledge import Cluster
from cucmd.protocol.requests import ListRequest, WatchRequest
from cucmd.store import StartKey
from cucmd.varlink import Caller
from cucmfleet.board import Board
from cucmfleet.hub_methods import HubMethods
from cucmfleet.messages import (
    KEEP,
    Asked,
    Command,
    NodeState,
    Part,
    PartState,
    SiteState,
    decode_state,
)

NOW = datetime.now(UTC)
CALLER = Caller(uid=0, gid=0, groups=frozenset(), pid=1)
REQUEST = StartRequest(("berlin/a", "munich/b"), Login(), commands=Commands(("show status",)))
JOB = "0123456789ab"
NODE = Node("a", "running", None, 1, None, None, (), NOW, None, None, None, 0, 0)
THERE = Job(
    *("local", "running", False, False, 3, "run", NOW, NOW, None, "/var/x"),
    *(Collection(), Timeouts(), 8, True, 0, ()),
)
SITES = ("berlin", "munich")


def asked(job_id: str = JOB, at: datetime = NOW) -> Asked:
    parts = {site: Part([Command(1, site, job_id, "root", start=REQUEST)]) for site in SITES}
    return Asked(job_id, at, REQUEST, 0, None, parts, (StartKey(0, "k", "digest"),))


@pytest.fixture
async def board(tmp_path: Path) -> Board:
    board = Board(tmp_path / "jobs")
    await board.keep(asked())
    board.set_sites(dict.fromkeys(SITES, "key"))
    return board


def heard(board: Board, *sites: str, at: datetime) -> None:
    for site in sites:
        board.take_site(SiteState(site), at)
    board.look_at_sites(at)


def take(board: Board, *states: PartState | NodeState) -> None:
    for state in states:
        board.take(state)


def put(board: Board, site: str, status: str, revision: int = 3, done: int = 1) -> None:
    """Puts the state of a job with one node, which has the status of the job."""
    end = None if status in ("running", "queued") else NOW
    node = replace(NODE, status=status, completed_at=end)
    job = replace(THERE, status=status, revision=revision, completed_at=end, closed=end is not None)
    job = replace(job, cancelled=status == "cancelled")
    take(
        board,
        NodeState(site, JOB, 0, revision, node),
        PartState(site, JOB, done, job, 1),
    )


async def end_removed(board: Board, *left: str) -> None:
    for state in board.set_sites(dict.fromkeys(left, "key")):
        await board.keep(board.take(state))


def watch(board: Board, job_id: str | None) -> aclosing:
    """Returns the stream of a watcher of changes."""
    methods = HubMethods(board, lambda *_: None)
    return aclosing(methods.watch(CALLER, WatchRequest(job_id, changes=True)))


def refuse(board: Board, site: str) -> None:
    failure = Failure("refused_at_site", "no credential", retryable=False)
    take(board, PartState(site, JOB, 1, failure=failure))


@pytest.mark.parametrize(
    ("berlin", "munich", "status"),
    [
        (None, None, "queued"),
        ("queued", None, "queued"),
        ("running", None, "running"),
        ("succeeded", None, "running"),
        ("succeeded", "running", "running"),
        ("succeeded", "succeeded", "succeeded"),
        ("succeeded", "failed", "partial"),
        ("cancelled", "failed", "failed"),
        ("cancelled", "cancelled", "cancelled"),
    ],
)
async def test_status_of_two_sites(
    board: Board, berlin: str | None, munich: str | None, status: str
) -> None:
    for site, there in (("berlin", berlin), ("munich", munich)):
        if there is not None:
            put(board, site, there)
    assert board.job(JOB).status == status


async def test_unchanged_job_is_made_once(board: Board) -> None:
    """A list of all jobs would take seconds otherwise."""
    put(board, "berlin", "running")
    shown = board.job(JOB)
    assert board.job(JOB) is shown
    put(board, "berlin", "succeeded", revision=4)
    assert board.job(JOB).nodes[0].status == "succeeded"


async def test_refused_start_fails_its_nodes(board: Board) -> None:
    refuse(board, "berlin")
    put(board, "munich", "succeeded")
    job = board.job(JOB)
    assert (job.status, job.nodes[0].failure.code) == ("partial", "refused_at_site")


async def test_retry_on_its_way_goes_on(board: Board) -> None:
    for site in SITES:
        put(board, site, "failed")
    command = Command(2, "berlin", JOB, "root", retry=RetryRequest(JOB))
    board.jobs[JOB].parts["berlin"].commands.append(command)
    put(board, "berlin", "failed", done=1)  # such as a label that has changed
    assert board.job(JOB).status == "running"
    put(board, "berlin", "succeeded", revision=8, done=2)
    assert board.job(JOB).status == "partial"


async def test_cut_off_site_is_noted(board: Board) -> None:
    heard(board, "berlin", "munich", at=NOW)
    put(board, "berlin", "running")
    put(board, "munich", "succeeded")
    assert [node.notes for node in board.job(JOB).nodes] == [(), ()]
    board.look_at_sites(NOW + timedelta(seconds=31))
    notes = [node.notes for node in board.job(JOB).nodes]
    assert notes == [(f"berlin: not heard since {NOW:%Y-%m-%d %H:%M:%SZ}",), ()]
    heard(board, "berlin", at=NOW + timedelta(seconds=32))
    assert board.job(JOB).nodes[0].notes == ()


async def test_revision_grows_although_daemon_lost_job(board: Board) -> None:
    """A client would drop later changes as older ones."""
    put(board, "berlin", "running", revision=10)
    before = board.job(JOB).revision
    take(board, PartState("berlin", JOB, 2, failure=Failure("refused_at_site", "", False)))
    lost = board.job(JOB).revision
    put(board, "berlin", "running", revision=1, done=3)
    assert before < lost < board.job(JOB).revision


async def test_refused_start_is_a_new_revision(board: Board) -> None:
    before = board.job(JOB).revision
    refuse(board, "berlin")
    assert board.job(JOB).revision > before


async def test_watcher_gets_nodes_that_differ(board: Board) -> None:
    put(board, "berlin", "running")
    put(board, "munich", "running")
    async with watch(board, JOB) as replies:
        assert len((await anext(replies)).parameters.job.nodes) == 2
        put(board, "munich", "succeeded", revision=4)
        changes = [(await anext(replies)).parameters.change for _ in range(2)]
    assert [[node.node for node in change.nodes] for change in changes] == [["munich/a"], []]


async def test_slow_watcher_is_told_what_it_missed(board: Board) -> None:
    async with watch(board, None) as replies:
        await anext(replies)
        for _ in range(CAPACITY + 1):
            board.changed(JOB)
        reply = (await anext(replies)).parameters
    assert (reply.missed, [job.job_id for job in reply.jobs]) == (CAPACITY + 1, [JOB])


async def test_start_that_fails_is_not_watched(board: Board) -> None:
    async with watch(board, None) as replies:
        await anext(replies)
        board.changed("1" * 12)
        board.changed(JOB)
        assert (await anext(replies)).parameters.change.job_id == JOB


async def test_watch_ends_with_removed_site(board: Board, tmp_path: Path) -> None:
    old = asked("1" * 12, NOW - KEEP - timedelta(days=1))
    await board.keep(old)
    board = Board(tmp_path / "jobs")
    async with watch(board, old.job_id) as one, watch(board, None) as every:
        assert (await anext(one)).parameters.job.status == "queued"
        await anext(every)
        await end_removed(board)
        board.forget_old()
        assert old.job_id not in board.jobs
        assert [reply.parameters.change.status async for reply in one][-1] == "failed"
        assert (await anext(every)).parameters.change.job_id == old.job_id


async def test_watchers_hear_of_a_cut(board: Board) -> None:
    heard(board, "berlin", "munich", at=NOW)
    with board.feed.subscribe() as changes:
        board.look_at_sites(NOW + timedelta(seconds=31))
        assert (await changes.next()).job == board.job(JOB)


async def test_removed_site_ends_its_part(board: Board, tmp_path: Path) -> None:
    put(board, "munich", "succeeded")
    await end_removed(board, "munich")
    assert board.job(JOB).status == "partial"
    assert Board(tmp_path / "jobs").jobs[JOB].parts["berlin"].commands == []


async def test_replaced_key_ends_its_part(board: Board) -> None:
    heard(board, *SITES, at=NOW)
    board.look_at_sites(NOW)
    (state,) = board.set_sites({"berlin": "new", "munich": "key"})
    assert (state.site, state.failure.code) == ("berlin", "refused_at_site")
    board.look_at_sites(NOW)
    assert {name: site.is_heard for name, site in board.sites.items()} == {
        "berlin": False,
        "munich": True,
    }


@pytest.mark.parametrize("status", ["queued", "running", "failed"])
async def test_list_of_a_status(board: Board, status: str) -> None:
    methods = HubMethods(board, lambda *_: None)
    if status == "running":
        put(board, "berlin", "running")
    if status == "failed":
        await end_removed(board)
    for each in ("queued", "running", "failed"):
        reply = await methods.list(CALLER, ListRequest(status=each))
        assert len(reply.jobs) == (each == status)


async def test_board_reads_its_jobs_again(board: Board, tmp_path: Path) -> None:
    put(board, "berlin", "succeeded")
    await board.keep(board.jobs[JOB])
    again = Board(tmp_path / "jobs")
    assert again.jobs == board.jobs
    assert [bool(part.commands) for part in again.jobs[JOB].parts.values()] == [False, True]


async def test_only_old_ended_jobs_are_forgotten(board: Board, tmp_path: Path) -> None:
    old = NOW - KEEP - timedelta(days=1)
    ended, waits = asked("0" * 12, old), asked("1" * 12, old)
    ended.parts = {site: Part(state=PartState(site, ended.job_id)) for site in SITES}
    await board.keep(ended)
    await board.keep(waits)
    board = Board(tmp_path / "jobs")
    board.forget_old()
    assert board.jobs.keys() == {JOB, waits.job_id}
    assert Board(tmp_path / "jobs").jobs.keys() == {JOB, waits.job_id}


async def test_node_of_no_job_changes_nothing(board: Board) -> None:
    before = board.job(JOB)
    take(board, NodeState("munich", JOB, 7, 1, NODE))
    assert board.job(JOB) == before


@pytest.mark.parametrize("days", [0, 2])
def test_site_cannot_use_up_numbers(days: int) -> None:
    done = NOW + timedelta(days=days)
    state = PartState("berlin", JOB, int(done.timestamp() * 1e6))
    taken = decode_state(state.subject, msgspec.json.encode(state))
    assert taken == (None if days else state)


async def test_site_cannot_fill_memory(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cucmfleet.board.MOST_BYTES", 10_000)
    large = replace(NODE, notes=("x" * 1000,))
    for position in range(20):
        take(board, *(NodeState("berlin", JOB, position, 1, large) for _ in range(100)))
    assert 5 < len(board.jobs[JOB].parts["berlin"].nodes) < 10
    await board.forget_nodes("berlin")
    take(board, *(NodeState("berlin", JOB, position, 1, large) for position in range(5)))
    assert len(board.jobs[JOB].parts["berlin"].nodes) == 5
    put(board, "munich", "succeeded")
    await end_removed(board, "munich")
    assert board.job(JOB).status == "partial"


def test_site_cannot_send_nodes_without_end() -> None:
    state = NodeState("munich", JOB, 1000, 1, NODE)
    assert decode_state(state.subject, msgspec.json.encode(state)) is None


ODD_TIMES = [
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime(2026, 1, 1),
]


@pytest.mark.parametrize(
    "state",
    [
        *(PartState("munich", JOB, 1, replace(THERE, started_at=at)) for at in ODD_TIMES),
        *(
            PartState("munich", JOB, 1, replace(THERE, collection=Collection(since=text)))
            for text in ("", "yesterday", "2026-01-01", "0001-01-01T00:00:00Z")
        ),
        *(
            NodeState("munich", JOB, 0, 1, replace(NODE, phases=(PhaseBegun("login", at),)))
            for at in ODD_TIMES
        ),
        *(SiteState("munich", (Cluster(1, 1, discovered_at=at),)) for at in ODD_TIMES),
        # A thousand of these do not fit into a reply.
        PartState("munich", JOB, 1, replace(THERE, commands=("x" * 65_000,))),
        NodeState("munich", JOB, 0, 1, replace(NODE, error="x" * 65_000)),
    ],
)
def test_state_that_breaks_clients_is_refused(state: PartState | NodeState | SiteState) -> None:
    assert decode_state(state.subject, msgspec.json.encode(state)) is None


async def test_site_cannot_change_what_was_asked(board: Board) -> None:
    asked = Collection("callmanager", last="2h")
    board.jobs[JOB].request = replace(REQUEST, commands=None, collection=asked)
    since = "2026-12-02T10:00:00Z"
    there = Collection("sdl", last="9w", since=since)
    job = replace(THERE, kind="check", collection=there)
    take(board, PartState("berlin", JOB, 1, job))
    shown = board.job(JOB)
    # The site has calculated when the two hours begin.
    assert (shown.kind, shown.collection) == ("collect", replace(asked, since=since))


@pytest.mark.parametrize(
    "state",
    [
        PartState("berlin", JOB, 2, THERE, 1),
        NodeState("berlin", JOB, 0, 2, NODE),
        SiteState("berlin"),
    ],
)
def test_state_counts_at_its_own_subject(state: PartState | NodeState | SiteState) -> None:
    data = msgspec.json.encode(state)
    assert decode_state(state.subject, data) == state
    assert decode_state(state.subject.replace("berlin", "munich"), data) is None
    assert decode_state(state.subject, data[:-1]) is None


@pytest.mark.parametrize("number", [10**30, 10**4299])
@pytest.mark.parametrize("field", ["revision", "retries", "concurrency"])
def test_numbers_that_break_clients_are_refused(field: str, number: int) -> None:
    state = PartState("berlin", JOB, 1, THERE)
    data = msgspec.json.decode(msgspec.json.encode(state))
    data["job"][field] = 7
    assert decode_state(state.subject, msgspec.json.encode(data)) is not None
    honest = f'"{field}":7'.encode()
    forged = msgspec.json.encode(data).replace(honest, honest[:-1] + str(number).encode())
    assert decode_state(state.subject, forged) is None
