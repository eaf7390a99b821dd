"""Runs the agent of a site: carries out the hub's commands at the daemon, and reports its jobs.

    CMD_SITE --> `obey` --> the daemon --> `_watch` --> `_report` --> KV_state_SITE

The agent has no file. The daemon's database has the jobs: each has the label `hub`, and its
start_key is the hub's id of the job. What the daemon does not keep is in the bucket of the site:
the number of the last command, and why it was refused. A command is acknowledged once both are
durable, and comes again if anything is killed before. All commands have the same effect if they
come twice:

    start    the daemon returns the same job for the same start_key
    retry    likewise, with a key of its own
    cancel   what has ended stays as it is
    any      one whose number is not larger than that of the last one is only acknowledged. So a
             start that comes after its cancel starts nothing

The server accepts a state only if the last one of its key is the one that this agent knows. So a
state that was delayed, or that comes from another agent with the same name, never replaces a newer
one. If the number of a key has become smaller, NATS has lost the bucket, and all is reported again.

The agent has the rights of its own user at the daemon, who must be in `[access] may_speak_for`,
because a start names who asked at the hub.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

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

# Seconds until a command comes again that could not be carried out yet, and until something else is
# tried again.
_COMES_AGAIN, _PAUSE = 2.0, 0.5
# Requests to NATS that are on their way at a time.
_MOST = 16
_PAGE = 1000


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
        agent = _Agent(config.site, jetstream, client, uploads)
        for task in (agent.obey, agent.report_site, agent.report_jobs, uploads.run):
            nursery.start_soon(task)
        task_status.started()


class _Agent:
    def __init__(self, site: str, jetstream: JetStream, client: Client, uploads: Uploads) -> None:
        self._site = site
        self._bucket, _ = messages.states_of(site)
        self._commands, _ = messages.commands_of(site)
        self._jetstream = jetstream
        self._client = client
        self._uploads = uploads
        self._states: dict[str, State] = {}  # subject -> what this agent knows to be there
        self._numbers: dict[str, int] = {}  # subject -> the number of its last message
        self._locks: dict[str, trio.Lock] = defaultdict(trio.Lock)  # one report of a job at a time
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
        except msgspec.DecodeError:
            command = None
        if command is None or command.site != self._site:
            _log.error("a command that is not for this site was dropped")
        else:
            try:
                part = await self._part(command.job_id)
                if command.number > part.done:
                    await self._carry_out(command, part)
            except ClientError as error:
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
        elif command.cancel is not None and command.cancel.nodes and not part.done:
            raise ClientError("its start has to come first: only some nodes are cancelled")
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
            found = await self._jetstream.ask(f"CONSUMER.INFO.{self._commands}.{AGENT}")
            if msgspec.convert(found["ts"], datetime) > limit:
                raise TimeoutError(f"the start came after {limit:%Y-%m-%d %H:%M:%SZ}, its limit")
        labels = {**(start.labels or {}), messages.LABEL: hub_id}
        if start.upload is not None:
            if start.upload not in self._uploads.targets:
                known = ", ".join(self._uploads.targets) or "none is configured"
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
        site = SiteState(self._site)
        while True:
            with suppress(ClientError):
                names = [one.name or one.asked for one in await self._client.clusters()]
                known = [await self._client.clusters(name) for name in names if name]
                site = SiteState(self._site, tuple(one for found in known for one in found))
            try:
                await self._write(site)
                await trio.sleep(messages.HEARTBEAT)
            except (NoAnswer, Refused) as error:
                _log.debug("the site is reported later: %s", error)
                await trio.sleep(_PAUSE)

    async def report_jobs(self) -> None:
        """Reports the jobs, and begins anew after an error. Never returns."""
        while True:
            await self._jetstream.until_connected()
            try:
                with trio.CancelScope() as self._reporting:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._watch)
                        nursery.start_soon(self._catch_up)
            except* (ClientError, NoAnswer, Refused) as group:
                _log.info("the jobs are reported again: %s", group.exceptions[0])
            await trio.sleep(_COMES_AGAIN)

    async def _watch(self) -> None:
        """Reports the jobs that run or wait, and each job that changes."""
        async with events(self._client, reconnect=math.inf) as job_events:
            async for event in job_events:
                if (job := event.job) is None or (hub_id := _hub_id(job)) is None:
                    continue
                if not (isinstance(job, JobChange) and job.deleted):  # the hub keeps its last state
                    self._uploads.look_at(job)
                    await self._report(hub_id, await self._client.status(job.job_id))

    async def _catch_up(self) -> None:
        """Reports what has changed while this agent did not watch, or what the bucket has lost."""
        before, oldest = None, datetime.now(UTC) - messages.KEEP
        while page := await self._client.list(limit=_PAGE, before=before):
            async with trio.open_nursery() as nursery:
                for job in page:
                    if job.created_at > oldest and (hub_id := _hub_id(job)) is not None:
                        self._uploads.look_at(job)
                        nursery.start_soon(self._compare, hub_id, job)
            before = page[-1].job_id
            if page[-1].created_at < oldest:
                break

    async def _compare(self, hub_id: str, job: JobSummary) -> None:
        there = await self._last(PartState(self._site, hub_id).subject)
        if there is None or there.order < (job.revision,):
            await self._report(hub_id, await self._client.status(job.job_id))

    async def _report(self, hub_id: str, job: Job | None, /, **came: Any) -> None:
        """Writes the state of a job, unless a newer one is known. The nodes come before the job, so
        that nobody sees an ended job with a running node.

        came  fields of the state: what came of a command
        """
        async with self._locks[hub_id]:
            part = await self._part(hub_id)
            if job is not None and (job.revision, part.done) >= part.order:
                nodes = [
                    NodeState(self._site, hub_id, position, job.revision, node)
                    for position, node in enumerate(job.nodes)
                ]
                async with trio.open_nursery() as nursery:
                    for new in nodes:
                        known = self._states.get(new.subject)
                        if not isinstance(known, NodeState) or known.node != new.node:
                            nursery.start_soon(self._write, new)
                if job.closed:  # if it changes again, all its nodes are written
                    for new in nodes:
                        self._states.pop(new.subject, None)
                part = replace(part, job=replace(job, nodes=()), nodes=len(nodes))
            await self._write(replace(part, **came))

    async def _part(self, hub_id: str) -> PartState:
        """Returns the state of a job. The bucket has that from before a restart of the agent."""
        new = PartState(self._site, hub_id)
        known = self._states.get(new.subject) or await self._last(new.subject)
        return known if isinstance(known, PartState) else new

    async def _last(self, subject: str) -> State | None:
        """Returns what a subject has. If its number has become smaller, NATS has lost the bucket:
        then all jobs are reported again.
        """
        async with self._limiter:
            number, data = await self._jetstream.last(self._bucket, subject)
        if number < self._numbers.get(subject, 0):
            _log.warning("the hub has lost the states of this site; they are sent again")
            self._numbers.clear()
            # What came of a command is nowhere else any more.
            parts = {key: one for key, one in self._states.items() if isinstance(one, PartState)}
            self._states = dict(parts)
            self._reporting.cancel()
        self._numbers[subject] = number
        return messages.decode_state(subject, data)

    async def _write(self, state: State) -> None:
        """Returns once the bucket has this state, or a newer one."""
        subject, data = state.subject, msgspec.json.encode(state)
        for _ in range(3):
            after = self._numbers.get(subject, 0)
            try:
                async with self._limiter:
                    number = await self._jetstream.publish(subject, data, after=after)
            except Refused as error:
                if error.code != WRONG_SEQUENCE:
                    raise
            else:
                self._numbers[subject], self._states[subject] = number, state
                return
            there = await self._last(subject)
            if there is not None and there.order > state.order:
                self._states[subject] = there
                return
        raise NoAnswer("another agent writes the same states")


def _hub_id(job: Job | JobSummary | JobChange) -> str | None:
    """Returns the id at the hub of a job of the daemon, or None if it is not one of the hub."""
    found = (job.labels or {}).get(messages.LABEL, "")
    return found if messages.JOB_ID.fullmatch(found) else None
