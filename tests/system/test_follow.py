"""Tests `follow` on lab nodes: as a user types it, with faults, and cancelled."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from cucmctl import Client
from cucmd.job.work_request import How, Login, Tail, Timeouts
from cucmd.protocol.jobs import Job
from rig.credentials import login_options
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files
from rig.lab import Lab, running_lab
from rig.process import die_with_parent
from rig.quiet import assert_nothing_open, wait_until

MakeLab = Callable[..., Lab]
PATH = "syslog/messages"
GROWN = f"|AppInfo |{PATH}\n"  # the end of a line that the lab has appended


def begin(client: Client, lab: Lab, path: str = PATH, *, timeouts=None, **fields: object) -> Job:
    login = Login(lab.username, lab.password)
    how = How(try_all=True, concurrency=100, timeouts=timeouts and Timeouts(**timeouts))
    return client.follow(lab.nodes, Tail(path, **fields), login=login, how=how)


@contextmanager
def typed(daemon: Daemon, lab: Lab, folder: Path, *options: str) -> Iterator[subprocess.Popen]:
    """Runs `cucmctl follow` in a process of its own, with pipes."""
    command = [sys.executable, "-m", "cucmctl", "--socket", str(daemon.socket), "follow"]
    command += [*lab.nodes, PATH, *login_options(folder, lab), *options]
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(command, text=True, **pipes, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def rest(process: subprocess.Popen) -> tuple[str, str]:
    """Reads the rest of the output. `communicate` would lose what `readline` has buffered."""
    out, err = process.stdout.read(), process.stderr.read()
    process.wait()
    return out, err


@pytest.mark.long
def test_ctrl_c_ends_follow_on_nodes(daemon: Daemon, make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(2)
    before = daemon.descriptors()
    with typed(daemon, lab, tmp_path) as process:
        seen = []
        while {line.split(": ")[0] for line in seen if line.endswith(GROWN)} != set(lab.nodes):
            seen.append(process.stdout.readline())
            assert seen[-1], process.stderr.read()
        process.send_signal(signal.SIGINT)
        out, err = rest(process)
    assert process.returncode == 0, err
    wait_until(lambda: lab.report()["connections_now"] == 0)
    report = lab.report()
    assert (report["interrupts"], report["closed_cleanly"], report["dropped"]) == (2, 2, 0)
    with daemon.client() as client:
        (summary,) = client.list()
        job = client.status(summary.job_id)
        assert (job.status, job.kind) == ("succeeded", "follow")
        assert [node.notes for node in job.nodes] == [(), ()]
        for follow in (False, True):
            for node in lab.nodes:
                pieces = list(client.output(job.job_id, [node], follow=follow))
                assert (pieces[-1].ended, pieces[-1].complete) == (True, True)
                text = "".join(piece.text for piece in pieces)
                printed = [line for line in [*seen, *out.splitlines(True)] if node in line]
                assert "".join(printed) == "".join(f"{node}: {x}" for x in text.splitlines(True))
        check_files(Path(job.directory))
    assert_nothing_open(daemon, before)


class Row(NamedTuple):
    """Describes a fault, the code of the failure, and a part of the message or of the notes."""

    fault: str
    code: str | None
    says: str


ENDED, LEFT = "as requested", "Ctrl-C"
MATRIX = (
    Row("silent:tail", None, ENDED),  # a file that does not grow
    Row("hang:tail", None, LEFT),
    Row("ignore-ctrl-c", None, LEFT),
    Row("ignore-ctrl-c*1", None, ENDED),
    Row("garbage:tail", None, ENDED),
    Row("garbage:tail@0", None, ENDED),
    Row("endless-line:tail", None, ENDED),
    Row("escape-storm:tail", None, ENDED),
    Row("prompt-storm:tail", None, ENDED),
    Row("silent-return:tail", None, "by itself"),
    Row("drop:tail", "connection_lost", ""),
    Row("tail-refused", "command_refused", "privilege level 1"),
    Row("invalid-path", "invalid_path", "no such file"),
    Row("no-echo", "command_timeout", "file tail"),
    Row("hang:prepare*1", "command_timeout", ""),
    Row("refuse-login", "auth_failed", ""),
)


@pytest.mark.long
def test_each_fault_has_its_outcome(tmp_path: Path) -> None:
    faults = [word for at, row in enumerate(MATRIX, 1) for word in ("--fault", f"{at}={row.fault}")]
    with (
        running_lab(len(MATRIX) + 1, *faults) as lab,
        running_daemon(tmp_path / "cucmd", CONFIG) as daemon,
        daemon.client() as client,
    ):
        before = daemon.descriptors()
        job = begin(client, lab, duration=10.0, timeouts={"answer": 20.0, "grace": 1.0})
        job = client.wait(job.job_id)
        *of_rows, well = job.nodes
        wrong = []
        for row, node in zip(MATRIX, of_rows, strict=True):
            code = node.failure.code if node.failure else None
            said = node.failure.message if node.failure else " ".join(node.notes)
            if code != row.code or row.says not in said:
                wrong.append((row.fault, code, said))
        assert wrong == []
        assert well.status == "succeeded"
        wait_until(lambda: lab.report()["connections_now"] == 0)
        assert lab.report()["defects"] == 0
        wait_until(lambda: client.status(job.job_id).closed)
        check_files(Path(job.directory))
        for file in Path(job.directory).glob("*/output/*"):
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", file.read_text())
        client.close()
        assert_nothing_open(daemon, before)
