"""Describes what a collection collects, and its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import health_text, render
from cucmctl.text.kind_text import KindText, Part
from cucmctl.text.window import window
from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Job, JobSummary

PATHS_SHOWN = 3


class CollectText(KindText):
    """The text of collections, which may include a health check as their snapshot."""

    verb: ClassVar[str] = "collects"

    def describe(self, job: Job) -> Iterator[str]:
        if what := collected(job.collection):
            yield f"{self.verb} {visible(what)}"
            if job.collection.since is not None:
                zones = {node.zone for node in job.nodes if node.zone is not None}
                zone = zones.pop() if len(zones) == 1 else None
                yield f"window  {window(job.collection.since, job.collection.until, zone)}"
            if job.collection.profile is not None and job.collection.paths:
                # --only and --path change the paths of the profile.
                yield f"paths {visible(', '.join(_first(job.collection.paths)))}"

    def summarize(self, job: Job | JobSummary) -> str:
        """Returns the description without the word "profile", to leave room for its name."""
        return collected(job.collection or Collection()).removeprefix("profile ")

    def complete(self, job: Job) -> Job:
        return health_text.complete(job) if _has_snapshot(job) else job

    def parts(self, job: Job) -> Iterator[Part]:
        return health_text.parts(job)

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        if _has_snapshot(job):
            verdict = f"health of {health_text.verdict(job)}"
            yield from render.paragraphs(health_text.lines(job, **layout), [verdict])

    def result(self, job: Job, files: str) -> str:
        wrong = health_text.not_good(health_text.complete(job)) if _has_snapshot(job) else 0
        return (
            f"{files}, {render.count_of(wrong, 'finding')} of health not good" if wrong else files
        )


TEXT = CollectText()


def collected(collection: Collection) -> str:
    """Returns what a job collects: `cm/trace/ccm/sdl, last 2h`. Of many paths, names the first few.

    A job without a window is marked as such, because it may take hours.
    """
    parts = _first(collection.paths or ())
    if collection.profile is not None:
        parts = [f"profile {collection.profile}"]
    if collection.match is not None:
        parts.append(f"names that match {collection.match}")
    if collection.last is not None:
        parts.append(f"last {collection.last}")
    if collection.since is not None and collection.last is None:
        parts.append(f"since {render.local(datetime.fromisoformat(collection.since))}")
    if collection.until is not None and collection.last is None:
        parts.append(f"until {render.local(datetime.fromisoformat(collection.until))}")
    if parts and not (collection.last or collection.since or collection.until):
        parts.append("all files (no window)")
    return ", ".join(parts)


def _first(paths: Sequence[str]) -> list[str]:
    more = len(paths) - PATHS_SHOWN
    return [*paths[:PATHS_SHOWN], *([f"{more} more paths"] if more > 0 else [])]


def _has_snapshot(job: Job) -> bool:
    return any(node.health is not None for node in job.nodes)
