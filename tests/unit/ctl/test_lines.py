"""A line for each change, and no line without one."""

import io
import re
from datetime import timedelta

import pytest
from msgspec.structs import replace

from cucmctl.text import render
from cucmctl.text.views import BYTES_EVERY, REMEMBERED, EndingOnly, Lines
from cucmd.job.work_request import Collection

STAMP = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ")


@pytest.fixture
def lines(clock, began):
    """A view, and what it has printed since the last look, without the times. It is a minute after
    a node of the fixtures, if it has ended, did."""

    stream = io.StringIO()

    class Printed(Lines):
        def since(self, *, with_times=False):
            text = stream.getvalue()
            stream.seek(0)
            stream.truncate()
            return [line if with_times else STAMP.sub("", line, 1) for line in text.splitlines()]

    return Printed(stream, clock=clock, now=lambda: began + timedelta(seconds=102))


def times(lines):
    return [STAMP.match(line)[0].strip() for line in lines.since(with_times=True)]


def test_a_pending_node_has_no_line(lines, change, job, node):
    lines.show(change(job(node(status="pending"))))
    assert lines.since() == ["job 3f2a00112233: running, 0/1 nodes done"]


def test_what_nodes_wait_for_is_one_line_until_it_changes(lines, change, job, node):
    def waiting(*nodes):
        return [node(name, "pending", waits_for=nodes) for name in ("b", "c")]

    for nodes in (("a",), ("a",), ("a", "d"), ()):
        lines.show(change(job(node("a"), *waiting(*nodes))))
    shown = [line for line in lines.since() if line.startswith("b, c")]
    assert shown == [f"b, c: waits for the login on {names}" for names in ("a", "a, d")]


def test_each_phase_is_a_line(lines, change, job, node):
    for phase in ("connect", "login", "login", "transfer"):
        lines.show(change(job(node(phase=phase))))
    shown = [line for line in lines.since() if line.startswith("ccm-pub")]
    assert shown == [f"ccm-pub: running, {phase}" for phase in ("connect", "login", "transfer")]


def test_bytes_alone_are_a_line_now_and_then(lines, change, job, node, clock):
    for second in range(31):
        clock.now = float(second)
        lines.show(change(job(node(files_announced=9, bytes_received=second * 1000))))
    assert len(lines.since()) == 2 + 30 // BYTES_EVERY  # the node's first, the job's, then these


def test_what_has_come_of_a_file_that_is_written_here_is_said(lines, change, job, node):
    lines.show(change(job(node(bytes_received=1_200))))
    assert "0 files, 1.2 kB" in lines.since()[0]


def test_why_changes_cannot_be_stored_is_one_line(lines, change, job):
    lines.show(change(job()))
    lines.since()
    for _ in range(3):
        lines.show(change(job(unsaved="the disk is \x1b[31mfull")))
    why = "later changes cannot be stored, and are not shown: the disk is \\x1b[31mfull"
    assert lines.since() == [f"job 3f2a00112233: {why}"]
    lines.show(change(job()))
    lines.show(change(job(unsaved="once more")))
    assert len(lines.since()) == 1


def test_one_file_is_no_files(lines, change, job, node):
    lines.show(change(job(node(status="succeeded", files_received=1, files_announced=1))))
    assert lines.since()[0] == "ccm-pub: succeeded, 1 file, 0 B"


def test_what_a_node_packs_is_no_part_of_what_it_announced(lines, change, job, node):
    one = node(files_announced=27, bytes_announced=5_200_000, files_received=5, bytes_received=900)
    lines.show(change(job(one, collection=Collection(compress=True))))
    assert lines.since()[0] == "ccm-pub: running, transfer, 5 files, 900 B"


def test_no_change_is_no_line(lines, change, job, clock):
    lines.show(change(job()))
    lines.since()
    clock.now = 3600.0
    lines.show(change(job()))
    assert lines.since() == []


def test_a_failure_says_why_and_a_further_attempt_says_so(lines, change, job, node):
    failed = node(status="failed", attempt=2, error="connection refused")
    lines.show(change(job(failed, status="failed")))
    assert lines.since() == [
        "ccm-pub: failed, attempt 2, connection refused",
        "job 3f2a00112233: failed, 1/1 nodes done, 1 failed",
    ]


@pytest.mark.parametrize(
    "error", ["a refused the login", "a: refused the login", "refused the login"]
)
def test_a_failed_node_is_named_once(lines, change, job, node, error):
    lines.show(change(job(node("a", "failed", error=error))))
    assert lines.since()[0] == "a: failed, refused the login"


def test_what_has_ended_has_the_time_of_its_end(in_zone, lines, change, job, node):
    in_zone("UTC")
    lines.show(change(job(node("a", "failed"), node("b"), status="running")))
    assert times(lines) == ["08:00:42", "08:01:42", "08:01:42"]  # two nodes, and the job goes on
    lines.show(change(jobs=(render.summary(job(node("a", "failed"), status="failed")),)))
    assert times(lines) == ["08:00:42"]


def test_what_ended_on_another_day_has_the_date_too(in_zone, lines, change, job, node, began):
    in_zone("UTC")
    before = {"status": "cancelled", "completed_at": began - timedelta(days=1)}
    lines.show(change(job(node("a", **before), **before)))
    assert times(lines) == ["2026-02-28 08:00:00"] * 2


def test_a_node_that_runs_again_has_the_time_of_now(in_zone, lines, change, job, node, began):
    in_zone("UTC")
    lines.show(change(job(node("a", completed_at=began))))
    assert times(lines)[0] == "08:01:42"


def test_missed_changes_are_said(lines, change, job):
    lines.show(change(job(), missed=3))
    assert lines.since()[0] == "missed 3 changes; the state as it is now:"


def test_what_a_node_said_is_escaped(lines, change, job, node):
    lines.show(change(job(node("\x1b[2J", "failed", error="\x9b\n"))))
    assert lines.since()[0] == r"\x1b[2J: failed, \x9b\n"


def test_a_list_of_jobs_is_a_line_each_and_its_repetition_is_none(lines, change, job):
    jobs = (render.summary(job()), render.summary(job(job_id="ffff00000000")))
    lines.show(change(jobs=jobs))
    assert len(lines.since()) == 2
    lines.show(change(jobs=jobs))
    assert lines.since() == []


def test_two_jobs_on_the_same_node_can_be_told_apart(lines, change, job, node):
    both = ("3f2a00112233", "ffff00000000")
    lines.show(change(jobs=()))
    for job_id in both:
        lines.show(change(job(node(), job_id=job_id)))
    shown = [line for line in lines.since() if "nodes done" not in line]
    assert shown == [f"{job_id} ccm-pub: running, transfer" for job_id in both]


def test_jobs_that_have_ended_are_forgotten(lines, change, job, node):
    def end(number):
        one = {"job_id": f"{number:012}"}
        lines.show(change(job(node(status="succeeded"), status="succeeded", **one)))

    for number in range(REMEMBERED + 1):
        end(number)
    lines.since()
    end(1)
    assert lines.since() == []
    end(0)
    assert len(lines.since()) == 2, "as one that was never there"


def test_a_job_whose_end_was_missed_is_forgotten(lines, change, job, node):
    lines.show(change(job(node())))
    before = lines.since()
    lines.show(change(jobs=(), missed=200))
    lines.since()
    lines.show(change(job(node())))
    assert len(lines.since()) == len(before)


def test_what_is_left_to_say_of_a_job_that_has_ended_is_nothing(lines, change, job, node):
    ended = job(node(status="succeeded"), status="succeeded")
    lines.show(change(jobs=()))
    lines.show(change(ended))
    assert len(lines.since()) == 2
    late = node(status="succeeded", files_received=1, bytes_received=9)  # came as it was closed
    lines.show(change(job(late, status="succeeded")))
    lines.show(change(jobs=(render.summary(ended),), missed=200))
    (line,) = lines.since()
    assert "missed 200 changes" in line


def test_the_conclusion_is_the_ending_and_where_the_files_are(lines, job, node):
    ended = job(node(status="succeeded", files_received=1), status="succeeded")
    lines.conclude(ended)
    said = lines.since()
    assert said == [*render.ending(ended), *render.where_files_are(ended)]
    assert said[-1].endswith("cucmctl export 3f2a00112233")


def test_nothing_is_handed_on_of_a_job_that_has_nothing(lines, job, node):
    lines.conclude(job(node(status="failed", error="no route"), status="failed"))
    assert "export" not in "".join(lines.since())


def test_a_job_that_is_tried_again_has_a_second_end(lines, change, job, node):
    failed = job(node(status="failed"), status="failed")
    lines.show(change(jobs=()))
    lines.show(change(failed))
    lines.since()
    lines.show(change(failed))
    assert lines.since() == []
    lines.show(change(job(node(status="running"))))
    lines.since()
    lines.show(change(job(node(status="failed"), status="failed")))
    assert [line.split(":")[0] for line in lines.since()] == [
        "3f2a00112233 ccm-pub",
        "job 3f2a00112233",
    ]


def test_a_job_that_is_deleted_has_a_line(lines, change, job, node):
    ended = job(node(status="succeeded"), status="succeeded")
    lines.show(change(jobs=()))
    lines.show(change(ended))
    lines.since()
    lines.show(change(replace(ended, files_deleted=True)))
    lines.show(change(replace(ended, files_deleted=True, deleted=True)))
    assert lines.since() == ["job 3f2a00112233: deleted"]


def test_a_label_on_an_old_job_is_no_end_of_it(lines, change, job, node):
    lines.show(change(jobs=()))
    lines.show(change(job(node(status="failed"), status="failed", closed=True, labels={"a": "b"})))
    assert lines.since() == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "named"), [(Terminal(), 3), (io.StringIO(), 40)])
def test_a_terminal_has_a_few_names_of_nodes_that_ended_alike(
    job, node, monkeypatch, stream, named
):
    monkeypatch.setenv("TERM", "xterm")
    nodes = [node(f"sub{number}", status="failed", error="x") for number in range(40)]
    EndingOnly(stream, as_json=False).conclude(job(*nodes, status="failed"))
    (said,) = [line for line in stream.getvalue().splitlines() if "sub0, " in line]
    assert said.count("sub") == named
