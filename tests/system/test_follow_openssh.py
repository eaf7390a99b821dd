"""Tests `follow` on OpenSSH nodes, with `tail -f` on a file that grows."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work_request import How, Login, Tail, Timeouts
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.inspection import check_files
from rig.jobs import statuses
from rig.openssh_node import OpenSshNode, needs_openssh
from rig.quiet import assert_nothing_open, wait_until

pytestmark = [pytest.mark.long, needs_openssh]

PATH = "syslog/messages"
LONG = 600.0
MakeNode = Callable[[int], OpenSshNode]


def file_on(node: OpenSshNode) -> Path:
    path = node.root / PATH
    path.parent.mkdir(exist_ok=True)
    return path


@contextmanager
def growing(nodes: list[OpenSshNode]) -> Iterator[None]:
    """Writes lines to the file of each node until the block ends; the first 20 are there before.

    A line has its number, and is written in two parts.
    """
    over = threading.Event()
    files = [file_on(node).open("w") for node in nodes]

    def write(number: int) -> None:
        for file in files:
            for part in (f"{number:06} of ", "messages\n"):
                file.write(part)
                file.flush()

    def write_on() -> None:
        number = 20
        while not over.wait(0.01):
            write(number := number + 1)

    for number in range(1, 21):
        write(number)
    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for file in files:
            file.close()


def begin(client: Client, nodes: list[OpenSshNode], path: str = PATH, **fields: object) -> Job:
    login = Login(nodes[0].username, nodes[0].password)
    how = How(timeouts=Timeouts(grace=3.0))
    tail = Tail(path, **{"duration": LONG, **fields})
    return client.follow([one.address for one in nodes], tail, login=login, how=how)


def numbers(text: str) -> list[int]:
    lines = text.splitlines()
    assert [line for line in lines if not line.endswith(" of messages")] == []
    return [int(line.split()[0]) for line in lines]


def read_until(client: Client, job: Job, number: int) -> dict[str, str]:
    """Reads until each node has printed the line of that number; returns what came."""
    texts = {node.node: "" for node in job.nodes}
    for piece in client.output(job.job_id, follow=True):
        texts[piece.node] += piece.text
        if all(text and numbers(text)[-1] >= number for text in texts.values()):
            return texts
    raise AssertionError(f"it ended: {[node.error for node in client.status(job.job_id).nodes]}")


def tails(nodes: list[OpenSshNode]) -> list[str]:
    return [args for one in nodes for args in one.processes() if args.startswith("tail ")]


def test_lines_come_once_in_order(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(1), make_node(2)]
    before = daemon.descriptors()
    with daemon.client() as client, growing(nodes):
        job = begin(client, nodes)
        came = read_until(client, job, 200)
        client.stop(job.job_id)
        job = client.wait(job.job_id)
        assert statuses(job) == ["succeeded"] * 2, [one.error for one in job.nodes]
        assert [one.notes for one in job.nodes] == [(), ()]
        for node in job.nodes:
            pieces = list(client.output(job.job_id, [node.node]))
            text = "".join(piece.text for piece in pieces)
            assert text.startswith(came[node.node])
            found = numbers(text)
            assert found == list(range(found[0], found[-1] + 1))
            assert found[-1] >= 200
        check_files(Path(job.directory))
        wait_until(lambda: all(one.processes() == [] for one in nodes))
    assert_nothing_open(daemon, before)


def test_node_applies_pattern_and_recent(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(1)]
    with daemon.client() as client, growing(nodes):
        job = begin(client, nodes, "syslog", recent=True, regexp="0.of")
        read_until(client, job, 100)
        client.stop(job.job_id)
        job = client.wait(job.job_id)
        assert statuses(job) == ["succeeded"], job.nodes[0].error
        text = "".join(piece.text for piece in client.output(job.job_id))
        assert {number % 10 for number in numbers(text)} == {0}
        wait_until(lambda: tails(nodes) == [])


def test_cancel_ends_tail(daemon: Daemon, make_node: MakeNode) -> None:
    node = make_node(1)
    before = daemon.descriptors()
    with daemon.client() as client, growing([node]):
        job = begin(client, [node])
        read_until(client, job, 50)
        client.cancel(job.job_id)
        wait_until(lambda: client.status(job.job_id).closed)
        job = client.status(job.job_id)
        assert statuses(job) == ["cancelled"]
        assert [file.complete for file in client.files(job.job_id)] == [False]
        numbers("".join(piece.text for piece in client.output(job.job_id)))
        check_files(Path(job.directory))
        wait_until(lambda: node.processes() == [])
    assert_nothing_open(daemon, before)


def test_killed_daemon_leaves_no_tail(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(1)]
    with daemon.client() as client, growing(nodes):
        read_until(client, begin(client, nodes), 30)
        assert len(tails(nodes)) == 1
        daemon.kill()
        wait_until(lambda: tails(nodes) == [])
