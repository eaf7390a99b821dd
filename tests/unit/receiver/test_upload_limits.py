"""Bytes, handles, listings and folders of a client are limited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.receiver.limits import MIB, ReceiverLimits, Status
from cucmd.receiver.messages import LimitReached, Open
from cucmd.receiver.sftp_packets import PacketType
from rig.sftp_client import login_of, received_by

Make = Callable[..., Any]


def test_quota_of_node_is_never_exceeded(
    make_client: Make,
) -> None:
    client = make_client(Quota(Allowance(10)))
    handle = client.open(b"a").handle
    assert client.write(handle, 0, b"1234567890").status == Status.OK
    assert client.write(handle, 10, b"1").status == Status.FAILURE
    assert client.close(handle).status == Status.FAILURE
    assert client.received.refusal.code == Code.QUOTA_EXCEEDED
    assert client.received.refusal.message == "more than 10 bytes for this node"
    assert (client.folder / "a").stat().st_size == 10
    assert client.open(b"b").status == Status.FAILURE, "no further file is begun"


def test_job_quota_is_shared(make_client: Make) -> None:
    allowance = Allowance(10)
    allowance.take(6)  # what another node of the job has pushed
    client = make_client(Quota(Allowance(100), allowance))
    handle = client.open(b"a").handle
    assert client.write(handle, 0, b"1234").status == Status.OK
    assert client.write(handle, 4, b"5").status == Status.FAILURE
    assert client.received.refusal.code == Code.QUOTA_EXCEEDED
    assert "10 bytes" in client.received.refusal.message
    assert client.received.refusal.message.endswith(" job"), "not that of the node"


def test_nodes_within_quota_are_not_refused(tmp_path: Path) -> None:
    job, limits = Allowance(100 * MIB), ReceiverLimits()
    nodes = [login_of(tmp_path, received_by(limits, Quota(job=job)), limits)[0] for _ in range(100)]
    for _ in range(9):  # 90 MiB in all
        for node in nodes:
            node.reserve_bytes(MIB // 10)


def test_closed_handle_is_free_again(make_client: Make) -> None:
    client = make_client(handles=3)
    handles = [client.open(name).handle for name in (b"a", b"b", b"c")]
    assert client.open(b"d").status == Status.FAILURE
    assert client.on_path(PacketType.OPENDIR, b"/").status == Status.FAILURE
    client.close(handles[0])
    assert client.open(b"d").kind == PacketType.HANDLE


def test_few_folders_are_open(make_client: Make) -> None:
    """Each open listing holds the entries that were not sent yet. A usual client has one."""
    client = make_client(listings=2)
    first = client.on_path(PacketType.OPENDIR, b"/").handle
    assert client.on_path(PacketType.OPENDIR, b"/nothing").status == Status.NO_SUCH_FILE
    assert client.on_path(PacketType.OPENDIR, b"/").handle
    assert client.on_path(PacketType.OPENDIR, b"/").status == Status.FAILURE
    assert client.open(b"a").handle, "files can be opened nevertheless"
    assert client.close(first).status == Status.OK
    assert client.on_path(PacketType.OPENDIR, b"/").handle


def test_folders_of_all_connections_count(make_client: Make) -> None:
    """A hostile process could otherwise make folders without end on each connection."""
    first, second = make_client(directories=2), make_client(directories=2)
    for path in (b"a", b"a", b"b"):  # one is there already, and takes nothing
        first.mkdir(path)
    second.daemon.send(Open("new folder", "c"))
    assert isinstance(second.daemon.receive(None), LimitReached)
    assert not (second.folder / "c").exists()


def test_unused_quota_is_given_back(make_client: Make) -> None:
    quota = Quota(Allowance(100 * MIB), Allowance(100 * MIB))
    client = make_client(quota)
    assert client.write(client.open(b"a").handle, 0, b"1").status == Status.OK
    client.handler.close()
    client.end()
    assert quota.job.left == 100 * MIB - 1
