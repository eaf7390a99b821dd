"""Tests that files which are costly to read delay no honest node, job or client.

OpenSSH pushes the files as they are. test_traces.py and test_packets.py test the cost of reading.
"""

import gzip
import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work_request import Collection, Login, Packets
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.jobs import statuses
from rig.meanwhile import another_client
from rig.openssh_node import SCRIPT, OpenSshNode, needs_openssh
from rig.quiet import assert_nothing_at_work, wait_until

pytestmark = [pytest.mark.long, needs_openssh]

FOLDER = "cm/trace"
# Seconds of the worst call of another client. On an idle machine it takes less than 0.1 s.
WORST = 1.0
# The coverage of an honest node here. None of its outputs has the zone of its clock.
READ = "time stamps from"
MakeNode = Callable[..., OpenSshNode]


def log4j(*ago: int) -> bytes:
    """Writes a line for each number of minutes before now."""
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
    """Puts a hundred traces of half a megabyte on the node, each of which expands to 540 MB."""
    part = gzip.compress(b" " * 54 * 1000**2)
    names = [f"{a}{b}.log.gz" for a, b in product("abcdefghij", repeat=2)]
    put(node, gzip.compress(log4j(180) + b" " * 100_000) + part * 10, names)


def collect(client: Client, *nodes: OpenSshNode) -> Job:
    job = client.start(
        [node.address for node in nodes],
        login=Login(nodes[0].username, nodes[0].password),
        work=Collection(paths=(FOLDER,), last="2h"),
    )
    # Each gzip is read to its end first, in up to 34 s of processor time, which the daemon limits.
    job = client.wait(job.job_id, timeout=300)
    assert statuses(job) == ["succeeded"] * len(nodes), [node.error for node in job.nodes]
    return job


def status_of(job: Job) -> Callable[[Client], object]:
    return lambda client: client.status(job.job_id)


def test_exploding_traces_delay_no_other_job(
    daemon: Daemon, make_node: MakeNode, tmp_path: Path
) -> None:
    odd, first = make_node(1), make_node(2)
    exploding(odd)
    honest(first)
    with daemon.client() as client:
        hostile = collect(client, odd, first)
        with another_client(daemon, status_of(hostile), WORST):
            other = collect(client, first)
            done = daemon.ctl("export", other.job_id, "-o", str(tmp_path / "o"), "--format", "dir")
            assert done.returncode == 0, done.stderr
            assert READ in (tmp_path / "o" / "summary.txt").read_text()
            wait_until(lambda: READ in (client.status(hostile.job_id).nodes[1].coverage or ""))
            unread = client.status(hostile.job_id).nodes[0]
            assert unread.coverage is None, "its reading is not at its end yet"
        client.delete(hostile.job_id)
        assert_nothing_at_work(daemon, hostile.job_id)


def capturing(make_node: MakeNode, folder: Path) -> OpenSshNode:
    """Makes a node whose capture has a hundred megabytes of records without a packet."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIII", 1, 2, 0, 60)
    (folder / "crafted").write_bytes(header + record * (100 * 1000**2 // len(record)))
    (folder / "bin").mkdir()
    fake = folder / "bin" / "tcpdump"
    fake.write_text(
        f'#!/bin/bash\nwhile [ "$1" != -w ]; do shift; done; cp "{folder}/crafted" "$2"\n'
    )
    fake.chmod(0o755)
    return make_node(1, command=f"env PATH={folder}/bin:/usr/bin:/bin {SCRIPT}")


def capture(client: Client, node: OpenSshNode) -> Job:
    login = Login(node.username, node.password)
    return client.capture([node.address], Packets(duration=60, count=1000), login=login)


def test_endless_capture_records_delay_nobody(
    daemon: Daemon, make_node: MakeNode, tmp_path: Path
) -> None:
    node = capturing(make_node, tmp_path)
    with daemon.client() as client:
        job = capture(client, node)
        with another_client(daemon, status_of(job), WORST):
            job = client.wait(job.job_id, timeout=120)
        assert statuses(job) == ["succeeded"], job.nodes[0].error
        assert job.nodes[0].capture.packets is None
        assert any("packets" in note for note in job.nodes[0].notes)
        assert_nothing_at_work(daemon, job.job_id)
