"""Tests captures on nodes of OpenSSH, with the real `tcpdump` on the loopback interface."""

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work_request import Login, Packets
from cucmd.protocol.jobs import Job
from cucmd.reading.packets import count_packets_at
from cucmd.received_file import PacketCount as Counted
from rig.daemon import Daemon
from rig.jobs import statuses, until
from rig.openssh_node import OpenSshNode, needs_openssh
from rig.quiet import assert_nothing_open, wait_until

needs_tcpdump = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
pytestmark = [pytest.mark.long, needs_openssh, needs_tcpdump]

LONG = 600.0
MakeNode = Callable[[int], OpenSshNode]


@contextmanager
def traffic() -> Iterator[int]:
    """Sends datagrams to a port of the loopback interface until the block ends."""
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                while not over.wait(0.02):
                    sender.sendto(b"OPTIONS sip:cucm SIP/2.0\r\n\r\n" * 20, address)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield address[1]
        finally:
            over.set()
            thread.join()


def begin(client: Client, nodes: list[OpenSshNode], **fields: object) -> Job:
    login = Login(nodes[0].username, nodes[0].password)
    return client.capture([one.address for one in nodes], Packets(**fields), login=login)


def tcpdumps(nodes: list[OpenSshNode]) -> list[str]:
    return [args for one in nodes for args in one.processes() if args.startswith("tcpdump")]


def read(path: Path) -> list[str]:
    """Reads a file with `tcpdump`; returns one line per packet."""
    command = ["tcpdump", "-n", "-t", "-r", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith("IP ")]


def cap_of(client: Client, job: Job, node: str) -> Path:
    (file,) = (one for one in client.files(job.job_id, [node]) if one.exported)
    return Path(job.directory, node.replace(":", "_"), "files", file.path)


def test_tcpdump_reads_captured_files(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(1), make_node(2)]
    with daemon.client() as client, traffic() as port:
        job = begin(client, nodes, duration=1.5, port=port, host="127.0.0.1", delete=True)
        job = client.wait(job.job_id, timeout=60)
        assert statuses(job) == ["succeeded"] * 2, [one.error for one in job.nodes]
        for one in job.nodes:
            assert (one.capture.how, one.capture.running) == ("duration", False)
            path = cap_of(client, job, one.node)
            packets = read(path)
            assert len(packets) > 10
            assert all(f"127.0.0.1.{port}: UDP, length 560" in line for line in packets)
            assert count_packets_at(path, 100_000) == Counted(len(packets))
            assert one.capture.packets == len(packets)
        for one in nodes:  # and the node has removed the file
            assert list((one.root / "platform" / "cli").iterdir()) == []
        assert tcpdumps(nodes) == []


def test_capture_ends_at_count(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(1)]
    with daemon.client() as client, traffic() as port:
        job = begin(client, nodes, duration=LONG, port=port, count=15, size=60)
        job = client.wait(job.job_id, timeout=60)
        assert statuses(job) == ["succeeded"], job.nodes[0].error
        assert (job.nodes[0].capture.how, job.nodes[0].capture.packets) == ("count", 15)
        path = cap_of(client, job, nodes[0].address)
        assert len(read(path)) == 15
        assert path.stat().st_size == 24 + 15 * (16 + 60)
        left = nodes[0].root / "platform" / "cli" / path.name
        assert left.read_bytes() == path.read_bytes()  # without --delete the file stays


def test_stop_and_cancel_end_tcpdump(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(1), make_node(2)]
    before = daemon.descriptors()
    with daemon.client() as client, traffic() as port:
        stopped = begin(client, nodes, duration=LONG, port=port)
        until(client, stopped.job_id, lambda job: all(one.capture for one in job.nodes))
        wait_until(lambda: len(tcpdumps(nodes)) == 2)
        # Waits until each has written a packet, which takes a while.
        files = [one.root / "platform" / "cli" / f"{stopped.capture.name}.cap" for one in nodes]
        wait_until(lambda: all(one.exists() and one.stat().st_size > 24 for one in files))
        assert re.search(stopped.job_id, client.stop(stopped.job_id).message)
        job = client.wait(stopped.job_id, timeout=60)
        assert statuses(job) == ["succeeded"] * 2, [one.error for one in job.nodes]
        for one in job.nodes:
            assert (one.capture.how, one.capture.packets) == (
                "stop",
                len(read(cap_of(client, job, one.node))),
            )
            assert one.capture.packets > 0
        wait_until(lambda: tcpdumps(nodes) == [])

        cancelled = begin(client, nodes, duration=LONG, port=port)
        until(client, cancelled.job_id, lambda job: all(one.capture for one in job.nodes))
        wait_until(lambda: len(tcpdumps(nodes)) == 2)
        client.cancel(cancelled.job_id)
        wait_until(lambda: tcpdumps(nodes) == [])
        wait_until(lambda: client.status(cancelled.job_id).closed)
        job = client.status(cancelled.job_id)
        assert job.status == "cancelled"
        ends = [(one.capture.how, one.capture.running) for one in job.nodes]
        assert ends == [("cancelled", False)] * 2
        assert list(client.files(job.job_id)) == []
        wait_until(lambda: all(one.processes() == [] for one in nodes))
    assert_nothing_open(daemon, before)


def test_killed_daemon_leaves_no_capture(daemon: Daemon, make_node: MakeNode) -> None:
    """The node ends the capture with its session (vos/NODES.md, section 6.5)."""
    nodes = [make_node(1)]
    with daemon.client() as client:
        job = begin(client, nodes, duration=LONG)
        until(client, job.job_id, lambda job: job.nodes[0].capture is not None)
        wait_until(lambda: len(tcpdumps(nodes)) == 1)
    daemon.kill()
    wait_until(lambda: tcpdumps(nodes) == [])
