"""Converts times and durations as people type them, in the forms of `journalctl` or RFC 3339."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cucmd.job.duration import parse_last


class Moment(NamedTuple):
    """Holds a time that was typed, in UTC. `clock` is true if only a time of day was typed.

    When the clocks change, a local time can mean two moments: in autumn it occurs twice, in spring
    it does not occur at all. A window begins at the earliest moment and ends at the latest, so that
    no file is missed.
    """

    earliest: datetime
    latest: datetime
    clock: bool = False


# journalctl wants the minus sign. Without it, nothing else can be meant.
AGO = r"-?(\d{1,6})(s|min|m|h|d|w)"
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = {"today": 0, "yesterday": 1}


def moment(text: str, now: datetime | None = None) -> Moment:
    """Converts a time in a form that `journalctl` accepts (local time), or in RFC 3339.

    A time of day that is still in the future today means yesterday.
    """
    now = (now or datetime.now()).astimezone()
    try:
        if text == "now":
            return _moment(now)
        if ago := re.fullmatch(AGO, text):
            return _moment(now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]]))
        # fromisoformat would also accept week dates and other forms
        if re.fullmatch(_WHOLE, text):
            return _moment(datetime.fromisoformat(text))
        if found := re.fullmatch(_OF_A_DAY, text):
            return _of_a_day(found["day"], found["time"], now)
    except (ValueError, OverflowError):  # OverflowError: beyond the ends of the calendar
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a time; expected local 'YYYY-MM-DD HH:MM', 'HH:MM', 'yesterday HH:MM', "
        "a date, -2h, or RFC 3339 'YYYY-MM-DDTHH:MM:SSZ'"
    )


_CLOCK = r"[0-2]\d:[0-5]\d(?::[0-5]\d)?"
_WHOLE = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d.*"
_OF_A_DAY = rf"(?P<day>today|yesterday|\d{{4}}-\d\d-\d\d)?(?:(?:^| )(?P<time>{_CLOCK}))?"


def _of_a_day(day: str | None, clock: str | None, now: datetime) -> Moment:
    if day is None and clock is None:
        raise ValueError
    date = f"{now - timedelta(_DAYS.get(day or 'today', 0)):%Y-%m-%d}"
    if day is not None and day not in _DAYS:
        date = day
    meant = _moment(datetime.fromisoformat(f"{date} {clock or '00:00'}"))
    if day is None and meant.earliest > now:
        meant = _of_a_day("yesterday", clock, now)
    return meant._replace(clock=day is None)


def _moment(at: datetime) -> Moment:
    """Converts a time, which is local if it has no zone. `fold` selects one of two meanings."""
    meanings = [at.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    return Moment(min(meanings), max(meanings))


def next_day(at: Moment) -> Moment:
    """Returns the same time of day, one day later."""
    local = at.earliest.astimezone().replace(tzinfo=None) + timedelta(days=1)
    return _moment(local)


def rfc3339(at: datetime) -> str:
    """Returns a time in UTC as RFC 3339, as the daemon expects it."""
    return at.isoformat().replace("+00:00", "Z")


_DURATION = r"(?:(\d{1,3})h)?(?:(\d{1,5})m)?(?:(\d{1,5}(?:\.\d{1,3})?)s?)?"


def duration(text: str) -> float:
    """Converts `60s`, `90`, `2m`, `1m30s`, `2h` to seconds. The daemon checks the limits."""
    found = re.fullmatch(_DURATION, text, re.ASCII)
    if not found or not any(found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 60s, 2m, 1m30s")
    return 3600.0 * int(found[1] or 0) + 60.0 * int(found[2] or 0) + float(found[3] or 0)


def not_after(text: str, now: datetime | None = None) -> str:
    """Converts a duration from now, or a time in the future, to RFC 3339."""
    now = now or datetime.now(UTC)
    with suppress(argparse.ArgumentTypeError):
        return rfc3339(now + timedelta(seconds=duration(text)))
    with suppress(argparse.ArgumentTypeError):
        at = moment(text, now)
        at = next_day(at) if at.clock and at.latest < now else at
        if at.latest >= now:
            return rfc3339(at.latest)
    raise argparse.ArgumentTypeError(
        f"{text!r}: expected 2h, or a time in the future, such as '18:00' or 'YYYY-MM-DD HH:MM'"
    )


def last(text: str) -> str:
    """Checks the value of --last. The daemon does so too, but only after the password was typed."""
    try:
        if text:  # "" means: no window, although the profile has one
            parse_last(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return text
