"""Holds what the hub knows of all jobs and sites, in memory, and tells watchers what has changed.

jobs     from the hub's file, and each new one after it was stored there
states   from NATS, by `take`; they come again after a restart of the hub, and whenever a state
         was sent twice. A state replaces another one only if it is not older
silence  whether a site is heard, looked at every second by `look_for_silence`
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import trio

from cucmd.protocol.jobs import Job, Node
from cucmd.protocol.knowledge import Cluster
from cucmfleet.messages import CUT_OFF, Asked, Command, NodeState, PartState, SiteState
from cucmfleet.view import UNFINISHED, Part, at_site, job_of, silence

_log = logging.getLogger("cucmfleet")


class Feed:
    """Collects the ids of jobs that have changed, until the watcher takes one."""

    def __init__(self, job_id: str | None) -> None:
        self._job_id = job_id
        self._changed: dict[str, None] = {}
        self._any = trio.Event()

    def put(self, job_id: str) -> None:
        if self._job_id in (None, job_id):
            self._changed[job_id] = None
            self._any.set()

    async def next(self) -> str:
        """Returns the id of a job that has changed since it was returned last."""
        while not self._changed:
            await self._any.wait()
            self._any = trio.Event()
        job_id = next(iter(self._changed))
        del self._changed[job_id]
        return job_id


class Site:
    """Holds the last state of a site, and when it came, by the clock of the NATS server."""

    def __init__(self) -> None:
        self.state: SiteState | None = None
        self.heard_at: float | None = None
        self.silent = True


class Board:
    """Holds jobs and states: see the beginning of this file."""

    def __init__(self, jobs: Iterable[Asked]) -> None:
        self.asked = {asked.job_id: asked for asked in jobs}  # the oldest first
        self.sites: dict[str, Site] = {}
        self._parts: dict[tuple[str, str], PartState] = {}
        self._nodes: dict[tuple[str, str], dict[int, NodeState]] = defaultdict(dict)
        self._feeds: set[Feed] = set()

    def set_sites(self, names: Iterable[str]) -> None:
        """Sets which sites there are. A site that is gone keeps the last states of its jobs."""
        self.sites = {name: self.sites.get(name) or Site() for name in names}

    def add(self, asked: Asked) -> None:
        self.asked[asked.job_id] = asked
        self._changed(asked.job_id)

    def take(self, state: PartState | NodeState | SiteState, at: float) -> None:
        """Takes a state that came from NATS. at: when the server got it, in seconds since 1970."""
        if isinstance(state, SiteState):
            self._take_site(state, at)
            return
        if state.job_id not in self.asked or state.site not in self.asked[state.job_id].targets:
            return  # forged, or of a hub whose file is lost
        key = state.job_id, state.site
        if isinstance(state, PartState):
            before = self._parts.get(key)
            if before is not None and before.revision > state.revision:
                return
            self._parts[key] = state
        else:
            known = self._nodes[key].get(state.position)
            if known is not None and known.revision > state.revision:
                return
            self._nodes[key][state.position] = state
        self._changed(state.job_id)

    def _take_site(self, state: SiteState, at: float) -> None:
        site = self.sites.get(state.site)
        if site is None:
            return
        if site.state is not None and site.state.agent != state.agent:
            _log.info("site %s has another agent, or its agent was started again", state.site)
        site.state, site.heard_at = state, at

    async def look_for_silence(self) -> None:
        while True:
            await trio.sleep(1)
            self.look_at_sites(time.time())

    def look_at_sites(self, now: float) -> None:
        """Marks the sites that are not heard, or heard again. now: seconds since 1970."""
        for name, site in self.sites.items():
            self._look_at(name, site, now)

    def _look_at(self, name: str, site: Site, now: float) -> None:
        silent = site.heard_at is None or now - site.heard_at > CUT_OFF
        if silent == site.silent:
            return
        site.silent = silent
        _log.log(
            logging.WARNING if silent else logging.INFO,
            *("site %s is %s", name, "not heard" if silent else "heard"),
        )
        for asked in self.asked.values():
            if name in asked.targets and self.job(asked.job_id).status in UNFINISHED:
                self._changed(asked.job_id)

    def is_heard(self, site: str) -> bool:
        return site in self.sites and not self.sites[site].silent

    def job(self, job_id: str) -> Job:
        """Returns a job as the hub shows it. Raises `KeyError`."""
        asked = self.asked[job_id]
        return job_of(asked, [self._part(asked, *each) for each in asked.targets.items()])

    def _part(self, asked: Asked, site: str, targets: tuple[str, ...]) -> Part:
        key = asked.job_id, site
        state = self._parts.get(key)
        count = 0 if state is None else state.nodes
        # Positions behind the count can only be from a hostile site.
        nodes: Mapping[int, Node] = {
            position: each.node
            for position, each in self._nodes.get(key, {}).items()
            if position < count
        }
        gone = "" if self.is_heard(site) else silence(self._heard_at(site))
        return Part(site, targets, state, nodes, gone)

    def _heard_at(self, site: str) -> datetime | None:
        found = self.sites.get(site)
        if found is None or found.heard_at is None:
            return None
        return datetime.fromtimestamp(found.heard_at, UTC)

    def jobs(self) -> Iterator[Job]:
        """Yields all jobs, the newest first."""
        for job_id in reversed(self.asked):
            yield self.job(job_id)

    def find(self, prefix: str) -> list[str]:
        """Returns the ids that begin with `prefix`."""
        return [job_id for job_id in self.asked if job_id.startswith(prefix)]

    def clusters(self) -> list[Cluster]:
        return [
            at_site(name, cluster)
            for name, site in self.sites.items()
            if site.state is not None
            for cluster in site.state.clusters
        ]

    def state(self, job_id: str, site: str) -> PartState | None:
        return self._parts.get((job_id, site))

    async def carried_out(self, commands: Iterable[Command]) -> None:
        """Returns once the sites have carried out or refused these commands."""
        for command in commands:
            with self.subscribe(command.job_id) as feed:
                while (
                    state := self.state(command.job_id, command.site)
                ) is None or state.done < command.number:
                    await feed.next()

    @contextmanager
    def subscribe(self, job_id: str | None) -> Iterator[Feed]:
        """Yields what has changed: one job, or all jobs if the id is None."""
        feed = Feed(job_id)
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def _changed(self, job_id: str) -> None:
        for feed in self._feeds:
            feed.put(job_id)
