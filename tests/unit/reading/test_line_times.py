"""The time of any line of a trace."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.reading.stamps import LineTimes, first_stamp

BY = datetime(2026, 11, 27)
BERLIN = ZoneInfo("Europe/Berlin")
HEAD = "00000001.000 |{:%H:%M:%S}.000 |FileHead |UTC:{}, Date:{:%Y/%m/%d}, Node: 1\n"


def sdl(local: datetime, more: str = "") -> str:
    return f"00000002.000 |{local:%H:%M:%S}.{local.microsecond // 1000:03} |SdlSig |x{more}\n"


def head(local: datetime, offset: str = "+01:00") -> str:
    return HEAD.format(local, offset, local)


def times(text: str, zone: ZoneInfo | None = BERLIN, splits: Iterable[int] = ()) -> list[int]:
    """Returns the times of all lines. splits: after which lines a new piece begins."""
    lines = text.encode().splitlines(keepends=True)
    first = first_stamp(text.encode(), BY)
    assert first is not None
    found = LineTimes(first, BY, zone)
    result = []
    ends = sorted({*splits, len(lines)})
    for begin, end in zip([0, *ends], ends, strict=False):
        piece = b"".join(lines[begin:end])
        found.begin_piece(piece)
        at = 0
        for line in lines[begin:end]:
            result.append(found.at(at + len(line) // 2))
            at += len(line)
    return result


def utc(*values: int) -> int:
    return int(datetime(*values, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("line", "milliseconds"),
    [
        ("11/25/2026 14:00:01.250 CCM|x", 250),
        ("2026/11/25 14:00:01.250|CC|SETUP|1", 250),
        ("2026-11-25 14:00:01,250 INFO  [x", 250),
        ("Nov 25 14:00:01 cucm-pub x", 0),
        ("0000053: 192.0.2.1: Nov 25 2026 14:00:01.250 +0100: %CCBU_x", 250),
        ("7091923: Nov 25 14:00:01.250 CET %MIVR-x", 250),
    ],
)
def test_every_format_has_its_time(line: str, milliseconds: int) -> None:
    assert times(f"{line}\n") == [utc(2026, 11, 25, 13, 0, 1) + milliseconds]


def test_lines_without_stamp_have_earlier_time() -> None:
    begin = datetime(2026, 11, 25, 14, 0, 1, 500_000)
    found = times(head(begin) + sdl(begin) + "SIP/2.0 503\r\nVia: x\r\n\r\n")
    assert found[2:] == [utc(2026, 11, 25, 13, 0, 1) + 500] * 3


def test_midnights_are_counted_between_matches() -> None:
    """A search looks at the times of few lines, such as the last one."""
    begin, step = datetime(2026, 11, 20, 14), timedelta(hours=5)
    text = head(begin) + "".join(sdl(begin + n * step, "y" * 60_000) for n in range(30))
    first = first_stamp(text.encode(), BY)
    found = LineTimes(first, BY, BERLIN)
    found.begin_piece(text.encode())
    assert found.at(len(text) - 1) == utc(2026, 11, 26, 14)


def test_hostile_midnights_end_with_century() -> None:
    begin = datetime(2099, 12, 31, 12)
    text = head(begin) + "".join(sdl(begin + timedelta(hours=12 * n)) for n in range(5))
    assert max(times(text, None)) < utc(2100, 1, 1)


def test_clock_that_is_set_back_keeps_order() -> None:
    """In Berlin the hour from 2 to 3 comes twice on 25 October."""
    begin = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    moments = [begin + timedelta(minutes=10 * n) for n in range(12)]
    local = [moment.astimezone(BERLIN).replace(tzinfo=None) for moment in moments]
    lines = "".join(f"{each:%Y-%m-%d %H:%M:%S},000 INFO  [x]\n" for each in local)
    assert times(lines) == [int(moment.timestamp() * 1000) for moment in moments]


def test_offset_counts_without_zone() -> None:
    begin = datetime(2026, 11, 25, 14)
    assert times(head(begin, "-05:00"), None) == [utc(2026, 11, 25, 19)]
    assert times("2026-11-25 14:00:01,250 INFO  [x]\n", None) == [None]


@given(
    st.lists(st.integers(0, 20 * 3600), min_size=1, max_size=20),
    st.lists(st.integers(1, 30)),
    st.integers(0, 3),
)
def test_times_do_not_depend_on_pieces(steps: list[int], splits: list[int], more: int) -> None:
    at = datetime(2026, 11, 1)
    text = head(at)
    for step in steps:
        at += timedelta(seconds=step)
        text += sdl(at) + "Via: x\r\n" * more
    count = text.count("\n")
    assert times(text, splits=[split for split in splits if split < count]) == times(text)
