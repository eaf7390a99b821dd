"""Runs the agent of a site: carries out the hub's commands at the daemon, and reports its jobs.

    CMD_SITE --> `obey` --> the daemon --> `report_jobs` --> KV_state_SITE

The agent has no file. The daemon's database has the jobs: each has the label `hub`, and its
start_key is the hub's id of the job. What the daemon does not keep is in the bucket of the site:
the number of the last command, and why it was refused. A command is acknowledged once both are
durable, and comes again if anything is killed before. All commands have the same effect if they
come twice:

    start    the daemon returns the same job for the same start_key
    retry    likewise, with a key of its own
    cancel   what has ended stays as it is
    any      a command whose number is not larger than that of the last command is acknowledged, and
             not carried out. So a start that comes after its cancel starts nothing

The server accepts a state only if the last one of its key is the one that this agent knows. So a
state that was delayed, or that comes from another agent with the same name, never replaces a newer
one. If the message number of the site's own state has become smaller, NATS has lost the bucket, and
everything is reported again. Other states do not show that, because NATS drops the oldest ones of a
full bucket.

The agent has the rights of its own user at the daemon, who must be in `[access] may_speak_for`,
because a start names who asked at the hub.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import trio
from msgspec.structs import replace

from cucmctl.client import errors
from cucmctl.client.errors import ClientError
from cucmd.job.failure import Failure
from cucmd.job.request import OnBehalfOf
from cucmd.job.work import StartRequest
from cucmd.plan.resolve import parse_instant
from cucmd.protocol.jobs import Job, JobChange, JobSummary, StartReply
from cucmd.protocol.requests import CancelReply
from cucmfleet import messages
from cucmfleet.config import AgentConfig
from cucmfleet.jetstream import WRONG_SEQUENCE, JetStream, Message, NoAnswer, Refused, connected
from cucmfleet.messages import AGENT, Command, NodeState, PartState, SiteState, State
from cucmfleet.uploads import Uploads
from cucmtrio import Client, events, open_client
from cucmtrio.events import AWAY

_log = logging.getLogger("cucmfleet")
_say_once = lru_cache(_log.warning)

# Seconds until a command comes again that could not be carried out yet, and until something else is
# tried again.
_COMES_AGAIN, _PAUSE = 2.0, 0.5
# Seconds until a state is written again, because a server may be behind the others.
_BEHIND = 0.1
# Requests to NATS that are on their way at a time, and jobs that are compared at a time.
_MOST = 16


async def run(config: AgentConfig, task_status: trio.TaskStatus[None]) -> None:
    """Works until cancelled. Raises `OSError`."""
    async with (
        connected(
            config.servers, config.secret_key, config.site, config.ca, messages.SITE_API
        ) as jetstream,
        open_client(config.socket) as client,
        trio.open_nursery() as nursery,
    ):
        uploads = Uploads(client, config.targets)
        agent = Agent(config.site, jetstream, client, uploads)
        for task in (agent.obey, agent.report_site, agent.report_jobs, uploads.run):
            nursery.start_soon(task)
        task_status.started()


class Agent:
    def __init__(self, site: str, jetstream: JetStream, client: Client, uploads: Uploads) -> None:
        self._site = site
        self._state = SiteState(site)  # what was reported last of the site itself
        self._bucket, _ = messages.states_of(site)
        self._commands, _ = messages.commands_of(site)
        self._jetstream = jetstream
        self._client = client
        self._uploads = uploads
        # For jobs that go on: subject -> the number and the state of its last message
        self._known: dict[str, tuple[int, State | None]] = {}
        self._locks = WeakValueDictionary[str, trio.Lock]()  # one report of a job at a time
        self._limiter = trio.CapacityLimiter(_MOST)
        self._reporting = trio.CancelScope()

    # Commands

    async def obey(self) -> None:
        """Carries out the commands of the hub, one after the other. Never returns."""
        while True:
            await self._jetstream.until_connected()
            try:
                async with self._jetstream.pull(self._commands, AGENT) as receive:
                    while True:
                        await self._obey(await receive())
            except* (NoAnswer, Refused) as group:
                _log.info("asking for commands again: %s", group.exceptions[0])
                await trio.sleep(_PAUSE)

    async def _obey(self, message: Message) -> None:
        """Carries out a command and acknowledges it, or lets it come again."""
        try:
            command = msgspec.json.decode(message.data, type=Command)
            # NATS may have lost what this agent knows to be there.
            subject = PartState(self._site, command.job_id).subject
            self._known.pop(subject, None)
            part = await self._part(command.job_id)
            if part.job is None and self._jetstream.has_several_servers:
                # The server that has answered may be behind the others, and lack a cancel that came
                # before this start. Then the write is refused, and the part is read again.
                await self._write(part)
                part = await self._part(command.job_id)
            if command.number > part.done:
                await self._carry_out(command, part)
            else:  # the job may have ended long ago
                self._known.pop(subject, None)
        except msgspec.DecodeError:
            _log.error("a command that cannot be read was dropped")
        except (ClientError, NoAnswer) as error:
            _log.warning("%s of job %s waits: %s", command.operation, command.job_id, error)
            await self._jetstream.delay(message, _COMES_AGAIN)
            return
        await self._jetstream.acknowledge(message)

    async def _carry_out(self, command: Command, part: PartState) -> None:
        """Returns once the effect of a command is durable, or its refusal. Raises an error after
        which it is to come again.
        """
        job, failure, lost = None, None, {}
        try:
            job = await self._job_after(command, part)
        except AWAY:  # the same command can succeed later
            raise
        except errors.Refused as error:
            text = str(error)
            if isinstance(error, errors.NotPermitted):
                text = "the daemon does not permit the user of cucmagent to do that"
            failure = Failure("refused_at_site", f"site {self._site}: {text}", retryable=False)
            if isinstance(error, errors.JobNotFound):  # the daemon has lost its database
                lost = {"job": None, "nodes": 0}
        except TimeoutError as late:
            failure = Failure("too_late", f"site {self._site}: {late}", retryable=True)
        await self._report(command.job_id, job, done=command.number, failure=failure, **lost)

    async def _job_after(self, command: Command, part: PartState) -> Job | None:
        """Carries out a command. Returns the daemon's job, or None if no job was started."""
        client = self._client.on_behalf_of(OnBehalfOf(command.speaker, "operate"))
        if part.job is not None:
            local_id = part.job.job_id
        elif found := await self._client.list(labels={messages.LABEL: command.job_id}):
            local_id = found[0].job_id  # this agent was killed before it could report the job
        elif command.start is not None:
            return await self._start(client, command.job_id, command.start)
        else:
            return None
        if command.cancel is not None:
            await client.call("Cancel", replace(command.cancel, job_id=local_id), CancelReply)
        if command.retry is not None:
            retry = replace(command.retry, job_id=local_id, start_key=command.message_id)
            await client.call("Retry", retry, StartReply)
        return await self._client.status(local_id)

    async def _start(self, client: Client, hub_id: str, start: StartRequest) -> Job:
        """Starts a job. Raises `TimeoutError` if its limit has passed."""
        limit = parse_instant("not_after", start.not_after)
        if limit is not None:
            # The clock of a site may be hours off, so that of the NATS server counts.
            await self._write(self._state)
            written, _ = self._known[self._state.subject]
            last = await self._jetstream.last(self._bucket, self._state.subject)
            if last.number < written:
                raise NoAnswer("the server that has answered is behind the others")
            if last.at > limit:
                raise TimeoutError(f"the start came after {limit:%Y-%m-%d %H:%M:%SZ}, its limit")
        labels = {**(start.labels or {}), messages.LABEL: hub_id}
        if start.upload is not None:
            if start.upload not in self._uploads.targets:
                known = ", ".join(self._uploads.targets) or "none"
                reason = f"there is no target {start.upload[:80]!a}; known are: {known}"
                raise errors.InvalidRequest.make("upload", reason)
            labels[messages.UPLOAD] = start.upload
        start = replace(start, labels=labels, start_key=hub_id, not_after=None, upload=None)
        job = (await client.call("Start", start, StartReply)).job
        _log.info("job %s of the hub is job %s here", hub_id, job.job_id)
        return job

    # States

    async def report_site(self) -> None:
        """Reports the site itself every HEARTBEAT seconds. Never returns."""
        while True:
            await self._jetstream.until_connected()
            with suppress(ClientError):
                names = [one.name or one.asked for one in await self._client.clusters()]
                known = [await self._client.clusters(name) for name in names if name]
                clusters = tuple(one for found in known for one in found)
                self._state = SiteState(self._site, clusters)
            try:
                await self._write(self._state)
                await trio.sleep(messages.HEARTBEAT)
            except (NoAnswer, Refused) as error:
                _log.debug("the site is reported later: %s", error)
                await trio.sleep(_COMES_AGAIN)

    async def report_jobs(self) -> None:
        """Reports the jobs that run or wait, each job that changes, and once all others. Begins
        anew if NATS has lost the bucket. Never returns.
        """
        while True:
            try:
                with trio.CancelScope() as self._reporting:
                    async with (
                        trio.open_nursery() as nursery,
                        events(self._client, reconnect=math.inf) as job_events,
                    ):
                        await anext(job_events)  # all changes behind it are events
                        nursery.start_soon(self._catch_up)
                        async for event in job_events:
                            if (job := event.job) is not None:
                                await self._report_job(job)
            except* ClientError as group:
                _log.info("the jobs are reported again: %s", group.exceptions[0])
            await trio.sleep(_COMES_AGAIN)

    async def _catch_up(self) -> None:
        """Reports what has changed while this agent did not watch, or what the bucket has lost."""
        before, oldest = None, datetime.now(UTC) - messages.KEEP
        while page := await self._client.list(limit=_MOST, before=before):
            async with trio.open_nursery() as nursery:
                for job in page:
                    nursery.start_soon(self._report_job, job)
            before = page[-1].job_id
            if page[-1].created_at < oldest:
                break

    async def _report_job(self, job: Job | JobSummary | JobChange) -> None:
        """Reports a job as it is now. A job from a list is skipped if the bucket has its revision.
        Tries again until it succeeds. If the job was deleted, the hub keeps its last state.
        """
        hub_id = (job.labels or {}).get(messages.LABEL, "")
        if not messages.JOB_ID.fullmatch(hub_id):
            return  # it is not of the hub
        self._uploads.look_at(job)
        there, done = None, False
        while not done:
            try:
                if isinstance(job, JobSummary):
                    _, there = await self._last(PartState(self._site, hub_id).subject)
                if there is None or there.order < (job.revision,):
                    await self._report(hub_id, await self._client.status(job.job_id))
                done = True
            except* errors.JobNotFound:
                done = True
            except* (ClientError, NoAnswer, Refused) as group:
                _say_once("a job is reported later: %s", str(group.exceptions[0]))
                await trio.sleep(_COMES_AGAIN)
                await self._jetstream.until_connected()

    async def _report(self, hub_id: str, job: Job | None, /, **came: Any) -> None:
        """Writes the state of a job, unless a newer one is known. The nodes come before the job, so
        that nobody sees an ended job with a running node.

        came  fields of the state: what came of a command
        """
        async with self._locks.setdefault(hub_id, trio.Lock()):
            part = await self._part(hub_id)
            if job is not None and (job.revision, part.done) >= part.order:
                async with trio.open_nursery() as nursery:
                    for position, node in enumerate(job.nodes):
                        new = NodeState(self._site, hub_id, position, job.revision, node)
                        _, known = self._known.get(new.subject, (0, None))
                        if not isinstance(known, NodeState) or known.node != node:
                            nursery.start_soon(self._write, new)
                # The hub knows the targets.
                part = replace(part, job=replace(job, nodes=(), targets=None), nodes=len(job.nodes))
            part = replace(part, **came)
            await self._write(part)
            if part.job is None or (part.job.closed and not part.job.coverage_pending):
                self._known = {key: one for key, one in self._known.items() if hub_id not in key}

    async def _part(self, hub_id: str) -> PartState:
        """Returns the state of a job. The bucket has that from before a restart of the agent."""
        new = PartState(self._site, hub_id)
        if new.subject not in self._known:
            self._known[new.subject] = await self._last(new.subject)
        _, known = self._known[new.subject]
        return known if isinstance(known, PartState) else new

    async def _last(self, subject: str) -> tuple[int, State | None]:
        """Returns number and state of the last message of a subject; 0 and None without."""
        async with self._limiter:
            last = await self._jetstream.last(self._bucket, subject)
        return last.number, messages.decode_state(subject, last.data)

    async def _write(self, state: State) -> None:
        """Returns once the bucket has this state, or a newer one. Raises `NoAnswer` and `Refused`.

        Another agent may have written a newer job with an older result of commands. Of both states,
        the newer job and the newer result are kept.
        """
        subject, data = state.subject, msgspec.json.encode(state)
        if len(data) > messages.LARGEST_STATE:
            _say_once("%s is too large for the hub, which gets less of it", subject)
            state = messages.shortened(state)
            data = msgspec.json.encode(state)
            if len(data) > messages.LARGEST_STATE:
                return
        for _ in range(3):
            after, _known = self._known.get(subject, (0, None))
            try:
                async with self._limiter:
                    number = await self._jetstream.publish(subject, data, after=after)
            except Refused as error:
                if error.code != WRONG_SEQUENCE:
                    raise
            else:
                self._known[subject] = number, state
                return
            number, there = self._known[subject] = await self._last(subject)
            if number < after and isinstance(state, SiteState):
                _log.warning("the hub has lost the states of this site; they are sent again")
                self._known.clear()
                self._reporting.cancel()
            if isinstance(there, PartState) and isinstance(state, PartState):
                newer = max(state, there, key=attrgetter("order"))
                last = max(state, there, key=attrgetter("done"))
                state = replace(newer, done=last.done, failure=last.failure)
                data = msgspec.json.encode(state)
                if state == there:
                    return
            elif there is not None and there.order > state.order:
                return
            await trio.sleep(_BEHIND)
        raise NoAnswer("another agent writes the same states")
