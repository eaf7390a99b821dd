"""`status --long`: phases of nodes, and what their logs cover."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmctl.text.long_text import details
from cucmd.job.attempt import EarlierAttempt, PhaseBegun
from cucmd.job.coverage import LogCoverage, Span
from unit.ctl.conftest import make_job, make_node

BEGIN = datetime(2020, 11, 27, 22, 30, tzinfo=UTC)
SPANS = tuple(
    Span(BEGIN + timedelta(minutes=at), BEGIN + timedelta(minutes=at + 20, seconds=5))
    for at in (0, 30)
)


@pytest.fixture(autouse=True)
def berlin(in_zone):
    in_zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (LogCoverage("sdl/SDL*.txt", SPANS[:1]), "Fri 27 Nov 2020 23:30 to 23:50 CET"),
        (
            LogCoverage("sdl/SDL*.txt", SPANS, True),
            "Fri 27 Nov 2020 23:30 to 23:50, Sat 28 Nov 2020 00:00 to 00:20 CET; the rest is"
            " unclear",
        ),
        (LogCoverage("sdl/SDL*.txt"), "nothing of the window"),
        (LogCoverage("sdl/SDL*.txt", (), True), "unclear"),
    ],
)
def test_logs_have_a_line(log, said):
    *_, line = details(make_job(make_node("a", "succeeded", logs=(log,))))
    assert line == f"  sdl/SDL*.txt: {said}"


def test_names_of_logs_are_visible():
    *_, line = details(make_job(make_node("a", logs=(LogCoverage("\x1b[2J"),))))
    assert line.startswith("  \\x1b[2J: ")


def test_attempts_and_phases_have_times():
    phases = (PhaseBegun("connect", BEGIN), PhaseBegun("login", BEGIN + timedelta(seconds=2)))
    earlier = EarlierAttempt(1, BEGIN, started_at=BEGIN - timedelta(seconds=9))
    node = make_node(
        "a", "failed", completed_at=SPANS[0].end, phases=phases, earlier=(earlier,), attempt=2
    )
    assert list(details(make_job(node, make_node("b")))) == [
        "",
        "a",
        "  attempt 1: 2020-11-27 23:29:51 to 2020-11-27 23:30:00",
        "  phases: connect 23:30:00, login 23:30:02, failed 23:50:05",
    ]


def test_long_lines_are_wrapped():
    job = make_job(make_node("a", logs=(LogCoverage("sdl/SDL*.txt", SPANS * 5),)))
    assert max(map(len, details(job, columns=60))) <= 60
