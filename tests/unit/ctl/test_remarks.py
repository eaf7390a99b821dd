"""Remarks about nodes: equal ones share a line, and no line repeats itself."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmctl.text.remarks import fold_equal_failures, without_node_name
from cucmd.job.coverage import Gap
from cucmd.job.failure import Failure
from cucmd.job.node import with_names
from unit.ctl.conftest import remarks_of


def failure(code="auth_failed", message="refused the login", *, retryable=False, hint=None):
    return Failure(code, message, retryable=retryable, hint=hint)


def failed(node, name, said, *, earlier=None, **more):
    why = failure(message=said, **more)
    return node(name, "failed", error=said, failure=why, earlier=earlier)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("a refused the login", "refused the login"),
        ("a:22 refused the login", "refused the login"),
        ("a, during login: the connection was lost", "during login: the connection was lost"),
        ("cannot connect to a:22: Connection refused", "cannot connect: Connection refused"),
        ("waiting for a connection to a (connect timeout)", "waiting for a connection (connect t"),
        ("the host key of a has changed", "the host key has changed"),
        ("another node answered", "another node answered"),
        ("cannot connect to a.example.org: refused", "cannot connect to a.example.org: refused"),
        ("cannot connect to a:2222: refused", "cannot connect to a:2222: refused"),
    ],
)
def test_messages_lose_their_node(node, said, left):
    assert without_node_name(node("a"), said).startswith(left)
    assert without_node_name(node("a"), left) == left


def test_equal_remarks_share_a_line(node):
    names = [f"127.1.0.{n}:2022" for n in range(12)]
    nodes = [failed(node, name, f"{name} refused the login", hint="check it") for name in names]
    assert remarks_of(*nodes) == [
        f"{', '.join(names)}: refused the login (auth_failed)",
        "  hint: check it",
    ]
    first, _ = remarks_of(*nodes, columns=200)
    assert first == f"✗ {', '.join(names[:3])} and 9 more: refused the login (auth_failed)"


def test_first_equal_failure_stands_for_all(node):
    alike = [failed(node, name, f"cannot connect to {name}: refused") for name in "abc"]
    kept, others = fold_equal_failures(
        [node("r"), *alike, node("d", "failed", error="gone"), node("s")]
    )
    assert [one.node for one in kept] == ["r", "a", "d", "s"]
    assert others == {"a": 2}


def test_hints_may_name_their_node(node):
    def reinstalled(name):
        hint = f"forget its old key: cucmctl hostkeys forget {name}"
        return failed(node, name, f"the host key of {name} has changed", hint=hint)

    assert remarks_of(reinstalled("a"), reinstalled("b")) == [
        "a, b: the host key has changed (auth_failed)",
        "  hint: forget its old key: cucmctl hostkeys forget NODE",
    ]
    _, hint = remarks_of(reinstalled("a"))
    assert hint.endswith("hostkeys forget a")


UNTIL = datetime(2020, 11, 27, 23, 25, tzinfo=UTC)


def test_coverage_is_the_daemons_line(node):
    assert remarks_of(node("a", "succeeded", coverage="covers all\x1b")) == ["a: covers all\\x1b"]


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (
            Gap("sdl", "end", None, 32 * 60, UNTIL),
            "sdl ends Sat 28 Nov 2020 00:25 CET, 32 min missing",
        ),
        (Gap("sdl", "begin", None, 4000), "sdl begins late, at least 1 h 06 min missing"),
        (
            Gap("sdl", "begin", None, 27 * 3600, trace="a\x1b"),
            "a\\x1b begins late, at least 1 day",
        ),
        (Gap("sdl", "all"), "nothing came of sdl"),
        (
            Gap("sdl", "middle", None, 32 * 60, UNTIL, until=UNTIL + timedelta(seconds=1930)),
            "sdl has nothing Sat 28 Nov 2020 00:25 to 00:57 CET, 32 min missing",
        ),
        (Gap("sdl", "middle", None, 4000), "sdl has nothing in the middle, at least 1 h 06 min"),
    ],
)
def test_gap_says_how_much_is_missing(node, in_zone, gap, said):
    in_zone("Europe/Berlin")
    (line,) = remarks_of(node("a", "succeeded", coverage="x", gaps=(gap,)))
    assert line.startswith(f"GAP  a: {said}")


def test_hint_has_the_longest_option(node):
    gaps = (Gap("a", "all", "1d"), Gap("b", "end", "6h", 60), Gap("c", "all", "1h"))
    *lines, hint = remarks_of(node("a", "succeeded", gaps=gaps))
    assert len(lines) == 2
    assert hint.endswith(" start --written-for 1d")


def test_remarks_name_hosts(node):
    asked = node("10.0.0.1", "failed", error="10.0.0.1: refused", name="pub")
    waits = node("10.0.0.2", "pending", waits_for=("10.0.0.1",), name="sub")
    assert remarks_of(asked, waits) == ["pub: refused", "sub: waits for the login on pub"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("not tried: 10.0.0.1 refused it", "not tried: pub refused it"),
        ("10.0.0.1: refused", "pub: refused"),
        ("10.0.0.12, 10.0.0.1:2023, 110.0.0.1 and 10.0.0.1.example.org", None),
        ("ask 10.0.0.1:2022, [fe80::1]:22 or ::1.", "ask sub, six or one."),
    ],
)
def test_messages_name_other_hosts(said, shown):
    names = {"10.0.0.1": "pub", "10.0.0.1:2022": "sub", "[fe80::1]:22": "six", "::1": "one"}
    assert with_names(said, names) == (shown or said)


def test_gap_with_unknown_duration_is_shown(node):
    one = Gap("cm/trace", "end", "until noon", 1929, datetime.now(UTC))
    (line,) = remarks_of(node("a", "succeeded", gaps=(one,)))
    assert "cm/trace" in line
