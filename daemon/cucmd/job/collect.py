"""PURE. Declares a collection of files, and the dry run that asks how large it would be."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cucmd.job.duration import USUAL_WRITTEN_FOR
from cucmd.job.health import Health, HealthCheck
from cucmd.job.kind import Kind, Result, format_utc
from cucmd.job.work_request import Collection


class Collect(Kind, frozen=True, tag="collect"):
    """Collects files: `paths` below `location`, in a time window, from profile and request.

    since, until  the window; without both, all files are meant
    last          the duration before the request ("2h") from which the window was made, if any
    written_for   for how long a node writes to one file of each path ("1h", "always"), in the order
                  of the paths. A node chooses files by their last change, so the node is asked
                  for a window that ends later by this duration.
    snapshot      commands that are run after the last path, as `Run` does it
    health        the health check that is made instead of the snapshot; its findings are the result
    unverified    paths that a node need not have. If no file of such a path comes, there is no note
    """

    title = "Logs collected"
    result_type = Health

    paths: tuple[str, ...]
    profile: str | None = None
    location: str = "activelog"
    match: str | None = None
    recurs: bool = False
    compress: bool = False
    last: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    snapshot: tuple[str, ...] = ()
    written_for: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    health: HealthCheck | None = None

    def written_for_of(self, path: str) -> str:
        """Returns for how long a node writes to one file of this path: "1h", "always"."""
        return dict(zip(self.paths, self.written_for, strict=False)).get(path, USUAL_WRITTEN_FOR)

    @property
    def commands_kept(self) -> tuple[str, ...]:
        return self.snapshot if self.health is None else self.health.commands_kept

    def job_members(self) -> dict[str, Any]:
        collection = Collection(
            profile=self.profile,
            paths=self.paths,
            location=self.location,
            match=self.match,
            recurs=self.recurs,
            compress=self.compress,
            last=self.last,
            since=_rfc3339(self.since),
            until=_rfc3339(self.until),
        )
        return {"collection": collection, "written_for": self.written_for or None}

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        profile = f" (profile {self.profile})" if self.profile else ""
        yield "Paths", f"{', '.join(self.paths)} below {self.location}{profile}"
        yield "Window", self.window
        for command in self.commands_kept:
            yield "Command", command

    def compare_nodes(self, results: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
        if self.health is not None:
            yield from self.health.compare_nodes(results)

    @property
    def window(self) -> str:
        """Returns the time window in UTC, for people: `2026-11-25 10:00:00 UTC to 2026-11-25
        12:00:00 UTC (last 2h)`.
        """
        if self.since is None and self.until is None:
            return "all files, no window"
        since = format_utc(self.since) if self.since else "the beginning"
        until = format_utc(self.until) if self.until else "the collection"
        return f"{since} to {until}" + (f" (last {self.last})" if self.last else "")


def _rfc3339(time: datetime | None) -> str | None:
    return time.isoformat().replace("+00:00", "Z") if time else None


class PathSize(msgspec.Struct, frozen=True):
    """Says what a node has announced for one path."""

    path: str
    files: int
    # Before compression.
    bytes: int


class Sizes(Result, frozen=True):
    """Says what a dry run has found on a node."""

    paths: tuple[PathSize, ...]
    # The bytes for which the disk of the daemon has room. Absent if this could not be determined.
    room: int | None = None
    # Whether all these files fit on the disk and into the quotas. The quota of the job is shared
    # with the nodes that were asked earlier. Absent if the files fit only when the node compresses
    # them well: the size after compression is not known.
    fits: bool | None = None
    # Why the files do not fit, or may not fit.
    why: str | None = None
    # The bytes of the disk that are kept besides room: those that stay free by the configuration
    # (limits.free_space_percent, limits.free_space_bytes), and 4 MiB for deleting jobs.
    reserved: int | None = None

    @property
    def bytes(self) -> int:
        return sum(path.bytes for path in self.paths)

    def summary_lines(self) -> Iterator[str]:
        for size in self.paths:
            yield f"{size.path}: {size.files} files, {size.bytes:,} bytes would come"


def missing_room(found: Sequence[Sizes]) -> int:
    """Returns how many bytes the disk lacks for the files of all these nodes together."""
    rooms = [sizes.room for sizes in found if sizes.room is not None]
    return max(0, sum(sizes.bytes for sizes in found) - min(rooms)) if rooms else 0


class DryRun(Kind, frozen=True, tag="dry_run"):
    """Asks for the sizes of the files that `of` would collect, and collects nothing."""

    title = "Sizes of a collection"
    result_type = Sizes
    keeps_files = False

    of: Collect

    def job_members(self) -> dict[str, Any]:
        return self.of.job_members()

    def quota_bytes(self, received: int, result: Result | None, *, earlier: bool) -> int:
        """Returns the bytes that the node has announced. Returns 0 if they do not fit, or if the
        node has no result yet.
        """
        return result.bytes if isinstance(result, Sizes) and result.fits is not False else 0
