"""What the files of a job cover: when they are read, which of them, and what is kept of it."""

import gzip
import logging
import shutil
from datetime import UTC, datetime, timedelta

import pytest
import trio
from msgspec.structs import replace

from cucmd.cases.coverage_reader import add_coverage, is_plausible
from cucmd.cases.files import PAGE
from cucmd.failure import Code, failure
from cucmd.job.coverage import MOST_GAPS, MOST_LOGS, MOST_SPANS, Covered, Gap, LogCoverage, Span
from cucmd.job.node import Node
from cucmd.reading.window_coverage import MOST_NAMED
from cucmd.store import StoreFailed
from cucmd.worker.process import Cause, WorkerEnded
from rig.supervised import fail_calls
from unit.cases.coverages import JOB, NOW, SINCE, UNTIL, WHOLE, ForEver, begun, log4j, succeeded

SDL, MESSAGES, AUDIT = "cm/trace/ccm/sdl", "syslog/messages*", "audit/vos"


async def test_each_node_has_a_line(cases):
    await cases.job(succeeded("pub"), succeeded("sub1"), begun("sub2").cancel(NOW))
    await cases.file("pub/a1.log", gzip.compress(log4j("12:00", "14:00")))
    await cases.file("pub/a2.log", gzip.compress(log4j("14:00", "15:10")))
    await cases.file("sub1/a1.log", log4j("14:07", "15:10"))
    await cases.file("sub1/core", b"\0\1")
    cases.coverage.queue(JOB)
    nodes = await cases.looked_at()
    assert {name: node.coverage for name, node in nodes.items()} == {
        "pub": WHOLE,
        "sub1": "begins 14:07, 1 h 07 min missing (Europe/Berlin); 1 file has "
        "no time stamps that are known",
        "sub2": "",
    }


async def test_each_path_is_compared(cases):
    later = NOW + timedelta(days=1)  # the node was asked for what had changed an hour later
    node = replace(Node("pub").begin(later, 1), zone="Europe/Berlin")
    times = ("1h", "6h", "always")
    await cases.job(node.succeed(later), paths=(SDL, MESSAGES, AUDIT), written_for=times)
    await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "14:51"))
    await cases.file("pub/syslog/messages.1", log4j("12:00", "15:10"))
    await cases.file("pub/syslog/messages", log4j("15:10", "15:50"))
    pub = (await cases.looked_at())["pub"]
    ended = datetime(2026, 11, 25, 13, 51, tzinfo=UTC)
    assert pub.gaps == (Gap(SDL, "end", "6h", 9 * 60, ended), Gap(AUDIT, "all"))


async def test_a_missing_file_is_a_gap(cases):
    await cases.job(succeeded("pub"))
    for name, *times in (("a1", "12:00", "13:20"), ("a3", "13:50", "14:00"), ("a4", "15:10")):
        await cases.file(f"pub/{name}.log", log4j(*times))
    pub = (await cases.looked_at())["pub"]
    begin, end = SINCE + timedelta(minutes=20), SINCE + timedelta(minutes=50)
    assert pub.gaps == (Gap("x", "middle", None, 30 * 60, begin, until=end),)
    assert pub.logs == (LogCoverage("a*.log", (Span(SINCE, begin), Span(end, UNTIL))),)
    assert pub.coverage == "has nothing from 13:20 to 13:50, 30 min missing (Europe/Berlin)"


async def test_an_unverified_path_is_not_missed(cases):
    await cases.job(succeeded("pub"), paths=(SDL, AUDIT), unverified=(AUDIT,))
    await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "15:10"))
    pub = (await cases.looked_at())["pub"]
    assert (pub.coverage, pub.gaps) == (WHOLE, ())


async def test_no_longer_time_beyond_the_present(cases):
    await cases.job(succeeded("pub"), paths=(SDL, MESSAGES))
    await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "14:51"))
    gaps = (await cases.looked_at())["pub"].gaps
    assert [(gap.path, gap.written_for) for gap in gaps] == [(SDL, None), (MESSAGES, None)]


async def test_gaps_are_limited(cases):
    paths = tuple(f"path{number}" for number in range(MOST_GAPS + 5))
    await cases.job(succeeded("pub"), paths=paths)
    pub = (await cases.looked_at())["pub"]
    assert len(pub.gaps) == MOST_GAPS
    assert f" {len(paths) - MOST_NAMED} more" in pub.coverage, "all of them are counted"


async def test_the_longest_gaps_are_kept(cases):
    await cases.job(succeeded("pub"))
    for number in range(MOST_GAPS + 5):
        letter = chr(ord("a") + number)
        await cases.file(f"pub/{letter}.log", log4j("12:00", f"14:{number + 10}"))
    gaps = (await cases.looked_at())["pub"].gaps
    assert [gap.seconds for gap in gaps] == [60 * (50 - number) for number in range(MOST_GAPS)]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("active_1.tgz", b"no archive"),  # of no known path, so it may be of any
        ("syslog/messages", b""),
    ],
)
async def test_what_came_is_not_missed(cases, path, content):
    await cases.job(succeeded("pub"), paths=(SDL, MESSAGES))
    await cases.file(f"pub/{SDL}/a1.log", log4j("12:00", "15:51"))
    await cases.file(f"pub/{path}", content)
    assert (await cases.looked_at())["pub"].gaps == ()


@pytest.mark.parametrize(
    ("code", "gaps"), [(Code.NO_FILES_MATCHED, (Gap("x", "all"),)), (Code.AUTH_FAILED, ())]
)
async def test_a_failure_explains_missing_files(cases, code, gaps):
    await cases.job(begun("pub").fail(NOW, failure(code, "it did not work")))
    assert (await cases.looked_at())["pub"].gaps == gaps


async def test_coverage_is_one_change(cases):
    await cases.job(succeeded("pub"))
    await cases.file("pub/a.log", log4j("13:00:00", "15:00:00"))
    before = await cases.load()
    await cases.looked_at()
    after = await cases.load()
    assert after.revision == before.revision + 1
    cases.coverage.queue(JOB)
    await cases.looked_at()
    assert await cases.load() == after, "nothing has changed"
    assert cases.told == [before, after]


async def test_slow_nodes_delay_no_other(cases):
    endless, stored = ForEver(cases, "odd.log"), trio.Event()
    await cases.job(succeeded("odd"), *(succeeded(name) for name in ("pub", "sub")))
    for path in ("odd/odd.log", "pub/a.log", "sub/b.log"):
        await cases.file(path, log4j("12:00", "15:10"))

    def changed(job):
        if [node.coverage for node in job.nodes] == [None, WHOLE, WHOLE]:
            stored.set()

    cases.store.on_changed = changed
    cases.coverage.queue(JOB)
    with trio.fail_after(30):
        await endless.begun.wait()
        await stored.wait()
    cases.coverage.cancel(JOB)


async def test_files_of_the_last_attempt_count(cases):
    failed = begun("sub", 2).fail(NOW, failure(Code.STALLED, "it stalled"))
    await cases.job(succeeded("pub", 2), failed)
    for node in ("pub", "sub"):
        await cases.file(f"{node}/a1.log", log4j("12:00", "15:10"), attempt=1)
        await cases.file(f"{node}/a2.log", log4j("14:07", "15:10"), attempt=2)
        await cases.file(f"{node}/a3.log", log4j("11:00"), attempt=2, complete=False)
    nodes = await cases.looked_at()
    begins = SINCE + timedelta(minutes=67)
    assert nodes["pub"].gaps == (Gap("x", "begin", seconds=67 * 60, at=begins),)
    assert nodes["sub"].coverage == WHOLE


async def test_more_files_than_a_page(cases):
    await cases.job(succeeded("pub"), succeeded("sub"))
    await cases.files((f"pub/core{number}" for number in range(PAGE)), b"\0")
    for node in ("pub", "sub"):
        for minute in range(10, 20):
            await cases.file(f"{node}/a{minute}.log", log4j(f"13:{minute}", f"14:{minute}"))
    lacks = [("begin", 10 * 60), ("end", 41 * 60)]
    for node in (await cases.looked_at()).values():
        assert [(gap.missing, gap.seconds) for gap in node.gaps] == lacks


async def test_missing_files_are_unread(cases):
    await cases.job(succeeded("pub"), succeeded("sub"), succeeded("imp"))
    for node in ("pub", "sub"):
        for name in ("a1.log", "a2.log"):
            await cases.file(f"{node}/{name}", log4j("12:00", "15:10"))
    await cases.file("sub/core", b"\0\1")
    await cases.file("sub/a3.log", log4j("14:10"))
    await cases.file("imp/a1.log", log4j("12:00"))
    await cases.file("imp/a2.log", log4j("14:07", "15:10"))
    for gone in ("pub/a1.log", "pub/a2.log", "sub/a3.log", "imp/a1.log"):
        cases.path(gone).unlink()
    nodes = await cases.looked_at()
    assert nodes["pub"].coverage == "coverage unknown: 2 files could not be read"
    assert nodes["sub"].coverage == (
        f"{WHOLE}; 1 file has no time stamps that are known; 1 file could not be read"
    )
    assert nodes["imp"].coverage.startswith("coverage unknown: "), "it may have what is missing"
    assert [node.gaps for node in nodes.values()] == [(), (), ()]


@pytest.mark.parametrize("by_a_call", [True, False])
async def test_deleted_files_have_no_coverage(cases, by_a_call):
    await cases.job(replace(succeeded("pub"), files_received=1))
    await cases.file("pub/a.log", log4j("12:00"))
    if by_a_call:
        await cases.store.begin_deletion(JOB, record=False)
    shutil.rmtree(cases.folder / JOB)
    cases.coverage.queue(JOB)
    for _ in range(2):
        assert (await cases.looked_at())["pub"].coverage is None


async def test_files_deleted_while_read(cases):
    at_work, goes_on = trio.Event(), trio.Event()

    async def wait(_names):
        at_work.set()
        await goes_on.wait()

    cases.processes.before = wait
    await cases.job(succeeded("pub"))
    await cases.file("pub/a.log", log4j("12:00"))
    cases.coverage.queue(JOB)
    await at_work.wait()
    job = await cases.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cases.coverage.wait_for_coverage, job, 30)
        await cases.store.begin_deletion(JOB, record=False)
        shutil.rmtree(cases.folder / JOB)
        goes_on.set()
    assert (await cases.load()).nodes[0].coverage is None


async def test_an_open_job_is_not_read(cases):
    await cases.job(succeeded("pub"), closed=False)
    cases.coverage.queue(JOB)
    await cases.looked_at()
    assert (await cases.load()).coverage_pending


async def test_a_changed_node_keeps_its_state(cases):
    await cases.job(succeeded("pub"), succeeded("sub"))
    before = await cases.load()
    retried = replace(before.nodes[1], state=Node("sub").state)
    after = replace(before, nodes=(before.nodes[0], retried))
    said = dict.fromkeys(("pub", "sub"), Covered("covers it"))
    pub, sub = add_coverage(before, said, after).nodes
    assert (pub.coverage, sub.coverage) == ("covers it", None)
    assert sub.status == "pending"


def test_a_new_attempt_has_no_coverage():
    again = Node("pub").with_coverage(Covered("covers it", (Gap("x", "begin"),))).begin(NOW, 2)
    assert (again.coverage, again.gaps) == (None, ())


async def test_waiting_is_limited(cases):
    ForEver(cases)
    await cases.job(succeeded("pub"))
    await cases.file("pub/a.log", log4j("12:00"))
    job = await cases.load()
    assert await cases.coverage.wait_for_coverage(job, 0.05) == job


async def test_a_defect_stops_no_other_job(cases, caplog):
    for error in (RuntimeError("a defect"), StoreFailed("the disk is full")):
        fail_calls(cases.store, "change", error=error)
    await cases.job(succeeded("pub"))
    with caplog.at_level(logging.CRITICAL):
        for _ in range(2):
            assert (await cases.looked_at())["pub"].coverage is None
    assert (await cases.looked_at())["pub"].gaps == (Gap("x", "all"),)


# Processes that read


async def test_a_cancelled_job_is_read_no_further(cases):
    endless = ForEver(cases)
    await cases.job(succeeded("pub"))
    await cases.file("pub/a.log", log4j("12:00", "15:10"))
    cases.coverage.queue(JOB)
    await endless.begun.wait()
    job = await cases.load()
    cases.coverage.cancel(JOB)
    await endless.ended.wait()
    assert await cases.coverage.wait_for_coverage(job, 0) == job
    cases.coverage.cancel(JOB)  # also one that is not read
    cases.processes.before = None
    cases.coverage.queue(JOB)
    after = await cases.coverage.wait_for_coverage(job, 30)
    assert after.nodes[0].coverage == WHOLE, "a job that stays after all is read anew"


async def test_an_endless_node_holds_up_no_job(cases):
    await cases.job(succeeded("other"), job_id="ffffffffffff")
    other = await cases.store.load("ffffffffffff")
    ForEver(cases, "hostile")
    await cases.job(succeeded("a"), succeeded("b"))
    await cases.file("a/hostile.log", log4j("12:00"))
    cases.coverage.queue(JOB)
    assert not (await cases.coverage.wait_for_coverage(other, 10)).coverage_pending


@pytest.mark.parametrize("how", Cause)
async def test_a_lost_process_costs_one_node(cases, how):
    async def end(names):
        if "odd.log" in "".join(names):
            raise WorkerEnded(how, "it has ended")

    cases.processes.before = end
    await cases.job(succeeded("odd"), succeeded("pub"), succeeded("sub"))
    for path in ("odd/odd.log", "pub/a.log", "sub/b.log"):
        await cases.file(path, log4j("12:00", "15:10"))
    nodes = await cases.looked_at()
    assert nodes["odd"].coverage.startswith("coverage unknown: ")
    assert nodes["pub"].coverage == nodes["sub"].coverage == WHOLE
    begun = cases.processes.begun
    assert begun == (4 if how is Cause.LOST else 3)
    assert await cases.looked_at() == nodes
    assert cases.processes.begun == begun, "what failed is not read again"


async def test_a_killed_process_is_replaced(cases):
    async def be_killed(_names):
        cases.processes.before = None
        raise WorkerEnded(Cause.LOST, "its process was ended")

    cases.processes.before = be_killed
    await cases.job(succeeded("pub"))
    await cases.file("pub/a.log", log4j("12:00", "15:10"))
    assert (await cases.looked_at())["pub"].coverage == WHOLE


async def test_time_grows_with_the_bytes(cases):
    sizes = {"a": 0, "b": 10**9, "c": 2 * 10**9}
    await cases.job(*(replace(succeeded(name), bytes_received=n) for name, n in sizes.items()))
    await cases.looked_at()
    none, once, twice = sorted(one.seconds for one in cases.processes.limits)
    assert 0 < none < once < twice
    assert twice - once == once - none


async def test_the_longest_names_fit_in_frames(cases):
    node = f"{'n' * 63}.{'e' * 63}.example"
    longest = "/".join(("x" * 200, "y" * 200, "z" * 70))
    await cases.job(succeeded(node))
    many = (f"{node}/{longest}{number:04}.log" for number in range(1000))
    await cases.files(many, log4j("12:00", "15:10"))
    assert (await cases.looked_at())[node].coverage == WHOLE


IMPLAUSIBLE = [
    Covered("x" * 5000),
    Covered("", (Gap("x", "begin", trace="x" * 5000),)),
    Covered("", (Gap("x", "all"),) * (MOST_GAPS + 1)),
    Covered("", (Gap("x", "begin", at=datetime(1, 1, 1, tzinfo=UTC)),)),
    Covered("", (Gap("x", "end", at=datetime(9999, 12, 31, tzinfo=UTC)),)),
    Covered("", (Gap("x", "middle", until=datetime(9999, 12, 31, tzinfo=UTC)),)),
    Covered("", logs=(LogCoverage("x"),) * (MOST_LOGS + 1)),
    Covered("", logs=(LogCoverage("x" * 5000),)),
    Covered("", logs=(LogCoverage("x", (Span(NOW, NOW),) * (MOST_SPANS + 1)),)),
    Covered("", logs=(LogCoverage("x", (Span(NOW, NOW),) * MOST_SPANS),) * 4),
    Covered("", logs=(LogCoverage("x", (Span(datetime(1, 1, 1, tzinfo=UTC), NOW),)),)),
]


@pytest.mark.parametrize("answer", IMPLAUSIBLE)
def test_implausible_answers(answer):
    assert not is_plausible(answer)
    logs = (LogCoverage("x", (Span(NOW, NOW),) * MOST_SPANS),)
    assert is_plausible(Covered("covers", (Gap("x", "begin", at=NOW),), logs))


async def test_an_implausible_answer_is_dropped(cases):
    cases.processes.answer = IMPLAUSIBLE[0]
    await cases.job(succeeded("pub"))
    assert (await cases.looked_at())["pub"].coverage.startswith("coverage unknown: ")
