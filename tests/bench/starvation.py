"""Measures how long a fixed job takes alone, and while one machine attacks the daemon.

The job runs alone before and after each attack, so that other work of the machine delays both. The
attacker is a process of its own. Its processor time is a figure too, since the daemon lacks it.
"""

from __future__ import annotations

import grp
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cucmctl import Client
from rig.attackers import attacker, cpu_seconds
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab, running_lab
from rig.others import allow_all_to_connect

NODES = 4
SIZE = 500_000  # bytes of a file; a node has twelve
PATIENCE = 120.0  # seconds; a job that takes longer is cancelled, and counts as that long

# attack -> its name in the table
ATTACKS = {
    "ignore": "16 connections of IGNORE packets before a login",
    "exchange": "8 connections of key exchanges before a login",
    "node": "a node that sends empty packets without end",
    "idle": "300 connections that say nothing",
    "crowd": "600 connections of 40 addresses that say nothing",
    "connect": "a local user that connects and leaves",
    "unread": "a local user that sends calls and reads no reply",
    "brackets": "a local user that sends megabytes of brackets",
}
# These need root: the attacker takes the id of a user of the view group.
LOCAL = ("connect", "unread", "brackets")
UID = 61001
VIEW = next(group for group in grp.getgrall() if group.gr_gid)


def run(rounds: int = 3) -> dict[str, Any]:
    """Returns the figures of each attack.

    `alone` and `under` are the median times of a job, in seconds; `ratio` is the median of their
    ratios. `succeeded` counts the jobs under attack that succeeded; `attacker` is the share of a
    processor that the attacker takes.
    """
    config = f"{CONFIG}[ssh]\nhost_keys = 'off'\n[access]\nview_group = '{VIEW.gr_name}'\n"
    with (
        tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder,
        running_lab(NODES, "--size", str(SIZE)) as lab,
        running_daemon(Path(folder) / "cucmd", config, checks=False) as daemon,
        daemon.client() as client,
    ):
        allow_all_to_connect(daemon)
        _job(client, lab)  # not measured: it starts threads and exchanges the first keys
        attacks = [name for name in ATTACKS if name not in LOCAL or os.geteuid() == 0]
        return {name: _measure(name, rounds, daemon, client, lab) for name in attacks}


def _measure(name: str, rounds: int, daemon: Daemon, client: Client, lab: Lab) -> dict[str, Any]:
    pairs, succeeded, shares = [], 0, []
    for _ in range(rounds):
        before, _ = _job(client, lab)
        with _attack(name, daemon, client) as pid:
            used, began = cpu_seconds(pid), time.perf_counter()
            under, status = _job(client, lab)
            shares.append((cpu_seconds(pid) - used) / (time.perf_counter() - began))
        after, _ = _job(client, lab)
        pairs.append(((before + after) / 2, under))
        succeeded += status == "succeeded"
    return {
        "attack": ATTACKS[name],
        "rounds": rounds,
        "alone": statistics.median(alone for alone, _ in pairs),
        "under": statistics.median(under for _, under in pairs),
        "ratio": statistics.median(under / alone for alone, under in pairs),
        "succeeded": succeeded,
        "attacker": statistics.median(shares),
    }


def _job(client: Client, lab: Lab) -> tuple[float, str]:
    began = time.perf_counter()
    job_id = start(client, lab, last="24h").job_id
    try:
        status = client.wait(job_id, timeout=PATIENCE).status
    except TimeoutError:
        client.cancel(job_id)
        status = client.wait(job_id).status
    return time.perf_counter() - began, status


@contextmanager
def _attack(name: str, daemon: Daemon, client: Client) -> Iterator[int]:
    """Starts an attack; yields the id of the attacking process."""
    if name in LOCAL:
        with attacker(name, daemon.socket, UID, VIEW.gr_gid) as facts:
            time.sleep(1)
            yield facts["pid"]
        return
    if name != "node":
        with attacker(name, daemon.receiver_port) as facts:
            time.sleep(1)  # the first connections cost less than the later ones
            yield facts["pid"]
        return
    with attacker(name, "127.9.0.1") as facts:
        job_id = start(client, _Hostile(), [facts["address"]]).job_id  # type: ignore[arg-type]
        while client.status(job_id).nodes[0].phase == "connect":
            time.sleep(0.1)
        yield facts["pid"]
        node = client.wait(job_id).nodes[0]
        assert node.failure is not None
        assert node.failure.code == "connection_lost", node.failure


def rows_of(figures: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields lines of a table: a label, a value and an aim."""
    for found in figures.values():
        yield found["attack"], "", ""
        yield "    a fixed job, alone", f"{found['alone']:.1f} s", ""
        yield "    under attack", f"{found['under']:.1f} s", ""
        yield "    ratio, median of pairs", f"{found['ratio']:.2f}", "<= 1.2"
        ended = f"{found['succeeded']} of {found['rounds']}"
        yield "    jobs under attack that succeeded", ended, "all"
        yield "    the attacker's share of a processor", f"{found['attacker']:.0%}", ""


class _Hostile:
    """A login for the node of the attacker, which accepts every login."""

    username, password = "administrator", "any password does"
