"""Tests what a search of the files of a job finds, beside zgrep."""

import json
import socket
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from cucmd.job.node import Node
from rig.call_traces import CALL_ID, Traces
from rig.collected import JOB_ID
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.searched import make_job, traces

BEGIN = datetime(2026, 3, 8, 5, 0, tzinfo=UTC)  # two hours before New York changes its clock


class Searched(NamedTuple):
    daemon: Daemon
    folder: Path  # of the job

    def replies(self, search: dict[str, Any], **more: Any) -> Iterator[dict[str, Any]]:
        call = {
            "method": "io.cucmd.Jobs.Find",
            "parameters": {"job_id": JOB_ID, "search": search, **more},
            "more": True,
        }
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.daemon.socket))
            connection.sendall(json.dumps(call).encode() + b"\0")
            with connection.makefile("rb") as stream:
                buffer = b""
                while piece := stream.read1():
                    *frames, buffer = (buffer + piece).split(b"\0")
                    for frame in map(json.loads, frames):
                        if "error" in frame:
                            raise Refused(frame["error"], frame["parameters"])
                        yield frame["parameters"]
                        if not frame.get("continues"):
                            return

    def matches(self, search: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        return [m for reply in self.replies(search, **more) for m in reply.get("matches") or ()]

    def exported(self, found: dict[str, Any], **more: Any) -> list[str]:
        """Returns the names of the files in an export."""
        parameters = {"job_id": JOB_ID, "found": found, **more}
        call = {"method": "io.cucmd.Jobs.Export", "parameters": parameters, "upgrade": True}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.daemon.socket))
            connection.sendall(json.dumps(call).encode() + b"\0")
            with connection.makefile("rb") as stream:
                reply = b""
                while not reply.endswith(b"\0"):
                    reply += stream.read(1)
                assert b"error" not in reply, reply
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    return [member.name for member in tar]

    def zgrep(self, *arguments: str) -> list[str]:
        files = sorted(map(str, self.folder.glob("*/files/**/*.gz")))
        done = subprocess.run(["zgrep", "-h", *arguments, *files], check=False, capture_output=True)
        return done.stdout.decode().replace("\r\n", "\n").splitlines()


class Refused(Exception):
    pass


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("find") / "cucmd"
    job = make_job(folder / "state", traces(BEGIN, 4, 5000, timedelta(seconds=1)))
    with running_daemon(folder, CONFIG) as daemon:
        yield Searched(daemon, job)


@pytest.mark.parametrize("text", ["SIP/2.0 503", "CcDisconnInd |wait |00", "no such text"])
def test_text_finds_lines_of_zgrep(searched: Searched, text: str) -> None:
    found = [match["line"] for match in searched.matches({"text": text})]
    assert sorted(found) == sorted(searched.zgrep("-F", text))


def test_matches_are_in_order(searched: Searched) -> None:
    found = searched.matches({"text": "SIP/2.0 503"})
    times = [match["time"] for match in found]
    assert len({match["node"] for match in found}) == 3
    assert times == sorted(times)


def test_matches_have_true_times(searched: Searched) -> None:
    """The number of a line is that of the second in which it was written."""
    found = searched.matches({"text": "SdlSig"}, nodes=["sub1"])
    seconds = [int(match["line"].rpartition("|")[2]) for match in found]
    begins = [BEGIN + timedelta(seconds=5000 * file) for file in range(4) for _ in range(5000)]
    expected = [
        begin + timedelta(seconds=second) for begin, second in zip(begins, seconds, strict=True)
    ]
    assert [datetime.fromisoformat(match["time"]) for match in found] == expected


@pytest.mark.parametrize("pattern", ["SIP/2.0 (5|6)", "^Call-ID: [0-9a-f]*7@", r"\d+\|[^x]*$"])
def test_regex_finds_lines_of_zgrep(searched: Searched, pattern: str) -> None:
    found = [match["line"] for match in searched.matches({"regex": pattern})]
    assert sorted(found) == sorted(searched.zgrep("-P", pattern))
    assert found


def test_context_is_that_of_zgrep(searched: Searched) -> None:
    found = searched.matches({"text": "SIP/2.0 503"}, context=3)
    lines = sorted(
        line
        for match in found
        for line in (*match.get("before", ()), match["line"], *match.get("after", ()))
    )
    assert sorted(set(lines)) == sorted(set(searched.zgrep("-F", "-C3", "SIP/2.0 503")) - {"--"})


def test_never_ending_pattern_is_named(searched: Searched) -> None:
    with pytest.raises(Refused) as refused:
        searched.matches({"regex": "(SdlSig|.|[a-z|]+ ?)+\0"})
    name, fields = refused.value.args
    assert name == "io.cucmd.Jobs.InvalidRequest"
    assert fields["parameter"] == "search.regex"
    assert "SDL001_100_" in fields["reason"]


def test_export_has_only_found_files(searched: Searched) -> None:
    [first, *_] = searched.matches({"text": "SIP/2.0 503"}, nodes=["sub1"])
    names = searched.exported({"text": "SIP/2.0 503", "until": first["time"]}, nodes=["sub1"])
    assert [name for name in names if "SDL001" in name] == [f"sub1/{first['path']}"]
    assert "manifest.json" in names


def test_found_files_have_counts(searched: Searched) -> None:
    matches = Counter((m["node"], m["path"]) for m in searched.matches({"text": "CcSetupReq"}))
    replies = searched.replies({"text": "CcSetupReq"}, files=True)
    found = [one for reply in replies for one in reply.get("found") or ()]
    assert {(one["node"], one["path"]): one["matches"] for one in found} == matches


def test_call_is_followed_across_nodes(tmp_path: Path) -> None:
    """The call crosses two nodes and is transferred twice, among others."""
    calls = Traces().write(20)
    files = {
        f"{n}/{path}": text
        for n, made in calls.files(packed=True).items()
        for path, text in made.items()
    }
    zones = {"cucm-pub": "Etc/GMT+5", "cucm-sub1": "Etc/GMT-1"}
    nodes = [msgspec.structs.replace(Node(name), zone=zone) for name, zone in zones.items()]
    make_job(tmp_path / "cucmd/state", files, nodes=nodes)
    with running_daemon(tmp_path / "cucmd", CONFIG) as daemon:
        replies = list(Searched(daemon, tmp_path).replies({"call_id": CALL_ID}))
    found = [match for reply in replies for match in reply.get("matches") or ()]
    shown = {(m["node"], datetime.fromisoformat(m["time"]), m["line"]) for m in found}
    assert shown == {
        (node, at.replace(microsecond=at.microsecond // 1000 * 1000), line)
        for node, at, line in calls.shown
    }
    followed = [one for reply in replies for one in reply.get("followed") or ()]
    assert followed[0] == {"kind": "call_id", "value": CALL_ID, "node": None, "path": None}
    assert {one["node"] for one in followed[1:]} == set(zones)
