"""The table of jobs in any width."""

import os
import time

import msgspec
import pytest

from cucmctl.text import job_list, render
from cucmctl.text.table import width_of
from cucmd.job.work_request import Collection


@pytest.fixture
def summary(job, node, began):
    nodes = (node("cucm-pub", "succeeded"), node("cucm-sub1", "failed"), node("cucm-sub2"))
    return msgspec.structs.replace(
        render.summary(job(*nodes)),
        targets=("cucm-pub", "cucm-sub1", "cucm-sub2"),
        owner=os.getuid(),
        collection=Collection(paths=("cm/trace/ccm/sdl",), last="2h"),
    )


def cells(summary, began, columns=None):
    headings, row = job_list.jobs([summary], began, columns=columns)
    return headings.split(), row


@pytest.mark.parametrize("target", ["cucm-pub", "顧客の記録と顧客の記録"])
@pytest.mark.parametrize("columns", range(20, 140, 7))
def test_lines_fit_the_width(summary, began, target, columns):
    one = msgspec.structs.replace(summary, targets=(target,), labels={"case": "顧客"})
    least = max(map(width_of, job_list.jobs([one], began, columns=1)))
    for line in job_list.jobs([one], began, columns=columns):
        assert width_of(line) <= max(columns, least)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (200, "cucm-pub.example.org and 2 more  cm/trace/ccm/sdl, last 2h"),
        (119, "cucm-pub.example.org and 2 more  cm/trace/ccm/…"),
        (109, "cucm-pub.example.org +2  cm/trace/…"),
        (99, "cucm-pub.example.org +2  cm/trace/…"),
        (89, "cucm-pub.examp… +2"),
    ],
)
def test_cut_targets_keep_their_count(summary, began, columns, shown):
    one = msgspec.structs.replace(summary, first_node="cucm-pub.example.org", owner=0)
    headings, row = job_list.jobs([one], began, columns=columns)
    assert row[headings.index("TARGET") :] == shown
    *_, row = job_list.jobs([one], began, columns=columns, ascii_only=True)
    assert row.isascii()


@pytest.mark.parametrize("columns", range(80, 140, 3))
def test_cuts_are_between_words(summary, began, columns):
    commands = ("show status", "utils service list", "show tech network all", "show version active")
    one = msgspec.structs.replace(summary, kind="run", commands=commands, targets=("berlin",))
    _, row = cells(one, began, columns)
    kept, cut, nothing = row.rpartition("berlin")[2].strip().partition("…")
    whole = "; ".join(commands)
    assert (nothing, whole[: len(kept)]) == ("", kept)
    assert not cut or whole[len(kept) - 1] == " " or whole[len(kept)] in " ;"


@pytest.mark.parametrize(
    ("columns", "owners", "left_out"),
    [
        (129, (0, 0), set()),
        (99, (0, 0), {"OWNER"}),
        (89, (0, 0), {"OWNER", "TIME"}),
        (89, (0, 1), {"OWNER", "TIME"}),
        (99, (0, 1), {"TIME"}),
        (75, (0, 0), {"OWNER", "TIME", "WHAT"}),
        (60, (0, 1), {"OWNER", "TIME", "TARGET", "WHAT"}),
        (20, (0, 1), {"OWNER", "TIME", "TARGET", "WHAT"}),
    ],
)
def test_what_outlives_owner_and_time(summary, began, columns, owners, left_out):
    collection = Collection(profile="callmanager", last="2h")
    (all_headings,) = job_list.jobs([], began)
    ended = msgspec.structs.replace(
        summary, status="succeeded", bytes_received=45_600_000, collection=collection
    )
    both = [msgspec.structs.replace(ended, owner=owner) for owner in owners]
    headings, *rows = job_list.jobs(both, began, columns=columns)
    assert set(all_headings.split()) - set(headings.split()) == left_out
    if "WHAT" in headings:
        assert all(row[headings.index("WHAT") :].startswith("callmanager") for row in rows)


@pytest.mark.parametrize("owners", [(0, 0), (0, 1)])
def test_labels_outlive_owners(summary, began, owners):
    labels = {"site": "bern", "case": "69"}
    labelled = msgspec.structs.replace(summary, labels=labels, kind="collect")
    headings, row = cells(labelled, began)
    assert headings.index("LABELS") < headings.index("OWNER")
    assert " case=69, site=bern " in row
    assert "LABELS" not in cells(summary, began)[0]
    both = [msgspec.structs.replace(labelled, owner=owner) for owner in owners]
    seen = [next(job_list.jobs(both, began, columns=columns)) for columns in range(80, 200)]
    assert all("LABELS" in headings for headings in seen if "OWNER" in headings)
    assert any("OWNER" not in headings for headings in seen if "LABELS" in headings)


def test_long_texts_are_cut_soon(summary, began):
    """A hostile site of a hub could hold up the list of all jobs for minutes."""
    text = "é " * 20_000
    one = msgspec.structs.replace(summary, first_node=text, collection=Collection(profile=text))
    begun = time.thread_time()
    *_, row = job_list.jobs([one], began, columns=100)
    assert time.thread_time() - begun < 1
    assert width_of(row) <= 100
