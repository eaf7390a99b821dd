"""PURE. The paths of a request, with those of its profile: which there are, and below what.

All paths of a job are below one location. A path may name it as it stands after `file get`
(`activelog/cm/trace`); one that names another than the rest is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cucmd.config import InvalidValue, Profile, rules
from cucmd.config.errors import found
from cucmd.job.asked import Files

MOST_SAID = 8  # paths of a profile in a message


def given(text: str | None, field: str, rule: Callable[[str], str]) -> str | None:
    """A field of the request, checked and in the form that `rule` gives it, or None.

    Raises `InvalidValue`.
    """
    if text is None:
        return None
    try:
        return rule(text)
    except ValueError as error:
        raise InvalidValue(field, found(text, str(error))) from None


def resolve_paths(files: Files, profile: Profile) -> tuple[str, tuple[str, ...]]:
    """(location, paths). Raises `InvalidValue`."""
    request, only, added = files.collection, files.only, files.added_paths
    named = given(request.location, "collection.location", rules.location)
    placed = list(_placed(request.paths, "collection.paths"))
    placed += _placed(added, "added_paths")
    if named is None and request.paths is None:
        named = profile.location  # of the paths of the profile
    owns = [own for *_, own, _ in placed]
    location, wrong = rules.one_location(named, profile.location, owns)
    if wrong is not None:
        field, written, *_ = placed[wrong]
        raise InvalidValue(field, found(written, rules.not_below(location)))
    paths = [path for *_, path in placed]
    if request.paths is None:
        paths = [*_chosen(profile, only), *paths]
    elif only is not None:
        reason = "leaves out paths of a profile; this collects the paths that are given"
        raise InvalidValue("only", reason)
    if len(paths) > rules.MOST_PATHS:
        field = "collection.paths" if added is None else "added_paths"
        reason = f"{len(paths)} paths in all; expected at most {rules.MOST_PATHS}"
        raise InvalidValue(field, reason)
    return location, rules.distinct(paths)


def _placed(paths: Sequence[str] | None, field: str) -> Iterator[tuple[str, str, str | None, str]]:
    """(field, as it was written, location that it names, path) of each."""
    if paths is None:
        return
    if not 1 <= len(paths) <= rules.MOST_PATHS:
        raise InvalidValue(field, f"has {len(paths)} paths; expected 1 to {rules.MOST_PATHS}")
    for position, written in enumerate(paths):
        where = f"{field}[{position}]"
        try:
            location, path = rules.placed_path(written)
        except ValueError as error:
            raise InvalidValue(where, found(written, str(error))) from None
        yield where, written, location, path


def _chosen(profile: Profile, only: Sequence[str] | None) -> Sequence[str]:
    """The paths of the profile that have one of the names, in their order."""
    if only is None:
        return profile.paths
    if not 1 <= len(only) <= rules.MOST_PATHS:
        raise InvalidValue("only", f"has {len(only)} names; expected 1 to {rules.MOST_PATHS}")
    for position, name in enumerate(only):
        if not any(_has_name(path, name) for path in profile.paths):
            there = ", ".join(profile.paths[:MOST_SAID])
            more = f" and {len(profile.paths) - MOST_SAID} more" * (len(profile.paths) > MOST_SAID)
            reason = f"is in no path of profile {profile.name!r}; it has {there}{more}"
            raise InvalidValue(f"only[{position}]", found(name, reason))
    return [path for path in profile.paths if any(_has_name(path, name) for name in only)]


def _has_name(path: str, name: str) -> bool:
    """Whether the name is a part of the path: `sdl`, `ccm/sdl` and `cm/trace/ccm/sdl` are names of
    `cm/trace/ccm/sdl`. A `*` at the end of the path does not count, nor does case.
    """
    parts = _parts(path)
    wanted = _parts(name)
    starts = range(len(parts) - len(wanted) + 1)
    return bool(wanted) and any(parts[at : at + len(wanted)] == wanted for at in starts)


def _parts(path: str) -> list[str]:
    """Of `install` the one path is `*`, which is its own name."""
    return [part.rstrip("*") or part for part in path.lower().split("/") if part]
