"""Tests what threads of the daemon, and of a program that calls it, must not do at once.

msgspec prepares a struct when it first decodes one. Two threads that do so at once, for one struct,
crash the process (msgspec 0.22, a segmentation fault).
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmd.job.work_request import Login
from rig.daemon import CONFIG, running_daemon
from rig.jobs import start, statuses
from rig.lab import Lab

# Several threads decode the first reply of its kind. Prints how many did so at once.
READING = """
import threading, time
import msgspec
from msgspec import _utils
from cucmctl.client.errors import read
from cucmd.protocol.jobs import ListReply

function = _utils.get_class_annotations
whole = type(function)(function.__code__, vars(_utils))
now, most = set(), 0

def note(struct):
    global most
    now.add(threading.get_ident())
    most = max(most, len(now))
    time.sleep(0.02)
    try:
        return whole(struct)
    finally:
        now.discard(threading.get_ident())

vars(_utils)["note"] = note
function.__code__ = (lambda struct: note(struct)).__code__
reply = msgspec.Raw(b'{"jobs": [], "older": null}')
threads = [threading.Thread(target=read, args=(reply, ListReply)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(most)
"""


@pytest.mark.long
def test_daemon_threads_prepare_no_struct(tmp_path: Path, make_lab: Callable[..., Lab]) -> None:
    made = tmp_path / "made"
    environ = {"CUCMD_TEST_STRUCTS": str(made)}
    lab = make_lab(1)
    running = running_daemon(tmp_path / "cucmd", CONFIG, environ, module="rig.odd_daemon")
    with running as daemon, daemon.client() as client:
        login = Login(lab.username, lab.password)
        jobs = (
            start(client, lab),
            client.check(lab.nodes, login=login),
            client.discover(lab.nodes[0], login=login),
            client.run(lab.nodes, ["show version active"], login=login),
        )
        for job in jobs:
            assert statuses(client.wait(job.job_id)) == ["succeeded"]
        client.list()
        client.clusters()
        client.prune(keep=100, dry_run=True)
    assert not made.exists(), made.read_text()


def test_client_threads_prepare_structs_in_turn() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READING], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
