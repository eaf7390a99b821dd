"""The view that prints a line for each change."""

import io
import re
from datetime import timedelta

import pytest

from cucmctl.text import render
from cucmctl.text.views import BYTES_EVERY, REMEMBERED, Lines

STAMP = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ")


@pytest.fixture
def lines(clock, began):
    """A view; `since` returns its new lines without the times. Its clock is a minute after the
    end of nodes from the fixtures."""

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


def test_each_phase_is_a_line(lines, change, job, node):
    for phase in ("connect", "login", "login", "transfer"):
        lines.show(change(job(node(phase=phase))))
    shown = [line for line in lines.since() if line.startswith("ccm-pub")]
    assert shown == [f"ccm-pub: running, {phase}" for phase in ("connect", "login", "transfer")]


def test_bytes_alone_are_rate_limited(lines, change, job, node, clock):
    for second in range(31):
        clock.now = float(second)
        lines.show(change(job(node(files_announced=9, bytes_received=second * 1000))))
    assert len(lines.since()) == 2 + 30 // BYTES_EVERY  # the node's first, the job's, then these


def test_only_retried_nodes_are_shown(lines, change, job, node):
    begun = job(node("done", "succeeded"), node("again", "pending"))
    lines.pass_over(begun)
    lines.show(change(begun))
    lines.show(change(job(node("done", "succeeded"), node("again", "running"))))
    assert {line.partition(":")[0] for line in lines.since()} == {"job 3f2a00112233", "again"}


def test_unsaved_changes_are_one_line(lines, change, job):
    lines.show(change(job()))
    lines.since()
    for _ in range(3):
        lines.show(change(job(unsaved="the disk is \x1b[31mfull")))
    why = "later changes cannot be stored, and are not shown: the disk is \\x1b[31mfull"
    assert lines.since() == [f"job 3f2a00112233: {why}"]
    lines.show(change(job()))
    lines.show(change(job(unsaved="once more")))
    assert len(lines.since()) == 1


def test_failure_has_reason_and_attempt(lines, change, job, node):
    failed = node(status="failed", attempt=2, error="connection refused")
    lines.show(change(job(failed, status="failed")))
    assert lines.since() == [
        "ccm-pub: failed, attempt 2, connection refused",
        "job 3f2a00112233: failed, 1/1 nodes done, 1 failed",
    ]


def test_ends_have_their_own_time(in_zone, lines, change, job, node):
    in_zone("UTC")
    lines.show(change(job(node("a", "failed"), node("b"), status="running")))
    assert times(lines) == ["08:00:42", "08:01:42", "08:01:42"]  # two nodes, and the job goes on
    lines.show(change(jobs=(render.summary(job(node("a", "failed"), status="failed")),)))
    assert times(lines) == ["08:00:42"]


def test_ended_jobs_are_forgotten(lines, change, job, node):
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


def test_nothing_follows_the_end(lines, change, job, node):
    ended = job(node(status="succeeded"), status="succeeded")
    lines.show(change(jobs=()))
    lines.show(change(ended))
    assert len(lines.since()) == 2
    late = node(status="succeeded", files_received=1, bytes_received=9)  # came as it was closed
    lines.show(change(job(late, status="succeeded")))
    lines.show(change(jobs=(render.summary(ended),), missed=200))
    (line,) = lines.since()
    assert "missed 200 changes" in line


def test_retried_job_ends_again(lines, change, job, node):
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
