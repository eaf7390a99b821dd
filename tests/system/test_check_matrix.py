"""The fault matrix, checked: what a check with `--receiver` says of every fault of a lab node.

The faults, their outcomes and their timeouts are those of `test_fault_matrix.py`: a check gets its
file by the same dialogue. Beside the failure each row shows how far the node came. The table is
printed.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from cucmctl import Client
from cucmd.job.asked import How, Login, Timeouts
from cucmd.job.check import Checked
from cucmd.protocol.jobs import Job, Node
from rig.daemon import CONFIG, running_daemon
from rig.lab import Lab, free_port, running_lab
from rig.quiet import assert_nothing_open, wait_until
from system.test_fault_matrix import (
    GRACE,
    HEALTHY,
    JOBS,
    MATRIX,
    SLACK,
    TIMEOUTS,
    Row,
    unmeasured,
)

pytestmark = pytest.mark.long
__all__ = ["unmeasured"]  # a fixture

# Seconds for each plain command of the node whose listing never ends, which is a job of its own.
# Others use the CPU meanwhile.
LISTING = 20.0
ENDLESS = next(number for number, row in enumerate(MATRIX) if row.fault == "endless-list")
GROUPS = [[number for number in numbers if number != ENDLESS] for numbers in JOBS] + [[ENDLESS]]
# Where a check does not end as a collection, because the file that it gets is listed before. Of a
# node without echo a prompt is confirmed by 5 s of silence, and a check has six commands.
OTHERWISE = {
    "no-echo": Row("no-echo", None, after=25.0),
    # A check gets one file, and lets no node pack it.
    **{fault: Row(fault, None) for fault in ("archive-cut", "archive-cut@2000")},
    **{
        fault: Row(fault, "transfer_incomplete", "announced")
        for fault in ("upload-short", "announce-more")
    },
    "invalid-path": Row("invalid-path", "no_files_matched", "no file of 1 to"),
    "endless-list": Row("endless-list", "command_timeout", "file list", LISTING),
}
# fault -> the step at which the node fails. Without one: the file, or none if it succeeds.
STEPS = {
    **dict.fromkeys(("refuse-tcp", "drop-syn"), "reachable"),
    **dict.fromkeys(("close-after-accept", "not-ssh", "kex"), "host_key"),
    **dict.fromkeys(("hang:accept", "drop:accept", "drop:login*1 key-changed"), "host_key"),
    **dict.fromkeys(("refuse-login", "lockout@0", "hang:login", "drop:login"), "login"),
    **dict.fromkeys(("endless-banner", "no-prompt", "login-question"), "prompt"),
    **{f"{kind}:banner": "prompt" for kind in ("hang", "drop", "garbage")},
    **{f"{kind}:prompt": "prompt" for kind in ("hang", "drop", "garbage")},
    **{f"{kind}:prepare": "version" for kind in ("hang", "drop", "garbage")},
    "prompt-no-echo": "version",
}


class Outcome(NamedTuple):
    """A fault, what must come out, and the node."""

    row: Row
    node: Node

    @property
    def code(self) -> str | None:
        return self.node.failure.code if self.node.failure else None

    def wrong(self) -> str | None:
        """What of the row is not so."""
        if self.code != self.row.code:
            return f"expected {self.row.code or 'success'}"
        if self.row.says.lower() not in (self.node.error or "").lower():
            return f"the message lacks {self.row.says!r}"
        if self.node.failure and not self.node.failure.hint:
            return "no hint"
        seen = self.node.checked or Checked()
        step = STEPS.get(self.row.fault, "receiver" if self.row.code else None)
        if first_missing(seen) != step:
            return f"expected to come to {step or 'the end'}, not {seen}"
        if step == "receiver" and (self.code == "node_timeout") == (seen.receiver == "failed"):
            return f"the receiver is {seen.receiver!r}"
        started, ended = self.node.started_at, self.node.completed_at
        assert started is not None
        assert ended is not None
        seconds = (ended - started).total_seconds()
        if not self.row.after - 0.5 <= seconds <= self.row.after + GRACE + SLACK:
            return f"took {seconds:.1f} s"
        return None

    def line(self) -> str:
        at = first_missing(self.node.checked) or ""
        said = (self.node.error or "; ".join(self.node.notes))[:60]
        return f"{self.row.fault:<27}{at:<10}{self.code or 'succeeded':<22}{said}"


def first_missing(checked: Checked | None) -> str | None:
    """The first step that a node has not passed; None: all are passed."""
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
def outcomes(unmeasured: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Outcome]]:
    """Of each row, in their order; then of the nodes without a fault."""
    folder = tmp_path_factory.mktemp("checks")
    options = ["--files", "3", "--size", "20000", "--port", free_port()]
    for number, row in enumerate(MATRIX, 1):
        for fault in row.fault.split():
            options += ["--fault", f"{number}={fault}"]
    config = CONFIG + "connections = 400\n"
    with (
        running_daemon(folder / "cucmd", config) as daemon,
        running_lab(len(MATRIX) + HEALTHY, *options) as lab,
    ):
        before = daemon.descriptors()
        with daemon.client() as client:
            started = [check_rows(client, lab, numbers) for numbers in GROUPS]
            jobs = [client.wait(job.job_id) for job in started]
        wait_until(lambda: lab.report()["connections_now"] == 0)
        assert_nothing_open(daemon, before)
        assert lab.report()["defects"] == 0
        found = {
            number: node
            for numbers, job in zip(GROUPS, jobs, strict=True)
            for number, node in zip(numbers, job.nodes, strict=False)
        }
        ended = [
            Outcome(OTHERWISE.get(row.fault, row), found[number])
            for number, row in enumerate(MATRIX)
        ]
        yield [*ended, *(Outcome(Row("", None), node) for node in jobs[0].nodes[-HEALTHY:])]


def check_rows(client: Client, lab: Lab, numbers: Sequence[int]) -> Job:
    """One job; of its timeouts only that of its rows is short."""
    after = MATRIX[numbers[0]].after
    nodes = [lab.nodes[number] for number in numbers]
    timeouts = {"grace": GRACE}
    if numbers == [ENDLESS]:
        timeouts["answer"] = LISTING
    elif after:
        if TIMEOUTS[after] == "command":  # may not be shorter than that to connect
            timeouts["connect"] = after
        timeouts[TIMEOUTS[after]] = after
    else:
        nodes += lab.nodes[-HEALTHY:]
    return client.check(
        nodes,
        login=Login(lab.username, lab.password),
        receiver=True,
        how=How(timeouts=Timeouts(**timeouts), concurrency=400, try_all=True),
    )


def test_a_check_says_for_each_fault_what_is_wrong(
    outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{'fault':<27}{'came to':<10}{'came out as':<22}message")
        for outcome in outcomes:
            print(outcome.line())
    assert [f"{one.line()}: {why}" for one in outcomes if (why := one.wrong())] == []


def test_what_the_matrix_names_is_in_it(outcomes: list[Outcome]) -> None:
    faults = {row.fault for row in MATRIX}
    assert {*STEPS, *OTHERWISE} <= faults
