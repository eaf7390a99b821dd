"""The table of a check."""

from datetime import UTC, datetime

import pytest

from cucmctl.text import check_text
from cucmd.job.check import Checked
from cucmd.job.failure import Failure

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
WHOLE = Checked(
    reachable=True,
    host_key="known",
    login=True,
    prompt=True,
    product="callmanager",
    version="12.5.1.15900-66",
    zone="Europe/Berlin",
    clock_ahead=-421.0,
    logging_total=70_895_599_616,
    logging_free=5_442_908_160,
    receiver="ok",
)
FAILURE = Failure("connection_lost", "no SSH", retryable=True)
REFUSED = Checked(reachable=True, host_key="new", login=False, receiver="not_asked")


@pytest.fixture
def lines(job, node):
    """Returns the table for these results, one for each node."""

    def _lines(*seen, columns=None):
        names = [f"cucm-sub{number}" for number in range(1, len(seen) + 1)]
        nodes = [
            node(name, "succeeded", checked=one) for name, one in zip(names, seen, strict=True)
        ]
        return list(check_text.table(job(*nodes, status="succeeded"), columns=columns))

    return _lines


def test_line_has_steps_and_machine(lines):
    heading, line = lines(WHOLE)
    assert heading.split("  ")[0] == "NODE"
    assert line.split() == [
        *("cucm-sub1", "ok", "known", "ok", "ok", "-7m01s", "5.4", "GB", "(7%)", "ok"),
        *("callmanager", "12.5.1.15900-66"),
    ]


def test_steps_not_reached_are_empty(lines):
    _, refused, unseen, gone = lines(REFUSED, None, Checked(reachable=False))
    assert refused.split() == ["cucm-sub1", "ok", "new", "failed"]
    assert unseen.split() == ["cucm-sub2"]
    assert gone.split() == ["cucm-sub3", "failed"]


def test_step_between_port_and_key_is_shown(job, node):
    """The connection is there, and no SSH comes to be."""
    failed = node("a", "failed", checked=Checked(reachable=True), failure=FAILURE)
    _, line = check_text.table(job(failed, status="failed"))
    assert line.split() == ["a", "ok", "failed"]


def test_narrow_table_lists_machines_below(lines):
    other = Checked(reachable=True, product="cups", version="12.5.1.15900-67")
    heading, *rows, first, second = lines(WHOLE, other, WHOLE, columns=80)
    assert max(map(len, (heading, *rows))) <= 80
    assert len(rows) == 3
    assert "VERSION" not in heading
    assert first == "callmanager 12.5.1.15900-66: cucm-sub1, cucm-sub3"
    assert second == "cups 12.5.1.15900-67: cucm-sub2"
    assert lines(WHOLE, WHOLE, columns=80)[-1].endswith(": all nodes")
    assert "VERSION" in lines(WHOLE, columns=120)[0]
