"""Runs the agent of a site: carries out the hub's commands at the daemon, and reports its jobs.

    CMD --> `_obey` --> the daemon --> `_watch` --> states.py --> KV_state

A command is acknowledged once its effect is durable: a job is in the daemon's database, and what
the daemon does not keep is in agent_file.py. So whatever is killed in between, a command comes
again, and has its effect once:

    killed after                         the command comes again and
    nothing                              is carried out
    the daemon has started the job       the daemon returns the same job: its start_key is the hub's
                                         id of the job
    the record of it was written         is only acknowledged

The agent has the rights of its own user at the daemon, who must be in `[access] may_speak_for`,
because a start names who asked at the hub.
"""

from __future__ import annotations

import logging
import math
import secrets
import signal
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import msgspec
import trio
from msgspec.structs import replace

from cucmctl.client.errors import (
    ClientError,
    DaemonUnavailable,
    JobNotFound,
    LimitReached,
    NotPermitted,
    Refused,
    ShuttingDown,
    StorageFailed,
)
from cucmd import __version__
from cucmd.job.request import OnBehalfOf
from cucmd.protocol import jobs as wire
from cucmd.protocol import requests
from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmfleet.agent_file import AgentFile, Record
from cucmfleet.config import AgentConfig
from cucmfleet.jetstream import InDoubt, JetStream, Message, NoAnswer, Server, connected
from cucmfleet.jetstream import Refused as JetStreamRefused
from cucmfleet.messages import (
    COMMANDS,
    HEARTBEAT,
    LABEL,
    Answer,
    Command,
    NodeState,
    PartState,
    SiteState,
)
from cucmfleet.states import States
from cucmtrio import Client, JobEvent, events, open_client

_log = logging.getLogger("cucmfleet")

# After these the same command can succeed later, so it is kept.
_LATER = (DaemonUnavailable, LimitReached, ShuttingDown, StorageFailed)
# Seconds until such a command comes again, and until something else is tried again.
_COMES_AGAIN, _PAUSE = 2.0, 0.5
# Seconds between two looks at the clusters that the daemon knows.
_CLUSTERS_EVERY = 60.0
# Members of a job that a change of it has too.
_CHANGING = tuple(
    name for name in wire.JobChange.__struct_fields__ if name in wire.Job.__struct_fields__
)


def run(config: AgentConfig) -> None:
    """Works until SIGTERM or SIGINT. Raises `OSError`."""
    set_up_logging(logging.INFO)
    state = Path(config.state_directory)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(AgentFile(state / "agent.db")) as file:
        trio.run(_run, config, file)


async def _run(config: AgentConfig, file: AgentFile) -> None:
    server = Server(config.servers, config.secret_key, config.site, config.ca or None)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with connected(server) as jetstream, open_client(config.socket) as client:
            agent = _Agent(config.site, jetstream, client, file)
            async with trio.open_nursery() as nursery:
                for task in (agent.obey, agent.watch, agent.states.run, agent.report_site):
                    nursery.start_soon(task)
                nursery.start_soon(agent.report_again)
                systemd.notify(READY=1)
                number = await anext(signals)
                _log.info("stopping on %s", signal.Signals(number).name)
                systemd.notify(STOPPING=1)
                nursery.cancel_scope.cancel()


class _Agent:
    def __init__(self, site: str, jetstream: JetStream, client: Client, file: AgentFile) -> None:
        self.states = States(jetstream, self._wake)
        self._site = site
        self._jetstream = jetstream
        self._client = client
        self._file = file
        self._records = {record.job_id: record for record in file.records()}
        self._hub_ids = {
            record.local_id: record.job_id for record in self._records.values() if record.local_id
        }
        self._jobs: dict[str, wire.Job] = {}  # by the id at the hub; those that may still change
        self._early: set[str] = set()  # jobs of which a change came before their record
        self._word = secrets.token_hex(4)
        self._lost = trio.Event()

    # Commands

    async def obey(self) -> None:
        """Carries out the commands of the hub, one after the other. Never returns."""
        while True:
            try:
                async with self._jetstream.pull(COMMANDS, self._site) as pull:
                    while True:
                        await self._obey(await pull.receive())
            except (InDoubt, NoAnswer, JetStreamRefused) as error:
                _log.info("asking for commands again: %s", error)
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
                record = await self._carry_out(command)
                await trio.to_thread.run_sync(self._file.put, record)
            except (ClientError, sqlite3.Error) as error:
                _log.warning("%s of job %s waits: %s", command.operation, command.job_id, error)
                await self._jetstream.delay(message, _COMES_AGAIN)
                return
            self._keep(record)
            if command.job_id in self._early and record.local_id is not None:
                with suppress(ClientError):  # the watch sends it again
                    self._know(command.job_id, await self._client.status(record.local_id))
            self._early.discard(command.job_id)
            self._report(record)
        await self._jetstream.acknowledge(message)

    async def _carry_out(self, command: Command) -> Record:
        """Returns the record after a command. Raises an error after which it is to come again."""
        job_id = command.job_id
        record = self._records.get(job_id) or Record(job_id)
        if record.done >= command.number:
            return record
        record = replace(record, done=command.number)
        try:
            if record.local_id is None:
                record = replace(record, local_id=await self._find(job_id))
            if command.start is not None:
                return await self._start(command, record)
            if record.local_id is None:
                # A cancel that has overtaken its start is remembered. Nothing can be retried.
                return replace(record, cancelled=record.cancelled or command.cancel is not None)
            client = self._speaking_for(command)
            local_id = record.local_id
            if command.cancel is not None:
                cancel = replace(command.cancel, job_id=local_id)
                await client.call("Cancel", cancel, requests.CancelReply)
            if command.retry is not None:
                key = f"{job_id}.{command.number}"
                retry = replace(command.retry, job_id=local_id, start_key=key)
                await client.call("Retry", retry, wire.StartReply)
            self._know(job_id, await self._client.status(local_id))
        except _LATER:
            raise
        except Refused as error:
            return replace(record, answer=_answer(command, error))
        return record

    async def _start(self, command: Command, record: Record) -> Record:
        assert command.start is not None
        if record.local_id is not None or record.cancelled:
            return record
        late = command.not_after is not None and await self._server_time() > command.not_after
        if late and command.not_after is not None:
            text = f"the start came after {command.not_after:%Y-%m-%d %H:%M:%SZ}, its limit"
            return replace(record, answer=Answer(command.number, "too_late", {}, text))
        labels = {**(command.start.labels or {}), LABEL: command.job_id}
        start = replace(command.start, labels=labels, start_key=command.job_id)
        reply = await self._speaking_for(command).call("Start", start, wire.StartReply)
        self._know(command.job_id, reply.job)
        _log.info("job %s of the hub is job %s here", command.job_id, reply.job.job_id)
        return replace(record, local_id=reply.job.job_id)

    async def _server_time(self) -> datetime:
        """Returns the time of the NATS server, since the clock of a site may be hours off."""
        found = await self._jetstream.ask(f"CONSUMER.INFO.{COMMANDS}.{self._site}")
        return msgspec.convert(found["ts"], datetime)

    def _speaking_for(self, command: Command) -> Client:
        return self._client.on_behalf_of(OnBehalfOf(command.speaker, "operate"))

    async def _find(self, job_id: str) -> str | None:
        """Returns the id of the daemon's job if there is one, whose record is lost then."""
        found = await self._client.list(labels={LABEL: job_id})
        return found[0].job_id if found else None

    def _keep(self, record: Record) -> None:
        self._records[record.job_id] = record
        if record.local_id is not None:
            self._hub_ids[record.local_id] = record.job_id

    def _know(self, job_id: str, job: wire.Job) -> wire.Job:
        """Notes a state of a job, unless a newer one is known. Returns the newer one."""
        known = self._jobs.get(job_id)
        if known is None or known.revision <= job.revision:
            self._jobs[job_id] = known = job
        return known

    # States

    def _report(self, record: Record) -> None:
        """Puts the state of a job, with all of its nodes if it is known here."""
        job = self._jobs.get(record.job_id)
        if job is not None:
            self._report_nodes(record.job_id, job, job.nodes)
        if job is None and record.local_id is not None:
            self._lost.set()  # its state is asked for
            return
        self._report_part(record, job)

    def _report_part(self, record: Record, job: wire.Job | None) -> None:
        self.states.put(
            PartState(
                self._site,
                record.job_id,
                revision=0 if job is None else job.revision + 1,
                done=record.done,
                job=None if job is None else replace(job, nodes=()),
                nodes=0 if job is None else len(job.nodes),
                cancelled=record.cancelled,
                answer=record.answer,
            )
        )

    def _report_nodes(self, job_id: str, job: wire.Job, changed: tuple[wire.Node, ...]) -> None:
        positions = {node.node: position for position, node in enumerate(job.nodes)}
        for node in changed:
            self.states.put(
                NodeState(self._site, job_id, job.revision + 1, positions[node.node], node)
            )

    async def watch(self) -> None:
        """Reports each change of a job of the hub. Never returns."""
        while True:
            try:
                watching = events(
                    self._client, reconnect=math.inf, whole=lambda name: name in self._hub_ids
                )
                async with watching as job_events:
                    async for event in job_events:
                        await self._take(event)
            except ClientError as error:
                _log.warning("the jobs of the daemon cannot be watched: %s", error)
            self._lost.set()
            await trio.sleep(_PAUSE)

    async def _take(self, event: JobEvent) -> None:
        job = event.job
        if event.name == "missed":
            self._lost.set()
        if job is None:
            return
        hub_id = self._hub_ids.get(job.job_id) or (job.labels or {}).get(LABEL)
        if hub_id is None or getattr(job, "deleted", None):
            return
        record = self._records.get(hub_id)
        if record is None or record.local_id is None:
            self._early.add(hub_id)  # `_obey` is about to write the record
            return
        known = self._jobs.get(hub_id)
        if isinstance(job, wire.JobChange) and known is not None:
            nodes = {node.node: node for node in known.nodes}
            nodes |= {node.node: node for node in job.nodes}
            fields = {name: getattr(job, name) for name in _CHANGING if name != "nodes"}
            whole = replace(known, **fields, nodes=tuple(nodes.values()))
            changed = job.nodes
        elif isinstance(job, wire.Job):
            whole, changed = job, job.nodes
        else:
            whole = await self._client.status(job.job_id)
            changed = whole.nodes
        if self._know(hub_id, whole) is not whole:
            return
        self._report_nodes(hub_id, whole, changed)
        self._report_part(record, whole)
        if whole.closed and not whole.coverage_pending:
            del self._jobs[hub_id]  # a later change asks for the whole job again

    def _wake(self) -> None:
        self._lost.set()

    async def report_again(self) -> None:
        """Reports all jobs of the hub: at the start, and when states may be missing there."""
        while True:
            try:
                await self._adopt()
                for record in list(self._records.values()):
                    job = None
                    if record.local_id is not None:
                        with suppress(JobNotFound):  # it was deleted; the hub keeps its last state
                            job = await self._client.status(record.local_id)
                        if job is None:
                            continue
                        known = self._jobs.get(record.job_id)
                        if known is not None and known.revision > job.revision:
                            job = known
                        self._report_nodes(record.job_id, job, job.nodes)
                    self._report_part(self._records[record.job_id], job)
            except (ClientError, sqlite3.Error) as error:
                _log.info("the jobs are reported later: %s", error)
                await trio.sleep(_COMES_AGAIN)
                continue
            await self._lost.wait()
            self._lost = trio.Event()

    async def _adopt(self) -> None:
        """Finds jobs of the hub of which the record is lost."""
        before: str | None = None
        while True:
            page = await self._client.list(limit=1000, before=before)
            for job in page:
                hub_id = (job.labels or {}).get(LABEL)
                if hub_id is not None and hub_id not in self._records and _is_id(hub_id):
                    record = Record(hub_id, job.job_id)
                    await trio.to_thread.run_sync(self._file.put, record)
                    self._keep(record)
            if len(page) < 1000:
                return
            before = page[-1].job_id

    async def report_site(self) -> None:
        """Reports the site itself every HEARTBEAT seconds. Never returns."""
        site = SiteState(self._site, self._word, __version__)
        looked_at = -math.inf
        while True:
            try:
                if trio.current_time() - looked_at >= _CLUSTERS_EVERY:
                    known = await self._client.clusters()
                    names = [one.name or one.asked for one in known]
                    clusters = [
                        one for name in names if name for one in await self._client.clusters(name)
                    ]
                    site, looked_at = replace(site, clusters=tuple(clusters)), trio.current_time()
                else:
                    await self._client.list(limit=1)
                site = replace(site, trouble=None)
            except ClientError as error:
                site = replace(site, trouble=str(error)[:200])
            self.states.put(site)
            await trio.sleep(HEARTBEAT)


def _is_id(text: str) -> bool:
    return len(text) == 12 and all(letter in "0123456789abcdef" for letter in text)


def _answer(command: Command, error: Refused) -> Answer:
    name = error.name.rpartition(".")[2]
    fields = msgspec.to_builtins(error.parameters)
    text = str(error)
    if isinstance(error, NotPermitted):
        text = "the daemon does not permit the user of cucmagent to do that"
    return Answer(command.number, name, fields if isinstance(fields, dict) else {}, text)
