"""Why nodes failed and what is noted of them: said once, and no word of it twice in a line."""

from datetime import UTC, datetime

import pytest

from cucmctl.text.remarks import fold_equal_failures, without_node_name
from cucmd.job.attempt import EarlierAttempt
from cucmd.job.coverage import Extent, Gap
from cucmd.job.failure import Failure
from cucmd.job.work_request import Collection
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
        ("a: the connection was lost", "the connection was lost"),
        ("a, during login: the connection was lost", "during login: the connection was lost"),
        ("cannot connect to a: Connection refused", "cannot connect: Connection refused"),
        ("cannot connect to a:22: Connection refused", "cannot connect: Connection refused"),
        ("waiting for a connection to a (connect timeout)", "waiting for a connection (connect t"),
        ("the host key of a has changed", "the host key has changed"),
        ("another node answered", "another node answered"),
        ("cannot connect to a.example.org: refused", "cannot connect to a.example.org: refused"),
        ("cannot connect to a:2222: refused", "cannot connect to a:2222: refused"),
        ("", ""),
    ],
)
def test_a_message_without_the_name_of_its_node(node, said, left):
    assert without_node_name(node("a"), said).startswith(left)
    assert without_node_name(node("a"), left) == left


def test_what_is_equal_of_many_nodes_is_one_line(node):
    names = [f"127.1.0.{n}:2022" for n in range(12)]
    nodes = [failed(node, name, f"{name} refused the login", hint="check it") for name in names]
    assert remarks_of(*nodes) == [
        f"{', '.join(names)}: refused the login (auth_failed)",
        "  hint: check it",
    ]
    first, _ = remarks_of(*nodes, columns=200)
    assert first == f"✗ {', '.join(names[:3])} and 9 more: refused the login (auth_failed)"


def test_earlier_attempts_of_nodes_are_shown(node):
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    earlier = (
        EarlierAttempt(1, at, "login", "login_timeout", "TimeoutError: Timed out after 120s"),
        EarlierAttempt(2, at),
    )
    lines = remarks_of(*(failed(node, name, "refused the login", earlier=earlier) for name in "ab"))
    when = f"{at.astimezone():%Y-%m-%d %H:%M}"
    assert lines[1:] == [
        f"a, b: attempt 1 ended {when} in phase login: Timed out after 120s (login_timeout)",
        f"a, b: attempt 2 ended {when}: cancelled",
    ]


def test_equal_notes_are_one_line_and_different_ones_are_not(node):
    nodes = [node(name, "succeeded", notes=("x: no files", name)) for name in "abc"]
    lines = remarks_of(*nodes)
    assert lines == ["a, b, c: note: x: no files", "a: note: a", "b: note: b", "c: note: c"]


@pytest.mark.parametrize(
    ("code", "retryable", "said", "line"),
    [
        ("no_files_matched", False, "x: no files matched", "a: x: no files matched"),
        (
            "connection_refused",
            True,
            "cannot connect to a: Connection refused",
            "a: cannot connect: Connection refused (a retry can help)",
        ),
        ("stalled", True, "no byte for 120s", "a: no byte for 120s (stalled; a retry can help)"),
    ],
)
def test_no_words_stand_twice_in_a_line(node, code, retryable, said, line):
    assert remarks_of(failed(node, "a", said, code=code, retryable=retryable)) == [line]


def test_a_failure_without_a_text_still_has_its_code(node):
    assert remarks_of(failed(node, "a", "")) == ["a: (auth_failed)"]
    assert remarks_of(node("a", "failed", error="gone")) == ["a: gone"]


def test_of_nodes_that_failed_alike_the_first_stands_for_all(node):
    alike = [failed(node, name, f"cannot connect to {name}: refused") for name in "abc"]
    kept, others = fold_equal_failures(
        [node("r"), *alike, node("d", "failed", error="gone"), node("s")]
    )
    assert [one.node for one in kept] == ["r", "a", "d", "s"]
    assert others == {"a": 2}


def test_a_hint_with_the_name_of_its_node_is_the_same_hint(node):
    def reinstalled(name):
        hint = f"forget its old key: cucmctl hostkeys forget {name}"
        return failed(node, name, f"the host key of {name} has changed", hint=hint)

    assert remarks_of(reinstalled("a"), reinstalled("b")) == [
        "a, b: the host key has changed (auth_failed)",
        "  hint: forget its old key: cucmctl hostkeys forget NODE",
    ]
    _, hint = remarks_of(reinstalled("a"))
    assert hint.endswith("hostkeys forget a")


WINDOW = Collection(since="2020-11-27T22:25:00Z", until="2020-11-27T23:25:00Z")
SINCE, UNTIL = datetime.fromisoformat(WINDOW.since), datetime.fromisoformat(WINDOW.until)


@pytest.mark.parametrize(
    ("zone", "asked", "said"),
    [
        ("UTC", WINDOW, "covers the window"),
        ("UTC", Collection(since=WINDOW.since), "23:25 to Sat 28 Nov 2020 00:25 CET (22:25 to "),
        ("Europe/Rome", Collection(), "covers Fri 27 Nov 2020 23:25 to Sat 28 Nov 2020 00:25 CET"),
        (None, Collection(), "covers Fri 27 Nov 2020 23:25 to Sat 28 Nov 2020 00:25 CET"),
    ],
)
def test_what_is_covered_is_in_the_zone_of_who_reads_it(node, in_zone, zone, asked, said):
    in_zone("Europe/Berlin")
    one = node("a", "succeeded", zone=zone, coverage="x", extent=Extent(SINCE, UNTIL))
    (line,) = remarks_of(one, collection=asked)
    assert said in line
    assert ("UTC" in line) is ("(" in said)


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
    ],
)
def test_a_gap_says_how_much_is_missing(node, in_zone, gap, said):
    in_zone("Europe/Berlin")
    (line,) = remarks_of(node("a", "succeeded", coverage="x", gaps=(gap,), extent=Extent()))
    assert line.startswith(f"GAP  a: {said}")


def test_the_longest_option_brings_what_all_paths_lack(node):
    gaps = (Gap("a", "all", "1d"), Gap("b", "end", "6h", 60), Gap("c", "all", "1h"))
    *lines, hint = remarks_of(node("a", "succeeded", gaps=gaps, extent=Extent()))
    assert len(lines) == 2
    assert hint.endswith(" start --written-for 1d")
