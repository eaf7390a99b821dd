"""`cucmctl events` beside a real daemon that is killed and started again."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab

pytestmark = pytest.mark.long

MakeLab = Callable[..., Lab]


class Reader:
    """`cucmctl events` in a process of its own, at a path that leads to the newest daemon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        command = [sys.executable, "-m", "cucmctl", "--socket", str(path), "events"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.seen: list[dict] = []

    def until(self, reached: Callable[[dict], bool]) -> dict:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(event := json.loads(line))
            if reached(event):
                return event
        raise AssertionError(self.seen)


@contextmanager
def reading(folder: Path, daemon: Daemon) -> Iterator[Reader]:
    lead_to(daemon, path := folder / "socket")
    reader = Reader(path)
    try:
        yield reader
    finally:
        reader.process.kill()
        reader.process.communicate()


def lead_to(daemon: Daemon, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(daemon.socket)


def test_no_change_is_lost_or_told_twice_over_a_kill(tmp_path: Path, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--files", "2", "--fault", "2=hang:command*1")
    credentials = tmp_path / "credentials"
    config = CONFIG + named_credential(credentials, "lab", lab.username, lab.password)
    folder = tmp_path / "cucmd"
    with running_daemon(folder, config) as daemon:
        with daemon.client() as client:
            old = client.wait(start(client, lab, lab.nodes[:1], credential="lab").job_id).job_id
            stays = client.wait(start(client, lab, lab.nodes[:1], credential="lab").job_id).job_id
        with reading(tmp_path, daemon) as reader:
            with daemon.client() as client:
                job_id = start(client, lab, credential="lab").job_id
                reader.until(
                    lambda event: any(
                        node["phase"] == "command" and node["node"] == lab.nodes[1]
                        for node in event.get("job", {}).get("nodes", ())
                    )
                )
            daemon.process.kill()
            daemon.process.wait()
            with running_daemon(folder, config) as again, again.client() as client:
                # before the reader is back
                client.delete(old)
                client.label(stays, {"case": "1"})
                lead_to(again, reader.path)
                reader.until(
                    lambda event: (
                        event["job_id"] == job_id
                        and bool(event.get("job", {}).get("closed"))
                        and any(node["coverage"] for node in event["job"].get("nodes", ()))
                    )
                )
                job = client.status(job_id)
                client.delete(job_id)
                gone = reader.until(lambda event: bool(event.get("job", {}).get("deleted")))
                reader.process.kill()  # its connection is none that the daemon has left open
        told = [event for event in reader.seen if event.get("job_id") == job_id]
        revisions = [event["job"]["revision"] for event in told]
        assert revisions == sorted(revisions)
        before = max(revisions[: revisions.index(job.revision)])
        assert (job.status, gone["job"]["revision"]) == ("succeeded", job.revision + 2)
        assert before < job.revision
        assert [e["event"] for e in reader.seen if e.get("job_id") == old] == ["gone"]
        (labelled,) = [event for event in reader.seen if event.get("job_id") == stays]
        assert labelled["job"]["labels"] == {"case": "1"}
