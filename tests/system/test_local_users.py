"""Tests the bounds of what one local user costs: replies, memory, log lines and jobs."""

import grp
import json
import socket
from collections.abc import Callable

import pytest

from cucmd.service.log import MOST_RECORDS
from rig.attackers import attacker
from rig.daemon import Daemon
from rig.others import allow_all_to_connect, ctl_as, needs_root
from rig.quiet import wait_until

MEGABYTE = "x" * 1_000_000
LOGIN = {"username": "administrator", "password": "Bounded-Secret-1"}
START = {"nodes": ["127.0.0.1:1"], "login": LOGIN, "collection": {"paths": ["syslog/*"]}}
CALLS = {
    "an unknown method": ("io.cucmd.Jobs." + MEGABYTE, {}),
    "an unknown interface": (MEGABYTE + ".Status", {}),
    "an unknown field": ("io.cucmd.Jobs.List", {MEGABYTE: 1}),
    "Status": ("io.cucmd.Jobs.Status", {"job_id": MEGABYTE}),
    "a request_id": ("io.cucmd.Jobs.Cancel", {"job_id": "0123", "request_id": MEGABYTE}),
    "a node": ("io.cucmd.Jobs.Start", START | {"nodes": [MEGABYTE]}),
    "a password": ("io.cucmd.Jobs.Start", START | {"login": LOGIN | {"password": MEGABYTE}}),
    "a path": ("io.cucmd.Jobs.Start", START | {"collection": {"paths": [MEGABYTE]}}),
    "a window": (
        "io.cucmd.Jobs.Start",
        START | {"collection": {"paths": ["a"], "last": "1m" * 400_000}},
    ),
}


def connect(daemon: Daemon) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(30)
    peer.connect(str(daemon.socket))
    return peer


def frame(method: str, parameters: dict) -> bytes:
    return json.dumps({"method": method, "parameters": parameters, "more": True}).encode() + b"\0"


def reply(peer: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\0"):
        received += (data := peer.recv(65536))
        if not data:
            raise ConnectionResetError
    return received


@pytest.mark.long
@pytest.mark.parametrize("what", CALLS)
def test_no_error_repeats_a_megabyte(shared_daemon: Daemon, what: str) -> None:
    logged = shared_daemon.log.stat().st_size
    with connect(shared_daemon) as peer:
        peer.sendall(frame(*CALLS[what]))
        answer = reply(peer)
    assert "error" in json.loads(answer[:-1])
    assert len(answer) < 1000
    assert shared_daemon.log.stat().st_size - logged < 2000


@pytest.mark.long
@needs_root
@pytest.mark.parametrize("kind", ["connect", "unread", "brackets"])
def test_attacking_user_is_served_later(make_daemon: Callable[..., Daemon], kind: str) -> None:
    """Others are served meanwhile, and the log names only some of the refused connections."""
    uid, group = 61001, next(group for group in grp.getgrall() if group.gr_gid)
    daemon = make_daemon(f'[access]\nview_group = "{group.gr_name}"\n')
    allow_all_to_connect(daemon)
    with attacker(kind, daemon.socket, uid, group.gr_gid):
        for _ in range(30):
            with daemon.client() as client:
                client.list()

    def served() -> bool:
        return ctl_as(daemon, uid, "list", gid=group.gr_gid).returncode == 0

    wait_until(served, within=20)
    lines = daemon.log.read_text().splitlines()
    assert len([line for line in lines if f"refused a connection of uid {uid}" in line]) <= (
        2 * MOST_RECORDS  # it can take more than a minute
    )
