"""PURE. Makes the work of a job from the name of its kind and named values, and writes the command
of `cucmctl` that starts the same job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from cucmctl.cli.options import UsageError
from cucmd.job import work_request as works
from cucmd.job.kind import WorkRequest

Kind: TypeAlias = Literal["collect", "dry_run", "check", "health", "run", "discover", "capture"]


class Values(TypedDict, total=False):
    """Says what to do. Each kind takes some of these: see the requests with the same members."""

    profile: str
    paths: Sequence[str]  # are added to those of the profile
    last: str
    since: str
    until: str
    commands: Sequence[str]
    host: str
    port: int
    duration: int  # seconds


def _logs(make: Callable[..., Any], profile: Any = None, paths: Any = None, **window: Any) -> Any:
    # As in `cucmctl`, paths are added to those of a profile.
    own, added = (None, paths) if profile else (paths, None)
    return make(works.Collection(profile, own, **window), added_paths=added)


# kind -> the verb of `cucmctl`, and what makes the request from the values for this kind
_KINDS: dict[Kind, tuple[str, Callable[..., WorkRequest]]] = {
    "collect": ("start", partial(_logs, works.Files)),
    "dry_run": ("start --dry-run", partial(_logs, works.Estimate)),
    "check": ("check", works.Checks),
    "health": ("health", works.HealthChecks),
    "run": ("run", lambda commands: works.Commands(tuple(commands))),
    "discover": ("discover", works.Discovery),
    "capture": ("capture", works.Packets),
}


def named_work(kind: Kind, **values: Unpack[Values]) -> WorkRequest:
    """Makes the request of a kind of work. Raises `UsageError`."""
    try:
        return _KINDS[kind][1](**values)
    except TypeError:
        given = ", ".join(values) or "nothing"
        raise UsageError(f"a job of the kind {kind} cannot be made from {given}") from None


def start_command(
    kind: Kind, nodes: Sequence[str], credential: str | None = None, **values: Unpack[Values]
) -> list[str]:
    """Returns the words behind `cucmctl` that start the same job. Raises `UsageError`."""
    named_work(kind, **values)
    words, lines = [*_KINDS[kind][0].split(), *nodes], values.pop("commands", ())
    for name, value in {**values, "credential": credential}.items():
        if name == "paths":
            words += ["--path", *values["paths"]]
        elif value is not None:
            words += [f"--{name}", str(value)]
    rest = [word for line in lines for word in ("--then", *line.split())]
    return [*words, "--", *rest[1:]] if rest else words
