"""Follows a call through the files of a job: `cucmctl find --call-id`, over a real daemon."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from rig.call_traces import CALL_ID, NUMBER, Traces
from rig.collected import JOB_ID
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.searched import make_job


class Followed(NamedTuple):
    daemon: Daemon
    traces: Traces

    def find(self, *arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Returns what `find` prints, and its last object."""
        done = self.daemon.ctl("find", JOB_ID, "--json", *arguments)
        assert done.returncode in (0, 1, 3), done.stderr
        *found, total = map(json.loads, done.stdout.splitlines())
        return found, total


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("calls") / "cucmd"
    traces = Traces().write(others=400)
    packed = {
        f"{node}/{path}": content
        for node, files in traces.files(packed=True).items()
        for path, content in files.items()
    }
    job = make_job(folder / "state", packed)
    with running_daemon(folder, CONFIG) as daemon:
        yield Followed(daemon, traces)
    shutil.rmtree(job)


def test_transferred_call_is_found(followed: Followed) -> None:
    found, _ = followed.find("--call-id", CALL_ID)
    lines = [(one["node"], datetime.fromisoformat(one["time"]), one["line"]) for one in found]
    assert set(lines) == followed.traces.shown
    times = [at for _, at, _ in lines]
    assert times == sorted(times)


def test_what_was_followed_is_named(followed: Followed) -> None:
    _, total = followed.find("--call-id", CALL_ID)
    named = total["followed"]
    call_ids = {one["value"] for one in named if one["kind"] == "Call-ID"}
    assert call_ids == followed.traces.call_ids
    assert {one["kind"] for one in named} == {"Call-ID", "Session-ID", "Cisco-Guid", "CI", "signal"}
    assert [one["value"] for one in named if one.get("node") is None] == [CALL_ID]


@pytest.mark.parametrize("leg", range(5))
def test_any_leg_leads_to_the_call(followed: Followed, leg: int) -> None:
    found, _ = followed.find("--call-id", sorted(followed.traces.call_ids)[leg])
    assert {(one["node"], one["line"]) for one in found} == {
        (node, line) for node, _, line in followed.traces.shown
    }


def test_files_of_call_have_counts(followed: Followed) -> None:
    found, _ = followed.find("--call-id", CALL_ID)
    files, _ = followed.find("--call-id", CALL_ID, "--files")
    counts = Counter((one["node"], one["file"]) for one in found)
    assert {(one["node"], one["file"]): one["matches"] for one in files} == counts


def test_unknown_call_is_not_found(followed: Followed) -> None:
    found, total = followed.find("--call-id", "no-such-call@192.0.2.1")
    assert found == []
    assert [one["value"] for one in total["followed"]] == ["no-such-call@192.0.2.1"]


def test_number_is_found(followed: Followed) -> None:
    found, _ = followed.find("--number", f"+4930{NUMBER}")
    expected = Counter(
        line.decode()
        for files in followed.traces.files().values()
        for text in files.values()
        for line in text.split(b"\n")
        if NUMBER.encode() in line
    )
    assert Counter(one["line"] for one in found) == expected
