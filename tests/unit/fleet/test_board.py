"""What the hub shows of a job, from what the sites have sent."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Commands, Login, Timeouts
from cucmd.protocol.jobs import Job, Node
from cucmfleet.board import Board
from cucmfleet.messages import (
    Answer,
    Asked,
    NodeState,
    PartState,
    SiteState,
    decode_state,
    state_subject,
)

NOW = datetime(2026, 12, 1, tzinfo=UTC)
REQUEST = StartRequest(("berlin/a", "munich/b"), Login(), commands=Commands(("show status",)))
ASKED = Asked("0123456789ab", NOW, REQUEST, 0, "root")
NODE = Node("a", "running", None, 1, None, None, (), NOW, None, None, None, 0, 0)
THERE = Job(
    *("local", "running", False, False, 3, "run", NOW, NOW, None, "/var/x"),
    *(Collection(), Timeouts(), 8, True, 0, ()),
)


@pytest.fixture
def board() -> Board:
    board = Board([ASKED])
    board.set_sites(["berlin", "munich"])
    return board


def heard(board: Board, *sites: str, at: float = 0) -> None:
    for site in sites:
        board.take(SiteState(site, "x", "0"), at)
    board.look_at_sites(at)


def put(board: Board, site: str, status: str, revision: int = 4) -> None:
    """Puts the state of a job with one node, which has the status of the job."""
    end = None if status in ("running", "queued") else NOW
    node = replace(NODE, status=status, completed_at=end)
    board.take(NodeState(site, ASKED.job_id, revision, 0, node), 0)
    job = replace(THERE, status=status, completed_at=end, closed=end is not None)
    board.take(PartState(site, ASKED.job_id, revision, job=job, nodes=1), 0)


def refuse(board: Board, site: str) -> None:
    answer = Answer(1, "CredentialNotFound", {"credential": "x"}, "no credential")
    board.take(PartState(site, ASKED.job_id, 0, 1, answer=answer), 0)


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
def test_status_of_two_sites(board: Board, berlin: str, munich: str, status: str) -> None:
    for site, there in (("berlin", berlin), ("munich", munich)):
        if there is not None:
            put(board, site, there)
    assert board.job(ASKED.job_id).status == status


def test_older_state_changes_nothing(board: Board) -> None:
    put(board, "berlin", "succeeded", revision=9)
    put(board, "berlin", "running", revision=8)
    assert board.job(ASKED.job_id).nodes[0].status == "succeeded"


def test_refused_start_fails_its_nodes(board: Board) -> None:
    refuse(board, "berlin")
    put(board, "munich", "succeeded")
    job = board.job(ASKED.job_id)
    assert (job.status, job.nodes[0].failure.code) == ("partial", "refused_at_site")


def test_cut_off_site_is_noted(board: Board) -> None:
    heard(board, "berlin", "munich", at=100)
    put(board, "berlin", "running")
    put(board, "munich", "succeeded")
    assert [node.notes for node in board.job(ASKED.job_id).nodes] == [(), ()]
    board.look_at_sites(131)
    notes = [node.notes for node in board.job(ASKED.job_id).nodes]
    assert notes == [("berlin: not heard since 1970-01-01 00:01:40Z",), ()]
    heard(board, "berlin", at=140)
    assert board.job(ASKED.job_id).nodes[0].notes == ()


async def test_watchers_hear_of_a_cut(board: Board) -> None:
    heard(board, "berlin", "munich")
    with board.subscribe(ASKED.job_id) as feed:
        board.look_at_sites(31)
        assert await feed.next() == ASKED.job_id


@pytest.mark.parametrize(
    "state",
    [
        PartState("munich", "other", 1, cancelled=True),
        PartState("paris", ASKED.job_id, 1, cancelled=True),
        NodeState("munich", ASKED.job_id, 1, 7, NODE),
        SiteState("paris", "x", "0"),
    ],
)
def test_states_of_nobody_change_nothing(board: Board, state: object) -> None:
    before = board.job(ASKED.job_id)
    board.take(state, 0)
    assert board.job(ASKED.job_id) == before


@pytest.mark.parametrize(
    "state",
    [
        PartState("berlin", "0123456789ab", 2, job=THERE, nodes=1),
        NodeState("berlin", "0123456789ab", 2, 0, NODE),
        SiteState("berlin", "x", "0"),
    ],
)
def test_state_counts_at_its_own_subject(state: PartState | NodeState | SiteState) -> None:
    data, subject = msgspec.json.encode(state), state_subject(state)
    assert decode_state(subject, data) == state
    assert decode_state(subject.replace("berlin", "munich"), data) is None
    assert decode_state(subject, data[:-1]) is None
