"""PURE. Checks the fields of a request, and fills in absent fields.

An absent field gets the value of the profile, or else the default of the configuration. Profile and
configuration were checked when the configuration was read.

All paths of a job are below one location. A path may begin with its location, as after `file get`
(`activelog/cm/trace`). A path with another location than the rest is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

from msgspec.structs import asdict, replace

from cucmd.config import Config, InvalidValue, Profile, rules, wrong_value
from cucmd.job import work_request
from cucmd.job.capture import Capture
from cucmd.job.collect import Collect, DryRun
from cucmd.job.discover import Discover
from cucmd.job.duration import USUAL_WRITTEN_FOR, parse_last
from cucmd.job.follow import Follow
from cucmd.job.health import CHECKS, HealthCheck, Thresholds
from cucmd.job.job import Job
from cucmd.job.kind import WorkRequest
from cucmd.job.run import Run
from cucmd.job.timeouts import Timeouts
from cucmd.job.work import KINDS, REQUEST_MEMBERS, Work, kind_of
from cucmd.node.ports import NodeTask
from cucmd.vos.arguments import InvalidArgument, check_word
from cucmd.vos.command_lines import PREFIX as CAPTURE_PREFIX
from cucmd.vos.command_lines import capture_line
from cucmd.vos.forms import LONGEST_TAIL, SNAPSHOT, parse_command, parse_tail

MOST_NAMED = 8  # paths of a profile that a message names
# RFC 3339 with a zone, because client and daemon may be in different zones.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def resolve_work(  # noqa: PLR0911  a case for each kind that needs the configuration
    work: WorkRequest,
    config: Config,
    now: datetime,
    job_id: str,
    timeouts: work_request.Timeouts | None = None,
) -> Work:
    """Returns the work of the job with this id, as it is stored.

    Raises `InvalidValue` with the wrong field of `work`, and `UnknownProfile`.
    """
    match work:
        case work_request.Files():
            return resolve_collection(work, config, now)
        case work_request.Estimate(collection, only, added, written_for):
            files = work_request.Files(collection, only, added, written_for)
            return DryRun(resolve_collection(files, config, now))
        case work_request.Commands(lines):
            return Run(resolve_commands(lines), None if timeouts is None else timeouts.command)
        case work_request.HealthChecks(only):
            return _resolve_health(config, resolve_checks(only))
        case work_request.Packets():
            return resolve_capture(work, f"{CAPTURE_PREFIX}{job_id}")
        case work_request.Tail():
            return resolve_follow(work)
        case work_request.Discovery():
            return Discover()
        case _:  # the other kinds are stored with the fields of the request
            (kind,) = (kind for kind in KINDS if kind_of(kind) == REQUEST_MEMBERS[type(work)])
            given = {name: value for name, value in asdict(work).items() if value is not None}
            return cast("Work", kind(**given))


def _resolve_health(config: Config, only: tuple[str, ...] = ()) -> HealthCheck:
    return HealthCheck(only, Thresholds(**asdict(config.health)))


@contextmanager
def errors_below(member: str, work: WorkRequest) -> Iterator[None]:
    """Adds `member` to the path of a wrong field of `work`, if the body raises `InvalidValue`."""
    names = () if isinstance(work, work_request.Files) else work.__struct_fields__
    try:
        yield
    except InvalidValue as error:
        if re.split(r"[.\[]", error.parameter)[0] not in names:
            raise
        raise InvalidValue(f"{member}.{error.parameter}", error.reason) from None


def resolve_collection(files: work_request.Files, config: Config, now: datetime) -> Collect:
    """Returns what to collect, from request, profile and defaults.

    The window of the profile is used only if the request has no part of a window. A `last` is
    resolved to the time before `now` (aware), so that a retry asks for the same window.
    Raises `InvalidValue` and `UnknownProfile`.
    """
    request = files.collection
    if request.profile is not None:
        profile = config.profile(request.profile)
    elif request.paths is not None:
        profile = Profile("")
    else:
        raise InvalidValue("collection", "has no profile and no paths; give one of them")
    # A request says whether there is a snapshot. A profile also says which.
    snapshot = files.snapshot is not False and (profile.snapshot or files.snapshot)
    last, since, until = _resolve_window(request, profile, now)
    location, paths = _resolve_paths(files, profile)
    of_request = _check_field(files.written_for, "written_for", rules.check_written_for)
    of_profile = zip(profile.paths, profile.written_for, strict=False)
    known = dict(of_profile) if request.paths is None else {}
    return Collect(
        paths=paths,
        profile=request.profile,
        location=location,
        match=_check_field(request.match, "collection.match", rules.check_argument)
        or profile.match,
        recurs=profile.recurs if request.recurs is None else request.recurs,
        compress=profile.compress if request.compress is None else request.compress,
        last=last,
        since=since,
        until=until,
        snapshot=SNAPSHOT if snapshot is True else (),
        health=_resolve_health(config) if snapshot == "health" else None,
        written_for=tuple(of_request or known.get(path, USUAL_WRITTEN_FOR) for path in paths),
        unverified=()
        if request.paths is not None
        else tuple(path for path in paths if path in profile.unverified),
    )


def _check_field(text: str | None, field: str, rule: Callable[[str], str]) -> str | None:
    """Returns `rule(text)`, or None if the field is absent. Raises `InvalidValue`."""
    if text is None:
        return None
    try:
        return rule(text)
    except ValueError as error:
        raise InvalidValue(field, wrong_value(text, str(error))) from None


def _resolve_paths(files: work_request.Files, profile: Profile) -> tuple[str, tuple[str, ...]]:
    """Returns (location, paths). Raises `InvalidValue`."""
    request, only, added = files.collection, files.only, files.added_paths
    named = _check_field(request.location, "collection.location", rules.check_location)
    placed = list(_split_paths(request.paths, "collection.paths"))
    placed += _split_paths(added, "added_paths")
    if named is None and request.paths is None:
        named = profile.location  # because the paths are those of the profile
    locations = [place for *_, place, _ in placed]
    location, wrong = rules.common_location(named, profile.location, locations)
    if wrong is not None:
        field, written, *_ = placed[wrong]
        raise InvalidValue(field, wrong_value(written, rules.location_mismatch(location)))
    paths = [path for *_, path in placed]
    if request.paths is None:
        # All paths of the profile, or those that have one of the names, in their order.
        if only is not None and not 1 <= len(only) <= rules.MOST_PATHS:
            raise InvalidValue("only", f"has {len(only)} names; expected 1 to {rules.MOST_PATHS}")
        for position, name in enumerate(only or ()):
            if not any(_path_has_name(path, name) for path in profile.paths):
                known = ", ".join(profile.paths[:MOST_NAMED])
                more = len(profile.paths) - MOST_NAMED
                known += f" and {more} more" if more > 0 else ""
                reason = f"is in no path of profile {profile.name!r}; its paths are {known}"
                raise InvalidValue(f"only[{position}]", wrong_value(name, reason))
        chosen = [
            path
            for path in profile.paths
            if only is None or any(_path_has_name(path, name) for name in only)
        ]
        paths = [*chosen, *paths]
    elif only is not None:
        reason = "selects paths of a profile; here the paths of the request are collected"
        raise InvalidValue("only", reason)
    if len(paths) > rules.MOST_PATHS:
        field = "collection.paths" if added is None else "added_paths"
        reason = f"{len(paths)} paths in all; expected at most {rules.MOST_PATHS}"
        raise InvalidValue(field, reason)
    return location, rules.distinct_paths(paths)


def _split_paths(
    paths: Sequence[str] | None, field: str
) -> Iterator[tuple[str, str, str | None, str]]:
    """Yields (field, text, location, path) for each path. A text without a location has None.

    Raises `InvalidValue`.
    """
    if paths is None:
        return
    if not 1 <= len(paths) <= rules.MOST_PATHS:
        raise InvalidValue(field, f"has {len(paths)} paths; expected 1 to {rules.MOST_PATHS}")
    for position, written in enumerate(paths):
        where = f"{field}[{position}]"
        try:
            location, path = rules.read_placed_path(written)
        except ValueError as error:
            raise InvalidValue(where, wrong_value(written, str(error))) from None
        yield where, written, location, path


def _path_has_name(path: str, name: str) -> bool:
    """Says whether the name is a part of the path, such as `sdl` or `ccm/sdl` of `ccm/sdl/*`.

    The case of letters does not count.
    """
    parts = _split_path(path)
    wanted = _split_path(name)
    starts = range(len(parts) - len(wanted) + 1)
    return bool(wanted) and any(parts[at : at + len(wanted)] == wanted for at in starts)


def _split_path(path: str) -> list[str]:
    """Splits a path into its parts. The only path of `install` is `*`, and is its own name."""
    return [part.rstrip("*") or part for part in path.lower().split("/") if part]


def _resolve_window(
    request: work_request.Collection, profile: Profile, now: datetime
) -> tuple[str | None, datetime | None, datetime | None]:
    """Returns (last, since, until) from the request, or from the profile if it has no window."""
    last = _check_field(request.last, "collection.last", rules.check_window)
    since = parse_instant("collection.since", request.since)
    until = parse_instant("collection.until", request.until)
    if last is not None and (since or until):
        raise InvalidValue("collection.last", "expected either last, or since and until")
    if since is not None and until is not None and since >= until:
        raise InvalidValue(
            "collection.until", wrong_value(request.until, "is not later than since")
        )
    if since is not None and since > now:
        raise InvalidValue("collection.since", wrong_value(request.since, "is in the future"))
    if not (last or since or until):
        last = profile.last
    return (last, since, until) if last is None else (last, now - parse_last(last), now)


def parse_instant(field: str, text: str | None) -> datetime | None:
    """Parses an RFC 3339 time as a datetime in UTC. Raises `InvalidValue`."""
    if text is None:
        return None
    expected = 'expected a time with its zone, such as "2026-03-01T08:00:00Z"'
    if not _RFC3339.fullmatch(text):
        raise InvalidValue(field, wrong_value(text, expected))
    try:
        # ValueError: the calendar has no such date. OverflowError: UTC would be out of range.
        instant = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(field, wrong_value(text, f"{expected}; {error}")) from None
    # A node takes two digits of the year, and there was no node before 2001.
    if not 2001 <= instant.year <= 2099:
        raise InvalidValue(field, wrong_value(text, "expected a year from 2001 to 2099"))
    return instant


def resolve_timeouts(request: work_request.Timeouts | None, base: Timeouts) -> Timeouts:
    """Returns `base` with the timeouts of the request. Raises `InvalidValue`."""
    if request is None:
        return base
    given = {field: seconds for field, seconds in asdict(request).items() if seconds is not None}
    timeouts = replace(base, **given)
    if given and (wrong := timeouts.problem()):
        raise InvalidValue(f"timeouts.{wrong[0]}", wrong[1])
    return timeouts


# The most commands of a job. Each is typed on every node.
MOST_COMMANDS = 20


def resolve_commands(lines: Sequence[str]) -> tuple[str, ...]:
    """Returns the command lines to type. Raises `InvalidValue` for `lines` or one of its items."""
    if not 1 <= len(lines) <= MOST_COMMANDS:
        raise InvalidValue("lines", f"has {len(lines)} commands; expected 1 to {MOST_COMMANDS}")
    typed: list[str] = []
    for position, text in enumerate(lines):
        try:
            typed.append(parse_command(text).line)
        except InvalidArgument as error:
            raise InvalidValue(f"lines[{position}]", wrong_value(text, error.reason)) from None
    return tuple(typed)


def resolve_checks(only: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of checks in the order in which they are shown. Raises `InvalidValue`."""
    if only is None:
        return ()
    if not only:
        raise InvalidValue("only", f"is empty; expected some of {', '.join(CHECKS)}")
    for position, name in enumerate(only):
        if name not in CHECKS:
            reason = f"is no check; expected one of {', '.join(CHECKS)}"
            raise InvalidValue(f"only[{position}]", wrong_value(name, reason))
    return tuple(name for name in CHECKS if name in only)


def resolve_concurrency(request: int | None, base: int) -> int:
    """Returns how many nodes of the job may be worked on at once. Raises `InvalidValue`."""
    if request is None:
        return base
    if not 1 <= request <= rules.MOST_CONCURRENCY:
        raise InvalidValue(
            "concurrency",
            wrong_value(request, f"expected a number from 1 to {rules.MOST_CONCURRENCY}"),
        )
    return request


# Seconds that a capture may last. An idle session of a node ends after 30 minutes (vos/NODES.md,
# section 1), and nothing is typed while a capture runs.
LONGEST = 1200.0
SHORTEST = 1.0


def resolve_capture(request: work_request.Packets, name: str) -> Capture:
    """Returns what to capture into a file of this name. Raises `InvalidValue`."""
    given = {field: value for field, value in asdict(request).items() if value is not None}
    capture = Capture(name, **given)
    _check_duration(capture.duration, LONGEST)
    try:
        capture_line(capture)
    except InvalidArgument as error:
        raise InvalidValue(error.field, wrong_value(error.value, error.reason)) from None
    return capture


def resolve_follow(request: work_request.Tail) -> Follow:
    """Returns what to follow. A folder need not end in "/". Raises `InvalidValue`."""
    recent = bool(request.recent)
    path = request.path.rstrip("/") + "/" if recent else request.path
    follow = Follow(path, recent=recent)
    if request.duration is not None:
        follow = replace(follow, duration=request.duration)
    _check_duration(follow.duration, LONGEST_TAIL)
    _check_tail("path", path, follow)
    if request.regexp is not None:
        follow = replace(follow, regexp=request.regexp)
        _check_tail("regexp", request.regexp, follow)
    return follow


def _check_tail(field: str, value: str, follow: Follow) -> None:
    """Raises `InvalidValue` if the command line cannot be typed with this value of the field."""
    try:
        check_word(field, value)
        parse_tail(follow.line)
    except InvalidArgument as error:
        reason = error.reason.removeprefix(f"PATH {value!r}: ")
        raise InvalidValue(field, wrong_value(value, reason)) from None


def _check_duration(duration: float, longest: float) -> None:
    """Raises `InvalidValue` if a duration in seconds is out of range."""
    if not SHORTEST <= duration <= longest:  # `not` also refuses NaN
        expected = f"expected {SHORTEST:g} to {longest:g} seconds ({longest / 60:g} minutes)"
        raise InvalidValue("duration", f"{duration:g} s: {expected}")


def check_simultaneous(job: Job, tasks: Sequence[NodeTask | None], connections: int) -> None:
    """Raises `InvalidValue` unless all nodes can begin at once and run for the whole duration.

    connections  the most connections to nodes that the daemon has at the same time
    """
    nodes, most = len(job.nodes), min(job.concurrency, connections)
    if nodes > most:
        limit = "concurrency" if most == job.concurrency else "limits.connections"
        reason = f"{nodes} nodes; a {job.kind} runs on all at once, and {limit} is {most}"
        raise InvalidValue("nodes", reason)
    duration = job.work.min_seconds
    limits = [("node", task.timeouts.node) for task in tasks if task is not None]
    for name, seconds in [("job", job.timeouts.job), *limits]:
        if duration >= seconds:
            reason = f"{duration:g} s is not less than the {name} timeout ({seconds:g} s)"
            raise InvalidValue("duration", reason)
