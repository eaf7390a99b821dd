"""Tests that answers fit on a page, and say what was left out."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import trio
from trio.testing import MockClock

pytest.importorskip("mcp", reason="needs the extra mcp")

from cucmctl.mask.key import KeyFolder
from cucmctl.mask.pieces import PieceMasking
from cucmd.job.cluster import ClusterNode
from cucmd.job.discover import Member
from cucmd.job.health import GOOD, UNREAD, Finding, Health
from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Job, JobSummary, ListReply
from cucmd.protocol.knowledge import Cluster, Profile
from cucmd.protocol.requests import ListRequest
from cucmmcp.answers import MOST, Answer, fit
from cucmmcp.server import Server
from cucmmcp.tools import Tools
from unit.ctl.conftest import make_job, make_node


def tools(**methods: Callable) -> Tools:
    """Makes the tools for a client that has these methods."""
    return Tools(SimpleNamespace(**methods))


def page(answer: Answer, cursor: int = 0, hide: Callable = lambda value: value) -> dict:
    shown = fit(answer, hide, cursor, "things", "see elsewhere")
    assert len(msgspec.json.encode(shown)) <= MOST
    return shown


def summary(number: int) -> JobSummary:
    at = datetime(2026, 11, 25, tzinfo=UTC)
    return JobSummary(
        *(f"{number:012x}", "succeeded", 1, "collect", at, at, 1, 1, 1, 0, 0, "node", Collection())
    )


async def test_large_cluster_comes_in_pages() -> None:
    member = Member("n" * 90, "192.0.2.1", "n" * 90, "r" * 90, "p" * 90, "f" * 250)
    nodes = tuple(ClusterNode(f"node{number}", True, member) for number in range(300))

    async def clusters(name: str) -> tuple[Cluster, ...]:
        return (Cluster(300, 300, name, nodes=nodes),)

    answer, seen, cursor = await tools(clusters=clusters).clusters("berlin"), [], 0
    while cursor is not None:
        shown = page(answer, cursor)
        seen += [node["node"] for part in shown["items"] for node in part["nodes"]]
        cursor = shown.get("next")
    assert seen == [node.node for node in nodes]


async def test_each_page_of_jobs_has_its_range() -> None:
    every = [summary(number) for number in range(250)]

    async def list_page(request: ListRequest) -> ListReply:
        begin = 1 + int(request.before, 16) if request.before else 0
        end = begin + request.limit
        return ListReply(tuple(every[begin:end]), max(len(every) - end, 0))

    jobs = tools(list_page=list_page).jobs
    first = page(await jobs())
    second = page(await jobs(cursor=first["next"]), first["next"])
    last = page(await jobs(cursor=249), 249)
    begin, end = first["next"] + 1, second["next"]
    assert second["left_out"].startswith(f"things {begin} to {end} of 250; ")
    assert second["items"][0]["job_id"] == every[first["next"]].job_id
    assert last["left_out"] == "things 250 to 250 of 250"


async def test_long_calls_report_progress(autojump_clock: MockClock) -> None:
    async def profiles(name: str | None) -> tuple[Profile, ...]:
        await trio.sleep(35)
        return ()

    async def report(progress: float, *, message: str) -> None:
        reports.append(progress)

    reports: list[float] = []
    context = SimpleNamespace(report_progress=report)
    answer = await Server(tools(profiles=profiles)).call_tool("profiles", {}, context)
    assert not answer.is_error
    assert reports[:3] == [10, 20, 30]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(items=["x" * 100_000]),
        Answer(items=["\0" * 3000] * 20),
        Answer(items=[["x" * 1000] * 1000]),
        Answer(items=["x"] * 10_000),
        Answer(items=[], says=["x" * 3000] * 100, missing=["x"] * 10_000),
    ],
    ids=["text", "controls", "list", "items", "head"],
)
def test_nothing_is_too_long(answer: Answer) -> None:
    assert len(page(answer)["items"]) >= min(len(answer.items), 1)
    assert len(page(answer, hide=longer)["items"]) >= min(len(answer.items), 1)


def longer(value: object) -> object:
    """Replaces texts by masks that are longer."""
    return json.loads(json.dumps(value).replace("x", "yy"))


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"coverage": "covers 13:00 to 15:00"}, 0),
        ({"health": None}, 1),
        ({"status": "failed", "error": "cannot connect"}, 1),
        ({"health": Health((Finding("ntp", UNREAD, "is not said"),))}, 1),
    ],
    ids=["all", "no result", "failed", "not read"],
)
async def test_health_says_what_is_missing(fields: dict[str, object], missing: int) -> None:
    well = {"status": "succeeded", "health": Health((Finding("ntp", GOOD, "in time"),))}

    async def status(job: str) -> Job:
        return make_job(make_node(**well | fields), kind="health")

    answer = await tools(status=status).health("57f3a91c04de")
    assert len(page(answer)["missing"]) == missing


def test_mask_of_another_process_stays(tmp_path: Path) -> None:
    earlier = PieceMasking(KeyFolder(tmp_path))
    mask = earlier.hide("cn=7021004").removeprefix("cn=")
    later = PieceMasking(KeyFolder(tmp_path))
    assert later.hide("7021004 is busy") == "7021004 is busy"
    assert later.reveal([mask]) == ["7021004"]
    assert later.hide("7021004 is busy") == f"{mask} is busy"


def test_control_characters_hide_no_number(tmp_path: Path) -> None:
    lines = ["cn=7021004", "\x1b7021004", "busy\n7021004", "7021004\0"]
    shown = page(Answer(items=lines), hide=PieceMasking(KeyFolder(tmp_path)).hide)
    assert len(shown["items"]) == 4
    assert "7021004" not in str(shown)


def test_members_that_say_which_job_have_no_masks(tmp_path: Path) -> None:
    masking = PieceMasking(KeyFolder(tmp_path))
    value = {"job_id": "0a1b2c3d4e5f", "nodes": [{"node": "berlin-pub"}], "line": "0a1b2c3d4e5f"}
    hidden = masking.hide(value)
    assert hidden["job_id"] == value["job_id"]
    assert hidden["nodes"] != value["nodes"]
    assert masking.reveal(hidden) == value
