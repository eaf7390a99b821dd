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

SHARED = "7" + JOB_ID[1:]


def shared() -> bytes:
    """Returns a trace in which 200 calls have one Session-ID."""
    head = "00000000.000 |07:00:00.000 |FileHead |UTC:+01:00,Date: 2026/11/30, AppName: CCM\n"
    return head.encode() + b"".join(
        f"{n:08}.001 |07:{n // 60:02}:{n % 60:02}.000 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming"
        f" SIP TCP message:\nINVITE sip:{n}@192.0.2.5 SIP/2.0\nCall-ID: call-{n}@192.0.2.9\n"
        "Session-ID: 1001532000105000a00038ed18552a12;remote=00000000000000000000000000000000\n\n"
        "".encode()
        for n in range(1, 201)
    )


class Followed(NamedTuple):
    daemon: Daemon
    traces: Traces

    def find(
        self, *arguments: str, job: str = JOB_ID
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Returns what `find` prints, and its last object."""
        done = self.daemon.ctl("find", job, "--json", *arguments)
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
    make_job(folder / "state", {"pub/cm/trace/ccm/sdl/SDL001_100_000001.txt": shared()}, SHARED)
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


def test_shared_session_is_not_followed(followed: Followed) -> None:
    """A device has the same UUID in all of its calls."""
    found, total = followed.find("--call-id", "call-7@192.0.2.9", job=SHARED)
    assert {one["line"] for one in found if "Call-ID" not in one["line"]} == {
        f"{7:08}.001 |07:00:07.000 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message:",
        "INVITE sip:7@192.0.2.5 SIP/2.0",
    }
    assert [one["value"] for one in total["followed"]] == ["call-7@192.0.2.9"]
    [why] = total["not_followed"]
    assert "Session-ID 1001532000105000a00038ed18552a12" in why
