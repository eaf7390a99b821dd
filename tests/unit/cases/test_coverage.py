"""When the files of a job are looked at, which of them, and what is kept of it."""

import gzip
import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from cucmd.cases.coverage import add_coverage, can_be, has_coverage
from cucmd.failure import Code, failure
from cucmd.job.coverage import MOST_GAPS, Covered, Extent, Gap
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.reading.covered import MOST_NAMED
from cucmd.store import StoreFailed
from unit.cases.coverages import NOW, SINCE, UNTIL, WHOLE, ForEver, begun, log4j, opened, succeeded


async def test_a_closed_job_is_looked_at(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), succeeded("sub1"), begun("sub2").cancel(NOW))
        await cases.file("pub/a1.log", gzip.compress(log4j("12:00", "14:00")))
        await cases.file("pub/a2.log", gzip.compress(log4j("14:00", "15:10")))
        await cases.file("sub1/a1.log", log4j("14:07", "15:10"))
        await cases.file("sub1/core", b"\0\1")
        cases.coverage.want("0a1b2c3d4e5f")
        nodes = await cases.looked_at()
        assert {name: node.coverage for name, node in nodes.items()} == {
            "pub": "covers 13:00 to 15:00 (Europe/Berlin)",
            "sub1": "begins 14:07, 1 h 07 min missing (Europe/Berlin); 1 file has "
            "no time stamps that are known",
            "sub2": "",
        }


SDL, MESSAGES, AUDIT = "cm/trace/ccm/sdl", "syslog/messages*", "audit/vos"


async def test_each_path_is_judged(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        later = NOW + timedelta(days=1)  # the node was asked for what had changed an hour later
        node = msgspec.structs.replace(Node("pub").begin(later, 1), zone="Europe/Berlin")
        times = ("1h", "6h", "always")
        await cases.job(node.succeed(later), paths=(SDL, MESSAGES, AUDIT), written_for=times)
        await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "14:51"))
        await cases.file("pub/syslog/messages.1", log4j("12:00", "15:10"))
        await cases.file("pub/syslog/messages", log4j("15:10", "15:50"))
        pub = (await cases.looked_at())["pub"]
        ended = datetime(2026, 11, 25, 13, 51, tzinfo=UTC)
        assert pub.gaps == (Gap(SDL, "end", "6h", 9 * 60, ended), Gap(AUDIT, "all"))
        assert pub.extent == Extent(besides=("newer files came too",))


async def test_that_nothing_came_of_an_unverified_path_is_not_missed(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), paths=(SDL, AUDIT), unverified=(AUDIT,))
        await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "15:10"))
        pub = (await cases.looked_at())["pub"]
        assert (pub.extent, pub.gaps) == (WHOLE, ())


async def test_of_a_node_that_was_asked_up_to_the_present_no_longer_time_is_said(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), paths=(SDL, MESSAGES))
        await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "14:51"))
        await cases.looked_at()
        gaps = (await cases.load()).nodes[0].gaps
        assert [(gap.path, gap.written_for) for gap in gaps] == [(SDL, None), (MESSAGES, None)]


async def test_gaps_are_of_limited_number(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        paths = tuple(f"path{number}" for number in range(MOST_GAPS + 5))
        await cases.job(succeeded("pub"), paths=paths)
        pub = (await cases.looked_at())["pub"]
        assert len(pub.gaps) == MOST_GAPS
        more = len(paths) - MOST_NAMED
        assert f" {more} more" in (pub.coverage or ""), "all of them are counted"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("active_1.tgz", b"no archive"),  # of no known path, so it may be of any
        ("syslog/messages", b""),
    ],
)
async def test_what_came_is_not_missed(tmp_path: Path, path: str, content: bytes) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), paths=(SDL, MESSAGES))
        await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "15:51"))
        await cases.file(f"pub/{path}", content)
        await cases.looked_at()
        assert (await cases.load()).nodes[0].gaps == ()


@pytest.mark.parametrize(
    ("code", "gaps"), [(Code.NO_FILES_MATCHED, (Gap("x", "all"),)), (Code.AUTH_FAILED, ())]
)
async def test_of_a_node_without_files_its_failure_says_why(
    tmp_path: Path, code: Code, gaps: tuple[Gap, ...]
) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(begun("pub").fail(NOW, failure(code, "it did not work")))
        await cases.looked_at()
        assert (await cases.load()).nodes[0].gaps == gaps


async def test_what_a_job_covers_is_a_change_of_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"))
        await cases.file("pub/a.log", log4j("13:00:00", "15:00:00"))
        before = await cases.load()
        await cases.looked_at()
        after = await cases.load()
        assert after.revision == before.revision + 1
        assert cases.told == [before, after]
        cases.coverage.want(before.job_id)
        await cases.looked_at()
        assert await cases.load() == after, "nothing has changed"
        assert cases.told == [before, after]


async def test_files_of_the_attempt_that_succeeded_count(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(
            succeeded("pub", 2), begun("sub", 2).fail(NOW, failure(Code.STALLED, "it stalled"))
        )
        for node in ("pub", "sub"):
            await cases.file(f"{node}/a1.log", log4j("12:00", "15:10"), attempt=1)
            await cases.file(f"{node}/a2.log", log4j("14:07", "15:10"), attempt=2)
            await cases.file(f"{node}/a3.log", log4j("11:00"), attempt=2, complete=False)
        nodes = await cases.looked_at()
        begins = SINCE + timedelta(minutes=67)
        assert nodes["pub"].gaps == (Gap("x", "begin", seconds=67 * 60, at=begins),)
        assert nodes["sub"].extent == WHOLE


async def test_more_files_than_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cucmd.cases.files.PAGE", 3)
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), succeeded("sub"))
        for node in ("pub", "sub"):
            for minute in range(10, 20):
                await cases.file(f"{node}/a{minute}.log", log4j(f"13:{minute}", f"14:{minute}"))
        lacks = [("begin", 10 * 60), ("end", 41 * 60)]
        for node in (await cases.looked_at()).values():
            assert [(gap.missing, gap.seconds) for gap in node.gaps] == lacks


async def test_files_that_are_gone_are_not_taken_for_files_without_time_stamps(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), succeeded("sub"))
        for node in ("pub", "sub"):
            for name in ("a1.log", "a2.log"):
                await cases.file(f"{node}/{name}", log4j("12:00", "15:10"))
        await cases.file("sub/core", b"\0\1")
        await cases.file("sub/a3.log", log4j("14:10"))
        pushed = "files/192.0.2.9/stamp"
        for gone in (f"pub/{pushed}/a1.log", f"pub/{pushed}/a2.log", f"sub/{pushed}/a3.log"):
            (tmp_path / "0a1b2c3d4e5f" / gone).unlink()
        nodes = await cases.looked_at()
        assert (nodes["pub"].extent, nodes["pub"].gaps) == (None, ())
        assert "2 files could not be read" in (nodes["pub"].coverage or "")
        sub = nodes["sub"].extent
        assert sub is not None
        assert (sub.since, sub.until) == (SINCE, UNTIL)
        assert [said.split()[0] for said in sub.besides] == ["1", "1"], "one without, one unread"


@pytest.mark.parametrize("by_a_call", [True, False])
async def test_nothing_is_said_of_a_job_whose_files_were_deleted(
    tmp_path: Path, by_a_call: bool
) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(msgspec.structs.replace(succeeded("pub"), files_received=1))
        await cases.file("pub/a.log", log4j("12:00"))
        if by_a_call:
            await cases.store.begin_deletion("0a1b2c3d4e5f", record=False)
        shutil.rmtree(tmp_path / "0a1b2c3d4e5f")
        cases.coverage.want("0a1b2c3d4e5f")
        for _ in range(2):
            assert (await cases.looked_at())["pub"].coverage is None


async def test_nothing_is_said_of_files_that_are_deleted_while_they_are_read(
    tmp_path: Path,
) -> None:
    at_work, goes_on = trio.Event(), trio.Event()

    async def wait(_names: list[str]) -> None:
        at_work.set()
        await goes_on.wait()

    async with opened(tmp_path) as cases:
        cases.processes.before = wait
        await cases.job(succeeded("pub"))
        await cases.file("pub/a.log", log4j("12:00"))
        cases.coverage.want("0a1b2c3d4e5f")
        await at_work.wait()
        job = await cases.load()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cases.coverage.with_coverage, job, 30)
            await cases.store.begin_deletion("0a1b2c3d4e5f", record=False)
            shutil.rmtree(tmp_path / "0a1b2c3d4e5f")
            goes_on.set()
        assert (await cases.load()).nodes[0].coverage is None


async def test_a_job_that_is_not_closed_is_not_looked_at(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), closed=False)
        cases.coverage.want("0a1b2c3d4e5f")
        await cases.looked_at()
        assert not has_coverage(await cases.load())


async def test_a_node_that_is_worked_on_again_keeps_its_newer_state(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"), succeeded("sub"))
        before = await cases.load()
        retried = msgspec.structs.replace(before.nodes[1], state=Node("sub").state)
        after = msgspec.structs.replace(before, nodes=(before.nodes[0], retried))
        said = dict.fromkeys(("pub", "sub"), Covered("covers it"))
        pub, sub = add_coverage(before, said, after).nodes
        assert (pub.coverage, sub.coverage) == ("covers it", None)
        assert sub.status == "pending"


async def test_what_was_said_of_a_node_goes_when_it_is_worked_on_again() -> None:
    node = Node("pub").with_coverage(Covered("covers it", (Gap("x", "begin"),)))
    again = node.begin(NOW, 2)
    assert (again.coverage, again.gaps) == (None, ())


async def test_who_waits_too_long_gets_the_job_as_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        ForEver(cases)
        await cases.job(succeeded("pub"))
        await cases.file("pub/a.log", log4j("12:00"))
        job = await cases.load()
        assert await cases.coverage.with_coverage(job, 0.05) == job


async def test_a_defect_in_one_job_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as cases:
        change = cases.store.change
        failures: list[Exception] = [RuntimeError("a defect"), StoreFailed("the disk is full")]

        async def fails(*arguments: Any) -> Job | None:
            if failures:
                raise failures.pop()
            return await change(*arguments)

        monkeypatch.setattr(cases.store, "change", fails)
        await cases.job(succeeded("pub"))
        with caplog.at_level(logging.CRITICAL):
            for _ in range(2):
                assert (await cases.looked_at())["pub"].coverage is None
        assert (await cases.looked_at())["pub"].gaps == (Gap("x", "all"),)


@pytest.mark.parametrize(
    "said",
    [
        Covered("x" * 5000),
        Covered("", extent=Extent(besides=("x" * 5000,))),
        Covered("", (Gap("x", "begin", trace="x" * 5000),)),
        Covered("", (Gap("x", "all"),) * (MOST_GAPS + 1)),
        Covered("", (Gap("x", "begin", at=datetime(1, 1, 1, tzinfo=UTC)),)),
        Covered("", extent=Extent(NOW, datetime(9999, 12, 31, tzinfo=UTC))),
    ],
)
def test_of_a_process_that_may_be_another_by_now_only_what_can_be_is_taken(said: Covered) -> None:
    assert not can_be(said)
    assert can_be(Covered("covers", (Gap("x", "begin", at=NOW),), Extent(NOW, NOW, ("x",))))


async def test_files_that_could_not_be_read_may_have_what_is_missing(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"))
        await cases.file("pub/a1.log", log4j("12:00"))
        await cases.file("pub/a2.log", log4j("14:07", "15:10"))
        (tmp_path / "0a1b2c3d4e5f/pub/files/192.0.2.9/stamp/a1.log").unlink()
        said = (await cases.looked_at())["pub"].coverage
        assert said is not None
        assert said.startswith("coverage unknown: ")
