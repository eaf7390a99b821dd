"""Tests what a search of the files of a job finds, beside zgrep."""

import json
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

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
