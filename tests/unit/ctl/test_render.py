"""Jobs as text: sizes, times and headings."""

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
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),  # never 1000.0 kB
        (3 * 10**12, "3.0 TB"),
    ],
)
def test_size(count, shown):
    assert render.size(count) == shown


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
def test_progress(received, announced, shown):
    assert render.progress(received, announced) == shown


@pytest.mark.parametrize(("files", "said"), [(0, "no complete file, 100.0 kB"), (1, "1 file, 1")])
def test_parts_of_files_are_no_files(job, node, files, said):
    cut_off = node("a", "failed", files_received=files, bytes_received=100_000)
    assert f"; {said}" in next(render.ending(job(cut_off, status="failed")))


def test_deleted_files_offer_no_commands(job, node):
    one = job(node("a", "failed", files_received=5), status="failed")
    assert any("cucmctl export" in line for line in render.where_files_are(one))
    (said,) = render.where_files_are(msgspec.structs.replace(one, files_deleted=True))
    assert said.startswith("files were deleted")


def test_default_text_lists_findings(job, node, began):
    nodes = node("a", "succeeded", checked=Checked(prompt=True)), node("b", "failed")
    lines = list(render.show_job(job(*nodes, status="partial", kind="later"), began))
    assert [line.split() for line in lines[-2:]] == [["NODE", "FOUND"], ["a", "prompt:", "yes"]]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m")],
)
def test_duration(seconds, shown):
    assert render.duration(seconds) == shown


def test_requeued_job_does_not_run(job, began):
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


@pytest.mark.parametrize(
    ("collection", "said"),
    [
        (
            {"paths": ("cm/trace/ccm/sdl", "syslog"), "last": "2h"},
            "cm/trace/ccm/sdl, syslog, last 2h",
        ),
        ({"paths": tuple("abcde")}, "a, b, c, 2 more paths, all files (no window)"),
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
def test_job_says_what_it_collects(job, began, in_zone, collection, said):
    in_zone("UTC")
    one = msgspec.structs.replace(job(), collection=Collection(**collection))
    assert list(render.show_job(one, began))[2] == f"collects {said}"


def test_colours_keep_the_columns(job, node, began):
    one = job(node("a"), node("bb", "failed"), status="partial")
    plain = list(render.show_job(one, began))
    coloured = list(render.show_job(one, began, colour=True))
    assert "\x1b[31mfailed" in "\n".join(coloured)
    assert [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in coloured] == plain


def test_first_line_is_repeated():
    lines = ["the summary", "x" * 100, "y"]
    assert list(render.first_in_view(lines, 5, 80)) == lines
    assert list(render.first_in_view(lines, 4, 80)) == [*lines, "", "the summary"]
    assert list(render.first_in_view(lines, None, None)) == lines


def test_cancelled_node_claims_no_files(node):
    came = {"files_announced": 30, "bytes_announced": 900, "bytes_received": 5}
    one = node(status="cancelled", files_received=0, **came)
    assert render.figures(one, Collection()) == ("", "5 B")


@given(st.text(st.characters()))
def test_all_text_is_escaped(text):
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


def test_names_of_host_keys_are_not_cut():
    """`hostkeys forget` needs them."""
    keys = [
        HostKey(f"{20 * chr(96 + n)}:2022", "ssh-rsa", 40 * "f", "line", f"pub{n}") for n in (1, 2)
    ]
    lines = list(host_keys(keys, columns=80))
    for key, line in zip(keys, lines[1:], strict=True):
        assert line.split("  ") == [f"{key.name} ({key.node})", key.fingerprint]
    assert "ssh-rsa" in list(host_keys(keys, columns=200))[1]


def test_unknown_kinds_are_shown(job, node, began):
    one = job(node("a", "succeeded", files_received=2), kind="sweep", status="succeeded")
    assert any(line.startswith("a ") for line in render.show_job(one, began))
    assert "2 files" in next(render.ending(one))
    assert "  sweep" in "\n".join(job_list.jobs([render.summary(one)], began))


def test_dry_run_of_nodes_that_do_not_fit_together(job, node):
    def sized(name):
        paths = (PathSize("syslog", 2, 6_000),)
        return node(name, sizes=Sizes(paths, 10_000, fits=True, reserved=7_000))

    alone, both = job(sized("a")), job(sized("a"), sized("b"), collection=Collection(compress=True))
    assert list(sizes(alone))[-1] == "each node fits disk and quotas"
    verdict = list(sizes(both))[-1]
    assert verdict.startswith("the total before compression is 2.0 kB more than")
    assert "(10.0 kB, besides the reserve of 7.0 kB)" in verdict


@pytest.mark.parametrize(
    ("columns", "first"),
    [(None, "cucm-sub2 (10.0.0.3)"), (80, "cucm-sub2 (10.0.0.3)"), (50, "cucm-sub2")],
)
def test_address_is_shown_where_it_fits(job, node, began, columns, first):
    named = job(node("10.0.0.3", "succeeded", name="cucm-sub2"))
    lines = list(render.show_job(named, began, columns=columns))
    row = lines[lines.index("") + 2]
    assert re.split(r"  +", row)[0] == first


def test_single_node_is_a_target_by_name(job, node):
    summary = render.summary(job(node("10.0.0.3", name="cucm-sub2"), targets=("10.0.0.3",)))
    assert render.target(summary) == "cucm-sub2"
    cluster = msgspec.structs.replace(summary, targets=("berlin",))
    assert render.target(cluster) == "berlin"
