"""Tries how far a check with `--receiver` comes at the faults of a lab node, and what it says is
wrong.

A fault or two for each step of a check; `test_fault_matrix.py` has them all, by the same dialogue.
All at once, each on a node of its own, beside one that is well.
"""

from collections.abc import Iterator

import pytest

from cucmd.job.asked import How, Login, Timeouts
from cucmd.job.check import Checked
from cucmd.protocol.jobs import Node
from rig.daemon import running_daemon
from rig.lab import running_lab
from rig.quiet import assert_nothing_open, wait_until

pytestmark = pytest.mark.long

# fault -> the first step that the node does not pass, and the code
ROWS = {
    "refuse-tcp": ("reachable", "connection_refused"),
    "drop-syn": ("reachable", "connect_timeout"),
    "kex": ("host_key", "no_common_algorithm"),
    "hang:accept": ("host_key", "connect_timeout"),
    "refuse-login": ("login", "auth_failed"),
    "drop:login": ("login", "connection_lost"),
    "login-question": ("prompt", "login_question"),
    "no-prompt": ("prompt", "login_timeout"),
    "garbage:prepare": ("version", "command_timeout"),
    # Before it gets a file a check lists those that are there.
    "invalid-path": ("receiver", "no_files_matched"),
    "endless-list": ("receiver", "command_timeout"),
    "unreachable": ("receiver", "receiver_unreachable"),
    "upload-short": ("receiver", "transfer_incomplete"),
    "no-echo": (None, None),
    "archive-cut": (None, None),  # a check lets no node pack its file
}
# A node without echo is confirmed by 5 s of silence, six times.
TIMEOUTS = Timeouts(connect=10.0, login=15.0, answer=20.0, command=30.0, stall=20.0, grace=1.0)


def first_missing(checked: Checked | None) -> str | None:
    """Names the first step that a node has not passed; None: all are passed."""
    seen = checked or Checked()
    passed = {
        "reachable": seen.reachable,
        "host_key": seen.host_key in ("known", "new"),
        "login": seen.login,
        "prompt": seen.prompt,
        "version": seen.version,
        "receiver": seen.receiver == "ok",
    }
    return next((name for name, good in passed.items() if not good), None)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Node]]:
    """Yields the nodes by their faults; "" is well."""
    options = ["--files", "3", "--size", "20000"]
    for number, fault in enumerate(ROWS, 1):
        options += ["--fault", f"{number}={fault}"]
    with (
        running_daemon(tmp_path_factory.mktemp("checks") / "cucmd") as daemon,
        running_lab(len(ROWS) + 1, *options) as lab,
    ):
        before = daemon.descriptors()
        login, how = Login(lab.username, lab.password), How(timeouts=TIMEOUTS, try_all=True)
        with daemon.client() as client:
            job = client.wait(client.check(lab.nodes, login=login, receiver=True, how=how).job_id)
        wait_until(lambda: lab.report()["connections_now"] == 0)
        assert_nothing_open(daemon, before)
        assert lab.report()["defects"] == 0
        yield dict(zip([*ROWS, ""], job.nodes, strict=True))


@pytest.mark.parametrize(("fault", "step", "code"), [(fault, *row) for fault, row in ROWS.items()])
def test_a_check_says_how_far_it_came_and_what_is_wrong(
    nodes: dict[str, Node], fault: str, step: str | None, code: str | None
) -> None:
    node = nodes[fault]
    assert (node.failure.code if node.failure else None) == code, node.error
    assert first_missing(node.checked) == step
    assert node.failure is None or node.failure.hint
    if step == "receiver":
        assert node.checked.receiver == "failed"


def test_the_others_are_well(nodes: dict[str, Node]) -> None:
    assert (nodes[""].status, first_missing(nodes[""].checked)) == ("succeeded", None)
