"""Holds what the hub knows of all jobs and sites, and tells watchers what has changed.

Each job is in a file, `jobs/ID.json`, and in memory. What changes while the job runs at a site is
in memory only, and comes again from NATS after a restart of the hub.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

import msgspec
import trio
from msgspec import Struct
from msgspec.structs import replace

from cucmd.durable import replace_file
from cucmd.job.failure import Failure
from cucmd.jobs.job_feed import JobFeed
from cucmd.protocol.jobs import Job
from cucmd.store import StoreFailed
from cucmfleet.messages import CUT_OFF, Asked, NodeState, PartState, SiteState
from cucmfleet.view import job_of

_log = logging.getLogger("cucmfleet")
_say_once = lru_cache(_log.error)

# Bytes of the states of a site, which are in memory: enough for the results of 300,000 nodes.
MOST_BYTES = 2**29


class Site(Struct):
    """Holds the public key of a site, its last state, and when that came, by the clock of the NATS
    server.
    """

    key: str
    state: SiteState | None = None
    heard_at: datetime | None = None
    is_heard: bool = False

    @property
    def silence(self) -> str:
        """Returns since when the site is not heard, or "" if it is heard."""
        if self.is_heard:
            return ""
        at = self.heard_at
        return f"not heard since {at:%Y-%m-%d %H:%M:%SZ}" if at else "not heard yet"


class Board:
    """Holds jobs by their id, the oldest first, and sites by their name."""

    def __init__(self, folder: Path) -> None:
        """Reads the jobs. Raises `OSError`, and `ValueError` for a file that is damaged."""
        self.feed: JobFeed[Job] = JobFeed()
        self.sites: dict[str, Site] = {}
        self._shown: dict[str, Job] = {}  # jobs that have not changed since they were shown
        self._folder = folder
        self._writing = trio.Lock()
        folder.mkdir(mode=0o700, exist_ok=True)
        files = [file.read_bytes() for file in folder.glob("*.json")]
        found = [msgspec.json.decode(file, type=Asked) for file in files]
        found.sort(key=lambda each: each.created_at)
        self.jobs = {asked.job_id: asked for asked in found}
        self._bytes: Counter[str] = Counter()  # of the states of each site
        for asked in found:
            self._count(asked, 1)
        self.unfinished = {one.job_id: one for one in found if not one.has_ended}

    # What was asked

    async def keep(self, asked: Asked) -> None:
        """Stores a job, or what has changed of it. Raises `StoreFailed`."""
        async with self._writing:  # so that a file never gets older
            file, data = self._folder / f"{asked.job_id}.json", msgspec.json.encode(asked)
            try:
                await trio.to_thread.run_sync(replace_file, file, [data], 0o600)
            except OSError as error:
                raise StoreFailed(f"{file}: {error.strerror or error}") from error
        self.jobs[asked.job_id] = asked
        self.changed(asked.job_id)

    def forget_old(self) -> None:
        """Drops the jobs that have ended and are too old. Raises `OSError`."""
        # The oldest jobs are the first ones, so this does not look at all jobs.
        old = [*takewhile(lambda one: one.is_old, self.jobs.values())]
        for asked in [one for one in old if one.has_ended]:
            (self._folder / f"{asked.job_id}.json").unlink(missing_ok=True)
            self._count(asked, -1)
            for known in (self.jobs, self.unfinished, self._shown):
                known.pop(asked.job_id, None)

    # Sites

    def set_sites(self, sites: Mapping[str, str]) -> list[PartState]:
        """Sets which sites there are, with their keys. Returns a state that has failed for each
        part of a job that was to run at a site that was removed, or has a new key.
        """
        before, self.sites = self.sites, {}
        for name, key in sites.items():
            known = before.get(name) or Site(key)
            self.sites[name] = known if known.key == key else Site(key, is_heard=known.is_heard)
        replaced = {name for name, known in before.items() if self.sites.get(name) is not known}
        states = []
        for asked in self.unfinished.values():
            for site, part in asked.parts.items():
                if (site in replaced or site not in self.sites) and not part.end:
                    gone = Failure("refused_at_site", f"site {site} was removed", retryable=False)
                    state = part.state or PartState(site, asked.job_id)
                    job = state.job and replace(state.job, status="failed", closed=True)
                    done = max((one.number for one in part.commands), default=state.done)
                    states.append(replace(state, job=job, done=done, failure=gone))
        return states

    async def forget_nodes(self, site: str) -> None:
        """Forgets the nodes that a site has sent. Raises `StoreFailed`."""
        for asked in [*self.jobs.values()]:
            if site in asked.parts and (nodes := asked.parts[site].nodes):
                self._bytes[site] -= sum(map(_size, nodes.values()))
                nodes.clear()
                await self.keep(asked)

    def look_at_sites(self, now: datetime) -> None:
        """Marks the sites that are not heard, or heard again."""
        differ = set()
        for name, site in self.sites.items():
            at = site.heard_at
            heard = at is not None and (now - at).total_seconds() <= CUT_OFF
            if heard != site.is_heard:
                site.is_heard = heard
                level = logging.INFO if heard else logging.WARNING
                _log.log(level, "site %s is %s", name, "heard" if heard else "not heard")
                differ.add(name)
        for asked in [*self.unfinished.values()] if differ else ():
            if any(name in differ and not part.end for name, part in asked.parts.items()):
                self.changed(asked.job_id)

    def take_site(self, state: SiteState, at: datetime) -> None:
        if (site := self.sites.get(state.site)) is not None:
            site.state, site.heard_at = state, at

    # Jobs

    def take(self, state: PartState | NodeState) -> Asked | None:
        """Takes a state of a job. Returns the job if `keep` is to be called: commands were carried
        out, or the job has ended at the site.
        """
        asked = self.jobs.get(state.job_id)
        if asked is None or (part := asked.parts.get(state.site)) is None:
            return None
        before = len(part.commands), part.end
        if isinstance(state, NodeState):
            grows = _size(state.node) - _size(part.nodes.get(state.position))
        else:
            grows = _size(state) - _size(part.state)
        if state.site in self.sites and self._bytes[state.site] + grows > MOST_BYTES:
            _say_once("site %s sends too much; its states are dropped", state.site)
            return None
        self._bytes[state.site] += grows
        part.take(state)
        self.changed(state.job_id)
        return None if (len(part.commands), part.end) == before else asked

    def job(self, job_id: str) -> Job:
        """Returns a job as the hub shows it."""
        # A list looks at all jobs, and most of them have ended long ago.
        if (shown := self._shown.get(job_id)) is None:
            asked = self.jobs[job_id]
            silence = {name: self.sites[name].silence for name in asked.parts if name in self.sites}
            shown = self._shown[job_id] = job_of(asked, silence)
        return shown

    def changed(self, job_id: str) -> None:
        self._shown.pop(job_id, None)
        if (asked := self.jobs.get(job_id)) is None:  # its start could not be stored
            return
        if asked.has_ended:
            self.unfinished.pop(job_id, None)
        else:
            self.unfinished[job_id] = asked
        if self.feed.is_watched(job_id):
            self.feed.publish(self.job(job_id))

    def _count(self, asked: Asked, factor: int) -> None:
        for site, part in asked.parts.items():
            self._bytes[site] += factor * sum(map(_size, (part.state, *part.nodes.values())))


def _size(state: object) -> int:
    return len(msgspec.json.encode(state))
