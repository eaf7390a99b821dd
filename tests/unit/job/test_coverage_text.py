"""How much of a window is missing, in words."""

import pytest

from cucmd.job.coverage import format_missing


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "0 min"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 00 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 day 0 h"),
        (180_000, "2 days 2 h"),
    ],
)
def test_missing_time_in_words(seconds: float, text: str) -> None:
    assert format_missing(seconds) == text
