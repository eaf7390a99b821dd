"""PURE. The fields of a request, checked, with what profile and configuration say for the others.

The request comes before the profile, and the profile before the defaults. Whichever of them a value
is from, it has been checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec.structs import asdict, replace

from cucmd.config import Config, InvalidValue, Profile, rules
from cucmd.config.errors import found
from cucmd.job import asked
from cucmd.job.capture import Capture
from cucmd.job.check import Check
from cucmd.job.collect import Collect, DryRun
from cucmd.job.discover import Discover
from cucmd.job.duration import USUAL_WRITTEN_FOR
from cucmd.job.job import Job
from cucmd.job.run import Run
from cucmd.job.timeouts import Timeouts
from cucmd.job.work import Work
from cucmd.node.ports import NodeTask
from cucmd.plan.again import with_hours
from cucmd.plan.resolve_paths import given, resolve_paths
from cucmd.vos import SNAPSHOT, CaptureCommand, InvalidArgument, parse_command
from cucmd.vos.capture import PREFIX as CAPTURE_PREFIX

# RFC 3339. The zone is required: a local time could be that of the client or of the daemon.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def planned(
    work: asked.Asked,
    config: Config,
    now: datetime,
    job_id: str,
    timeouts: asked.Timeouts | None = None,
) -> Work:
    """What is done on the nodes of the job of that id, as it is stored.

    Raises `InvalidValue` with the field of `work` that is wrong, and `UnknownProfile`.
    """
    match work:
        case asked.Files():
            return with_hours(resolve_collection(work, config, now), now)
        case asked.Estimate(collection, only, added, written_for):
            files = asked.Files(collection, only, added, written_for)
            return DryRun(with_hours(resolve_collection(files, config, now), now))
        case asked.Commands(lines):
            return Run(resolve_commands(lines), None if timeouts is None else timeouts.command)
        case asked.Checks():
            return Check(bool(work.receiver))
        case asked.Packets():
            return resolve_capture(work, f"{CAPTURE_PREFIX}{job_id}")
        case asked.Discovery():
            return Discover()


@contextmanager
def below(member: str, work: asked.Asked) -> Iterator[None]:
    """Names a wrong field of `work` by its place in the request, where `member` has it."""
    names = () if isinstance(work, asked.Files) else work.__struct_fields__
    try:
        yield
    except InvalidValue as error:
        if re.split(r"[.\[]", error.parameter)[0] not in names:
            raise
        raise InvalidValue(f"{member}.{error.parameter}", error.reason) from None


def resolve_collection(files: asked.Files, config: Config, now: datetime | None = None) -> Collect:
    """What to collect, from request, profile and defaults.

    The window of the profile is used only if the request has no part of one. With `now` (aware), a
    window that begins later is refused. Without a `written_for` of all paths those of the profile
    have what it says, and others the usual. Raises `InvalidValue` and `UnknownProfile`.
    """
    request, snapshot = files.collection, files.snapshot
    profile = _profile(request, config)
    last, since, until = _window(request, now)
    location, paths = resolve_paths(files, profile)
    of_all = given(files.written_for, "written_for", rules.written_for)
    known = dict(zip(profile.paths, profile.written_for, strict=False))
    if request.paths is not None:
        known = {}
    return Collect(
        paths=paths,
        profile=request.profile,
        location=location,
        match=given(request.match, "collection.match", rules.argument) or profile.match,
        recurs=profile.recurs if request.recurs is None else request.recurs,
        compress=profile.compress if request.compress is None else request.compress,
        last=last if last or since or until else profile.last,
        since=since,
        until=until,
        snapshot=SNAPSHOT if (profile.snapshot if snapshot is None else snapshot) else (),
        written_for=tuple(of_all or known.get(path, USUAL_WRITTEN_FOR) for path in paths),
    )


def _profile(request: asked.Collection, config: Config) -> Profile:
    if request.profile is not None:
        return config.profile(request.profile)
    if request.paths is None:
        raise InvalidValue("collection", "names neither a profile nor paths; expected one of them")
    return Profile("")


def _window(
    request: asked.Collection, now: datetime | None
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


def resolve_timeouts(request: asked.Timeouts | None, base: Timeouts) -> Timeouts:
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


def resolve_commands(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines to type. Raises `InvalidValue` for `lines`, or one of them."""
    if not 1 <= len(lines) <= MOST_COMMANDS:
        raise InvalidValue("lines", f"has {len(lines)} commands; expected 1 to {MOST_COMMANDS}")
    return tuple(_command(position, text) for position, text in enumerate(lines))


def _command(position: int, text: str) -> str:
    try:
        return parse_command(text).line
    except InvalidArgument as error:
        raise InvalidValue(f"lines[{position}]", found(text, error.reason)) from None


def resolve_concurrency(request: int | None, base: int) -> int:
    """How many nodes of the job at once. Raises `InvalidValue`."""
    if request is None:
        return base
    if not 1 <= request <= rules.MOST_AT_ONCE:
        raise InvalidValue(
            "concurrency", found(request, f"expected a number from 1 to {rules.MOST_AT_ONCE}")
        )
    return request


# An idle session of a node ends after 30 minutes (vos/NODES.md, section 1), and nothing is typed
# while a capture runs.
LONGEST = 1200.0
SHORTEST = 1.0


def resolve_capture(request: asked.Packets, name: str) -> Capture:
    """What to capture, into a file of that name. Raises `InvalidValue`."""
    default = Capture(name)
    duration = default.duration if request.duration is None else request.duration
    if not SHORTEST <= duration <= LONGEST:  # `not` also refuses NaN
        expected = f"expected seconds from {SHORTEST:g} to {LONGEST:g}"
        raise InvalidValue("duration", f"{duration:g}: {expected}")
    what = Capture(
        name=name,
        interface=default.interface if request.interface is None else request.interface,
        host=request.host,
        port=request.port,
        count=default.count if request.count is None else request.count,
        size=request.size,
        duration=duration,
        delete=bool(request.delete),
    )
    try:
        CaptureCommand.of(what, name).command_line()
    except InvalidArgument as error:
        raise InvalidValue(error.field, found(error.value, error.reason)) from None
    return what


def check_together(job: Job, tasks: Sequence[NodeTask | None], connections: int) -> None:
    """All nodes of a capture run at once, and each for all of its duration. Raises `InvalidValue`.

    connections: to nodes, that the daemon has at once.
    """
    nodes, most = len(job.nodes), min(job.concurrency, connections)
    if nodes > most:
        limit = "concurrency" if most == job.concurrency else "limits.connections"
        reason = f"{nodes} nodes; a capture runs on all at once, and {limit} is {most}"
        raise InvalidValue("nodes", reason)
    assert isinstance(job.work, Capture)
    duration = job.work.duration
    for name, seconds in _limits(job, tasks):
        if duration >= seconds:
            reason = f"{duration:g} s is not less than the {name} timeout ({seconds:g} s)"
            raise InvalidValue("duration", reason)


def _limits(job: Job, tasks: Sequence[NodeTask | None]) -> list[tuple[str, float]]:
    return [
        ("job", job.timeouts.job),
        *(("node", task.timeouts.node) for task in tasks if task is not None),
    ]
