"""Jobs as text: sizes, times, tables, and what is said about single nodes."""

import re
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.commands.known import host_keys
from cucmctl.text import job_list, render
from cucmctl.text.dry_run_text import sizes
from cucmd.job.check import Checked
from cucmd.job.collect import PathSize, Sizes
from cucmd.job.failure import Failure
from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Node
from cucmd.protocol.knowledge import HostKey
from unit.ctl.conftest import make_job


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),  # never 1000.0 kB
        (45_600_000, "45.6 MB"),
        (10**10, "10.0 GB"),
        (3 * 10**12, "3.0 TB"),
    ],
)
def test_size(count, shown):
    assert render.size(count) == shown


@given(st.integers(0, 999 * 10**12))
def test_a_size_is_short(count):
    assert re.fullmatch(r"\d{1,3}(\.\d)? [kMGT]?B", render.size(count))


@pytest.mark.parametrize(
    ("received", "announced", "shown"),
    [
        (0, None, "0 B"),
        (5_000, None, "5.0 kB"),
        (4_100_000, 45_600_000, "4.1/45.6 MB"),
        (4_100, 45_600_000, "4.1 kB/45.6 MB"),
        (45_600_000, 45_600_000, "45.6 MB"),
    ],
)
def test_progress_says_of_how_many(received, announced, shown):
    assert render.progress(received, announced) == shown


def test_what_a_node_packed_is_no_part_of_what_it_announced(job, node, began):
    came = {"files_received": 5, "bytes_received": 543_300}
    one = node("a", "succeeded", files_announced=27, bytes_announced=5_200_000, **came)
    compress = Collection(paths=("x",), last="2h", compress=True)
    lines = list(render.show_job(job(one, status="succeeded", collection=compress), began))
    assert lines[2:4] == ["collects x, last 2h", "packed by the nodes, from 27 files, 5.2 MB"]
    assert lines[-1].split() == ["a", "succeeded", "5", "543.3", "kB", "42s"]


def test_a_job_without_its_files_is_neither_exported_nor_retried(job, node):
    one = job(node("a", "failed", files_received=5), status="failed")
    assert any("cucmctl export" in line for line in render.where_files_are(one))
    (said,) = render.where_files_are(msgspec.structs.replace(one, files_deleted=True))
    assert said.startswith("files were deleted")


def test_packed_files_that_no_node_has_announced_are_not_counted(job, node, began):
    one = job(node(), collection=Collection(paths=("x",), compress=True))
    assert list(render.show_job(one, began))[3] == "packed by the nodes"


def test_what_work_without_a_text_of_its_own_gives_is_a_line_a_node(job, node, began):
    nodes = node("a", "succeeded", checked=Checked(prompt=True)), node("b", "failed")
    lines = list(render.show_job(job(*nodes, status="partial", kind="later"), began))
    assert [line.split() for line in lines[-2:]] == [["NODE", "FOUND"], ["a", "prompt:", "yes"]]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m")],
)
def test_duration(seconds, shown):
    assert render.duration(seconds) == shown


def test_a_job_that_waits_again_after_a_restart_is_not_said_to_run(job, began):
    waiting = msgspec.structs.replace(
        job(),
        status="queued",
        nodes=tuple(
            msgspec.structs.replace(node, status="pending", started_at=began, completed_at=None)
            for node in job().nodes
        ),
    )
    lines = list(render.show_job(waiting, began + timedelta(seconds=65)))
    assert "queued again" in lines[1]
    assert "1m05s" not in "".join(lines)


def test_a_running_job_says_for_how_long(job, began):
    lines = list(render.show_job(job(), began + timedelta(seconds=65)))
    assert lines[1].endswith(", running for 1m05s")
    assert lines[0] == "job 3f2a00112233: running, 1 node: 1 running"


@pytest.mark.parametrize(
    ("collection", "said"),
    [
        (
            {"paths": ("cm/trace/ccm/sdl", "syslog"), "last": "2h"},
            "cm/trace/ccm/sdl, syslog, last 2h",
        ),
        ({"paths": tuple("abcde")}, "a, b, c, 2 more paths, all of it (no window)"),
        (
            {"profile": "sip", "paths": ("a", "b"), "match": "SDL.*", "last": "30m"},
            "profile sip, names that match SDL.*, last 30m",
        ),
        (
            {"paths": ("a",), "since": "2026-03-01T09:00:00Z", "until": "2026-03-01T09:30:00Z"},
            "a, since 2026-03-01 09:00:00, until 2026-03-01 09:30:00",
        ),
    ],
)
def test_a_job_says_what_it_collects(job, began, in_zone, collection, said):
    in_zone("UTC")
    one = msgspec.structs.replace(job(), collection=Collection(**collection))
    assert list(render.show_job(one, began))[2] == f"collects {said}"


def test_a_job_says_for_whom_it_was_started(job, began):
    lines = [
        line
        for asked_by in ("anna", None)
        for line in render.show_job(job(owner=61001, targets=("a",), asked_by=asked_by), began)
        if line.startswith("from a")
    ]
    assert lines == ["from a, by 61001, asked by anna", "from a, by 61001"]


def test_a_queued_job_has_not_begun(job, node, began):
    queued = job(node(status="pending"), status="queued", started_at=None, completed_at=None)
    assert "running" not in "\n".join(render.show_job(queued, began))


@pytest.mark.parametrize("columns", [80, 60, 40, 20])
def test_nodes_can_be_told_apart_on_any_terminal(job, node, began, columns):
    names = [f"ccm-{n}-{m}.voice.example.org" for n in ("berlin", "bern") for m in ("pub", "sub")]
    one = job(*map(node, [*names, "192.0.2.7", "[2001:db8::1]:2022", "[2001:db8::2]:2022"]))
    lines = list(render.show_job(one, began, columns=columns))[5:]
    assert len({line.split()[0] for line in lines}) == len(lines) == 7


def test_colours_do_not_disturb_the_columns(job, node, began):
    one = job(node("a"), node("bb", "failed"), status="partial")
    plain = list(render.show_job(one, began))
    coloured = list(render.show_job(one, began, colour=True))
    assert "\x1b[31mfailed" in "\n".join(coloured)
    assert [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in coloured] == plain


def test_a_node_that_is_called_like_a_status_gets_no_colour(job, node, began):
    *_, line = render.show_job(job(node("failed", "pending")), began, colour=True)
    assert line.startswith("failed  ")


def test_what_a_terminal_cannot_show_at_once_has_its_first_line_at_the_end_too():
    lines = ["the summary", "x" * 100, "y"]
    assert list(render.first_in_view(lines, 5, 80)) == lines
    assert list(render.first_in_view(lines, 4, 80)) == [*lines, "", "the summary"]
    assert list(render.first_in_view(lines, None, None)) == lines


def test_a_node_that_was_cancelled_claims_no_files(node):
    came = {"files_announced": 30, "bytes_announced": 900, "bytes_received": 5}
    one = node(status="cancelled", files_received=0, **came)
    assert render.figures(one, Collection()) == ("", "5 B")


@given(st.text(st.characters()))
def test_nothing_of_a_node_comes_out_unescaped(text):
    from datetime import UTC, datetime

    began = datetime(2026, 3, 1, tzinfo=UTC)
    failure = Failure(text, text, retryable=True, hint=text)
    node = Node(*(text, "failed", text, 1, text, failure, (text,), began, began, 1, 1, 1, 1, text))
    job = make_job(node, status="failed", job_id=text, directory=text, kind=text)
    key = HostKey(text, text, text, text)
    lines = [
        *render.show_job(job, began),
        *render.ending(job),
        *job_list.jobs([render.summary(job)], began),
        *host_keys([key]),
    ]
    assert all(line.isprintable() for line in lines)


def test_a_job_as_the_line_that_it_is_in_a_list(job, node):
    nodes = (node("a", "succeeded", bytes_received=3), node("b", "failed"), node("c"))
    summary = render.summary(job(*nodes))
    assert (summary.nodes_total, summary.nodes_done, summary.nodes_failed) == (3, 2, 1)
    assert summary.bytes_received == 3


@pytest.mark.parametrize(
    ("targets", "first", "nodes", "shown"),
    [
        (("berlin",), "cucm-pub", 9, "berlin"),
        (("cucm-pub", "cucm-sub1"), "cucm-pub", 2, "cucm-pub and 1 more"),
        (None, "cucm-pub", 3, "cucm-pub and 2 more"),
        (None, "cucm-pub", 1, "cucm-pub"),
        (None, None, 1, ""),
    ],
)
def test_the_target_of_a_job(targets, first, nodes, shown):
    assert render.target(targets, first, nodes) == shown


def test_work_that_only_a_newer_daemon_knows_is_shown_as_a_job_is(job, node, began):
    one = job(node("a", "succeeded", files_received=2), kind="sweep", status="succeeded")
    assert any(line.startswith("a ") for line in render.show_job(one, began))
    assert "2 files" in next(render.ending(one))
    assert "  sweep" in "\n".join(job_list.jobs([render.summary(one)], began))


def test_a_user_without_a_name_is_a_number():
    assert render.user(4_000_000_000) == "4000000000"


def test_the_sizes_of_a_dry_run_are_added_up_and_must_fit_together(job, node):
    def sized(name: str, count: int, **fields: object) -> Node:
        paths = (PathSize("syslog", 2, count),)
        return node(name, "succeeded", sizes=Sizes(paths, 10_000, **fields))

    fitting = sized("a", 6_000, fits=True)
    alone = job(fitting, kind="dry_run", status="succeeded")
    lines = [line.split() for line in sizes(alone)]
    assert lines[1:3] == [["a", "syslog", "2", "6.0", "kB"], ["total", "2", "6.0", "kB"]]
    assert len(lines) == 4
    assert not any("more than" in line for line in sizes(alone))
    both = job(fitting, sized("b", 5_000, fits=True), kind="dry_run", status="succeeded")
    *_, last = sizes(both)
    assert "1.0 kB more" in last
    assert "compress" not in last
    packs = msgspec.structs.replace(both, collection=Collection(compress=True))
    assert "before compression" in list(sizes(packs))[-1]
    assert "4 files, 11.0 kB" in next(render.ending(both))
    packed = job(sized("c", 11, why="too much"), sized("d", 11, fits=False, why="far too much"))
    said = [line for line in sizes(packed) if "fit" in line]
    assert [line.split()[0] for line in said] == ["c", "d"]
    assert list(sizes(job(node()))) == []


def test_that_it_fits_is_said_of_what_was_asked_alone(job, node):
    found = Sizes((PathSize("sdl", 2, 1000),), 10_000, True)
    asked = [node(name, "succeeded", sizes=found) for name in "ab"]
    *_, last = sizes(job(*asked, node("c", "failed"), kind="dry_run", status="partial"))
    assert "1 node" in last
    *_, last = sizes(job(*asked, kind="dry_run"))
    assert last == "each node fits disk and quotas"
