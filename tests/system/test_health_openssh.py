"""Tests `health` of OpenSSH nodes that print the published outputs of several releases.

A node does not know a command whose output was not published for its release. So the facts of that
command stay unknown, and nothing else does.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from cucmctl import Login
from cucmd.job.health import BAD, CHECKS, GOOD, LOOK, UNREAD, Health
from rig.daemon import Daemon
from rig.openssh_node import OpenSshNode, needs_openssh, openssh_node
from unit.vos.outputs import OUTPUTS

pytestmark = [pytest.mark.long, needs_openssh]

PASSWORD = "Platform-Secret-1"
# The outputs that a node prints, by their names, and the checks that are not good.
NODES: dict[str, tuple[Sequence[str], dict[str, str]]] = {
    "15": (
        (
            "version 15",
            "cluster 15, hosted",
            "replication 15, a status command runs",
            "ntp 15, chronyd",
        ),
        {"version": GOOD, "cluster": GOOD, "replication": BAD, "ntp": GOOD},
    ),
    "14": (
        ("replication 14", "services that were stopped"),
        {"replication": GOOD, "services": LOOK},
    ),
    "12.5": (("status 12.5", "replication of a single node"), {"disk": BAD, "replication": GOOD}),
    "11.5": (
        ("ntp 11.5, unsynchronised", "services of HCM-F"),
        {"ntp": BAD, "services": BAD},
    ),
    "10.5": (("cluster 10.5, publisher", "ntp 10.5, publisher"), {"cluster": GOOD, "ntp": GOOD}),
    "10.0": (
        ("status 10.0", "replication 10.0", "ntp 10.5, restarting, no table"),
        {"disk": GOOD, "replication": GOOD, "ntp": BAD},
    ),
    # Its core files are years old.
    "an old release": (
        ("cluster of an old release, one not authenticated", "replication 9", "core files"),
        {"cluster": BAD, "replication": GOOD, "cores": GOOD},
    ),
    "IM and Presence": (
        (
            "cluster, asked of IM and Presence",
            "replication of IM and Presence, the table alone",
            "high availability, failed over",
        ),
        {"cluster": GOOD, "replication": GOOD, "availability": BAD},
    ),
}
# The facts that the script prints of itself.
OTHERWISE = {"disk": GOOD}
# Only a publisher has backups. Only a node that has printed its cluster is known to be no publisher
# or to run IM and Presence.
NOT_OF = {"IM and Presence": "backup"}


@pytest.fixture
def nodes(stack: ExitStack, tmp_path: Path) -> list[OpenSshNode]:
    made = []
    for number, (outputs, _) in enumerate(NODES.values(), 1):
        folder = tmp_path / f"node{number}"
        node = stack.enter_context(openssh_node(folder, f"127.9.0.{number}", PASSWORD))
        said = folder / "activelog.says"
        said.mkdir()
        for output in map(OUTPUTS.__getitem__, outputs):
            (said / output.command).write_text("\n".join((*output.lines, "")))
        made.append(node)
    return made


def test_published_outputs_are_judged(daemon: Daemon, nodes: list[OpenSshNode]) -> None:
    with daemon.client() as client:
        login = Login(nodes[0].username, PASSWORD)
        job = client.health([one.address for one in nodes], login=login)
        job = client.wait(job.job_id, timeout=120)
        assert job.status == "succeeded", [node.error for node in job.nodes]
        for (release, (_, states)), node in zip(NODES.items(), job.nodes, strict=True):
            assert isinstance(node.health, Health)
            has = [one for one in CHECKS if one != NOT_OF.get(release, "availability")]
            expected = {check: {(OTHERWISE | states).get(check, UNREAD)} for check in has}
            found = {check: set[str]() for check in has}
            for one in node.health.findings:
                found[one.check].add(one.state)
            # The times in the published outputs are years old, which is wrong or unknown.
            assert found.pop("clock") <= {LOOK, UNREAD}
            del expected["clock"]
            assert found == expected, release
