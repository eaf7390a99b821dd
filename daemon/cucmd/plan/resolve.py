"""PURE. The fields of a request, checked, with what profile and configuration say for the others.

The one rule: the request comes before the profile, and the profile before the defaults. Whichever
of them a value is from, it has been checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import asdict, replace

from cucmd import job
from cucmd.config import Config, InvalidValue, Profile, rules
from cucmd.config.errors import found
from cucmd.job.duration import USUAL_WRITTEN_FOR
from cucmd.plan.resolve_paths import given, resolve_paths
from cucmd.protocol import structs
from cucmd.vos import SNAPSHOT, InvalidArgument, parse_command

# RFC 3339. The zone is required: a local time could be that of the client or of the daemon.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def resolve_collection(
    request: structs.Collection,
    config: Config,
    now: datetime | None = None,
    *,
    only: Sequence[str] | None = None,
    added: Sequence[str] | None = None,
    snapshot: bool | None = None,
    written_for: str | None = None,
) -> job.Collect:
    """What to collect, from request, profile and defaults.

    The window of the profile is used only if the request has no part of one. With `now` (aware), a
    window that begins later is refused. `only`: names of paths of the profile, the others are left
    out. `added`: paths beside those of the request. `written_for`: of all paths; without it those
    of the profile have what it says, and others the usual. Raises `InvalidValue` and
    `UnknownProfile`.
    """
    profile = _profile(request, config)
    last, since, until = _window(request, now)
    location, paths = resolve_paths(request, profile, only, added)
    of_all = given(written_for, "written_for", rules.written_for)
    known = dict(zip(profile.paths, profile.written_for, strict=False)) if not request.paths else {}
    return job.Collect(
        paths=paths,
        profile=request.profile,
        location=location,
        match=given(request.match, "collection.match", rules.match) or profile.match,
        recurs=profile.recurs if request.recurs is None else request.recurs,
        compress=profile.compress if request.compress is None else request.compress,
        last=last if last or since or until else profile.last,
        since=since,
        until=until,
        snapshot=SNAPSHOT if (profile.snapshot if snapshot is None else snapshot) else (),
        written_for=tuple(of_all or known.get(path, USUAL_WRITTEN_FOR) for path in paths),
    )


def _profile(request: structs.Collection, config: Config) -> Profile:
    if request.profile is not None:
        return config.profile(request.profile)
    if request.paths is None:
        raise InvalidValue("collection", "names neither a profile nor paths; expected one of them")
    return Profile("")


def _window(
    request: structs.Collection, now: datetime | None
) -> tuple[str | None, datetime | None, datetime | None]:
    last = given(request.last, "collection.last", rules.last)
    since = instant("collection.since", request.since)
    until = instant("collection.until", request.until)
    if last is not None and (since or until):
        raise InvalidValue("collection.last", "expected either last, or since and until")
    if since is not None and until is not None and since >= until:
        raise InvalidValue("collection.until", found(request.until, "is not later than since"))
    if since is not None and now is not None and since > now:
        raise InvalidValue("collection.since", found(request.since, "is in the future"))
    return last, since, until


def instant(field: str, text: str | None) -> datetime | None:
    """An RFC 3339 time as a datetime in UTC."""
    if text is None:
        return None
    expected = 'expected a time with its zone, such as "2026-03-01T08:00:00Z"'
    if not _RFC3339.fullmatch(text):
        raise InvalidValue(field, found(text, expected))
    try:
        # Out of range in the calendar (ValueError), or only once it is in UTC (OverflowError).
        instant = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(field, found(text, f"{expected}; {error}")) from None
    # The node takes two digits of the year. There was no node before 2001.
    if not 2001 <= instant.year <= 2099:
        raise InvalidValue(field, found(text, "expected a year from 2001 to 2099"))
    return instant


def resolve_timeouts(request: structs.Timeouts | None, base: job.Timeouts) -> job.Timeouts:
    """`base` with the timeouts of the request. Raises `InvalidValue` for `timeouts.FIELD`."""
    if request is None:
        return base
    own = {field: seconds for field, seconds in asdict(request).items() if seconds is not None}
    timeouts = replace(base, **own)
    if own and (wrong := rules.wrong_timeout(timeouts, own)):
        raise InvalidValue(f"timeouts.{wrong[0]}", wrong[1])
    return timeouts


# Each is typed on every node; what needs more is more than one question.
MOST_COMMANDS = 20


def resolve_commands(commands: Sequence[str]) -> tuple[str, ...]:
    """The lines to type. Raises `InvalidValue` for `commands`, or one of them."""
    if not 1 <= len(commands) <= MOST_COMMANDS:
        raise InvalidValue(
            "commands", f"has {len(commands)} commands; expected 1 to {MOST_COMMANDS}"
        )
    return tuple(_command(position, text) for position, text in enumerate(commands))


def _command(position: int, text: str) -> str:
    try:
        return parse_command(text).line
    except InvalidArgument as error:
        raise InvalidValue(f"commands[{position}]", found(text, error.reason)) from None


def resolve_concurrency(request: int | None, base: int) -> int:
    """How many nodes of the job at once. Raises `InvalidValue`."""
    if request is None:
        return base
    if not 1 <= request <= rules.MOST_AT_ONCE:
        raise InvalidValue(
            "concurrency", found(request, f"expected a number from 1 to {rules.MOST_AT_ONCE}")
        )
    return request
