"""Traces and captures that cost more than what was sent, beside honest nodes, jobs and clients.

The nodes are OpenSSH's, so that the files come as they are. What their reading costs is tested with
pure functions (test_traces.py, test_pcap.py); here it is whether anybody else waits for it.
"""

import gzip
import os
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.asked import Collection, Login, Packets
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.jobs import statuses
from rig.meanwhile import another_client
from rig.openssh_node import SCRIPT, OpenSshNode, openssh_node, why_not
from rig.quiet import wait_until

pytestmark = [pytest.mark.long, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

PASSWORD = "Platform-Secret-1"
FOLDER = "cm/trace"
# Seconds of the worst call of another client. It is below 0.1 where nothing else runs on the
# machine; tests may share it with others.
WORST, WITHIN = 1.0, 60.0
# What is said of an honest node here: its clock's zone is in the output of no command of it.
READ = "time stamps from"
MakeNode = Callable[..., OpenSshNode]


@pytest.fixture
def make_node(stack: ExitStack, tmp_path: Path) -> MakeNode:
    def make(number: int, **fields: str) -> OpenSshNode:
        address = f"127.4.0.{number}"
        return stack.enter_context(
            openssh_node(tmp_path / f"node{number}", address, PASSWORD, **fields)
        )

    return make


def log4j(*ago: int) -> bytes:
    """A line for each, so many minutes ago."""
    now = datetime.now(UTC)
    moments = [now - timedelta(minutes=minutes) for minutes in ago]
    return b"".join(f"{one:%Y-%m-%d %H:%M:%S},001 INFO  [x] y\n".encode() for one in moments)


def put(node: OpenSshNode, content: bytes, names: list[str]) -> None:
    folder = node.root / FOLDER
    folder.mkdir(parents=True)
    first = folder / names[0]
    first.write_bytes(content)
    for name in names[1:]:
        os.link(first, folder / name)


def honest(node: OpenSshNode) -> None:
    put(node, log4j(180, 1), ["a.log"])


def exploding(node: OpenSshNode) -> None:
    """A hundred traces of half a megabyte, each of which unpacks to 540 MB."""
    part = gzip.compress(b" " * 54 * 1000**2)
    names = [f"{a}{b}.log.gz" for a, b in product("abcdefghij", repeat=2)]
    put(node, gzip.compress(log4j(180) + b" " * 100_000) + part * 10, names)


def wrapping(node: OpenSshNode) -> None:
    """It passes midnight three million times."""
    now = datetime.now(UTC)
    head = f"28131994.000 |{now:%H:%M:%S}.000 |FileHead |UTC:+00:00,Date: {now:%Y/%m/%d}, x\n"
    day = b"28131995.000 |00:00:00.000 |\n28131995.000 |12:00:00.000 |\n"
    put(node, gzip.compress(head.encode() + day * 3_000_000, 1), ["SDL.txt.gz"])


def collect(client: Client, *nodes: OpenSshNode) -> Job:
    job = client.start(
        [node.address for node in nodes],
        login=Login(nodes[0].username, nodes[0].password),
        collection=Collection(paths=(FOLDER,), last="2h"),
    )
    job = client.wait(job.job_id, timeout=120)
    assert statuses(job) == ["succeeded"] * len(nodes), [node.error for node in job.nodes]
    return job


def coverages(client: Client, job: Job) -> list[str | None]:
    return [node.coverage for node in client.status(job.job_id).nodes]


def status_of(job: Job) -> Callable[[Client], object]:
    return lambda client: client.status(job.job_id)


def opened(daemon: Daemon) -> list[str]:
    """What the daemon's processes have open."""
    paths = []
    for pid in daemon.tree():
        with suppress(FileNotFoundError):  # it has ended, or closed one
            paths += [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()]
    return paths


def assert_nothing_at_work(daemon: Daemon, job: Job) -> None:
    """Asserts it from a second on."""
    time.sleep(1)
    before = daemon.cpu()
    time.sleep(1)
    assert daemon.cpu() - before < 0.1
    assert not [path for path in opened(daemon) if job.job_id in path]


def test_exploding_traces_hold_up_no_other_node_job_or_client(
    daemon: Daemon, make_node: MakeNode, tmp_path: Path
) -> None:
    odd, first, second = make_node(1), make_node(2), make_node(3)
    exploding(odd)
    honest(first)
    honest(second)
    with daemon.client() as client:
        hostile = collect(client, odd, first, second)
        with another_client(daemon, status_of(hostile), WORST):
            other = collect(client, first)
            done = daemon.ctl("export", other.job_id, "-o", str(tmp_path / "o"), "--format", "dir")
            assert done.returncode == 0, done.stderr
            assert READ in (tmp_path / "o" / "summary.txt").read_text()
            wait_until(lambda: None not in coverages(client, hostile)[1:], WITHIN)
            said = coverages(client, hostile)
            assert all(READ in one for one in said[1:])
            assert said[0] is None, "its reading is not at its end yet"
        client.delete(hostile.job_id)
        assert_nothing_at_work(daemon, hostile)


def test_a_stop_does_not_wait_for_exploding_traces(daemon: Daemon, make_node: MakeNode) -> None:
    odd = make_node(1)
    exploding(odd)
    with daemon.client() as client:
        collect(client, odd)
        wait_until(lambda: any("/files/" in path for path in opened(daemon)))
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5


def test_a_trace_that_passes_midnight_again_and_again_is_read_once(
    daemon: Daemon, make_node: MakeNode
) -> None:
    odd, other = make_node(1), make_node(2)
    wrapping(odd)
    honest(other)
    with daemon.client() as client:
        job = collect(client, odd, other)
        with another_client(daemon, status_of(job), WORST):
            wait_until(lambda: None not in coverages(client, job), WITHIN)
        said = coverages(client, job)
        assert said[0].startswith("unknown")
        assert READ in said[1]
        revision = client.status(job.job_id).revision
        assert_nothing_at_work(daemon, job)  # though it was asked for by `Status`
        assert client.status(job.job_id).revision == revision
    assert "a defect" not in daemon.log.read_text()


@pytest.mark.parametrize("length", [0, 1])
def test_a_capture_of_records_that_cost_more_than_packets(
    daemon: Daemon, make_node: MakeNode, tmp_path: Path, length: int
) -> None:
    """A hundred megabytes of them: six million records."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIII", 1, 2, length, 60) + bytes(length)
    (tmp_path / "crafted").write_bytes(header + record * (100 * 1000**2 // len(record)))
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "tcpdump"
    fake.write_text(
        f'#!/bin/bash\nwhile [ "$1" != -w ]; do shift; done; cp "{tmp_path}/crafted" "$2"\n'
    )
    fake.chmod(0o755)
    node = make_node(1, command=f"env PATH={tmp_path}/bin:/usr/bin:/bin {SCRIPT}")
    with daemon.client() as client:
        login = Login(node.username, node.password)
        job = client.capture([node.address], Packets(duration=60, count=1000), login=login)
        with another_client(daemon, status_of(job), WORST):
            job = client.wait(job.job_id, timeout=120)
        assert statuses(job) == ["succeeded"], job.nodes[0].error
        assert job.nodes[0].capture.packets is None
        assert any("packets it has is not known" in note for note in job.nodes[0].notes)
        assert_nothing_at_work(daemon, job)
