"""Runs the hub: serves the socket, sends commands to NATS, and follows the states of the sites.

    a call --> board.py --> `_send` --> CMD --> an agent
    a watcher <-- board.py <-- `_follow` <-- KV_state <-- an agent

The states are followed by the sequence of the stream, with a consumer that is made again whenever
it is in doubt, behind the last message that came. A watch of nats-py is not used: in several
clients a watch falls silent after a restart of the server.

NATS can lose a stream, for example after a kill of the server (nats-server issue 6888). So the hub
looks every few seconds whether all streams are the ones that it knows. A lost one is created again,
and filled: with what the hub keeps, and with the states of the agents, which notice the loss
themselves. Jobs whose files were lost at the hub come from KV_jobs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from cucmd import __version__
from cucmd.api.interface import make_interface
from cucmd.service import systemd
from cucmd.service.access import Access
from cucmd.store import StoreFailed
from cucmd.varlink import ServiceInfo, SocketLimits, Users, open_unix_listener, serve
from cucmfleet import keys, messages
from cucmfleet.board import Board
from cucmfleet.config import HubConfig
from cucmfleet.hub_methods import HubMethods
from cucmfleet.jetstream import NO_STREAM, JetStream, NoAnswer, Receive, Refused, connected
from cucmfleet.messages import COMMANDS, HEARTBEAT, JOBS, STATES, Asked, Command

_log = logging.getLogger("cucmfleet")

_INFO = ServiceInfo(vendor="cucmd", product="cucmhub", version=__version__, url="")
_SOCKET_MODE = 0o660
# Seconds until something is tried again, and until commands are sent again.
_PAUSE, _AGAIN = 0.5, 2.0
# Messages that may be on their way to the hub. NATS drops a client for which more than 64 MB wait.
_BATCH = 200
# The server forgets the consumer of a hub that is gone after this time.
_FORGET = 60 * 10**9


async def run(config: HubConfig, task_status: trio.TaskStatus[None]) -> None:
    """Serves until cancelled. Raises `OSError`."""
    seed = keys.hub_seed(Path(config.state_directory))
    access = Access.from_settings(config.access)
    opened = open_unix_listener(
        Path(config.socket),
        _SOCKET_MODE,
        systemd.inherited_sockets(),
        group=config.access.operate_group or None,
    )
    async with connected(config.servers, seed, "hub", config.ca) as jetstream:
        hub = _Hub(config, jetstream)
        await hub.look_at_sites()
        interface = make_interface(hub.handlers, effective_caller=access.effective_caller)
        async with opened as listener, trio.open_nursery() as nursery:
            serving = partial(serve, listener, interface, _INFO, Users(SocketLimits()))
            rights = {"authorize": access.authorize, "may_operate": access.may_operate}
            await nursery.start(partial(serving, **rights))
            for task in (hub.keep_streams, hub.send, hub.follow):
                nursery.start_soon(task)
            _log.info("listening at %s", config.socket)
            task_status.started()


class _Hub:
    def __init__(self, config: HubConfig, jetstream: JetStream) -> None:
        self._config = config
        self._state = Path(config.state_directory)
        self._board = Board(self._state / "jobs")
        self._jetstream = jetstream
        self._streams_there = trio.Event()
        self._created: dict[str, str] = {}  # stream -> when it was created
        self._unsent: dict[str, Command] = {}  # by the id of its message
        self._to_send = trio.Event()
        self.handlers = HubMethods(self._board, self._add_unsent).handlers()

    # Sites and streams

    async def look_at_sites(self) -> None:
        """Looks which sites there are, and are heard. Forgets old jobs."""
        self._board.look_at_sites(datetime.now(UTC))
        await self._board.set_sites(keys.read_sites(self._state))
        self._board.forget_old()

    async def keep_streams(self) -> None:
        """Creates streams and consumers, and looks again and again whether they are there."""
        while True:
            try:
                await self.look_at_sites()
                for name, wanted in messages.streams(self._config.replicas).items():
                    await self._keep_stream(name, wanted)
                await self._keep_consumers()
            except NoAnswer:
                await trio.sleep(_PAUSE)
            except (Refused, StoreFailed, OSError, ValueError) as error:
                _log.error("cannot keep the streams: %s", error)
                await trio.sleep(HEARTBEAT)
            else:
                self._streams_there.set()
                await trio.sleep(HEARTBEAT / 2)

    async def _keep_stream(self, name: str, wanted: dict[str, Any]) -> None:
        try:
            found = await self._jetstream.ask(f"STREAM.INFO.{name}")
        except Refused as error:
            if error.code != NO_STREAM:
                raise
            found = await self._jetstream.ask(f"STREAM.CREATE.{name}", wanted)
        if found["created"] == self._created.get(name):
            return
        if name in self._created:
            _log.warning("NATS had lost the stream %s; it was created again", name)
        if name == COMMANDS:
            parts = [part for asked in self._board.jobs.values() for part in asked.parts.values()]
            commands = [command for part in parts for command in part.commands]
            self._add_unsent(sorted(commands, key=lambda command: command.number))
        if name == JOBS:
            await self._exchange_jobs()
        self._created[name] = found["created"]

    async def _exchange_jobs(self) -> None:
        """Takes the jobs that are only in KV_jobs, and writes those that are missing there."""
        there: set[str] = set()
        async with self._messages(JOBS, 1) as (receive, count):
            left = count
            while left:
                message = await receive()
                left = message.metadata.num_pending
                asked = msgspec.json.decode(message.data, type=Asked)
                there.add(asked.job_id)
                if asked.job_id not in self._board.jobs and not asked.is_old:
                    await self._board.keep(asked)
        for job_id in self._board.jobs.keys() - there:
            await self._publish_asked(self._board.jobs[job_id])

    async def _keep_consumers(self) -> None:
        found = await self._jetstream.ask(f"CONSUMER.NAMES.{COMMANDS}")
        there, sites = set(found["consumers"] or ()), self._board.sites.keys()
        for site in sites - there:
            body = {"stream_name": COMMANDS, "config": messages.consumer(site)}
            await self._jetstream.ask(f"CONSUMER.DURABLE.CREATE.{COMMANDS}.{site}", body)
        for site in there - sites:  # it was removed
            await self._jetstream.ask(f"STREAM.PURGE.{COMMANDS}", {"filter": f"cmd.{site}.>"})
            await self._jetstream.ask(f"CONSUMER.DELETE.{COMMANDS}.{site}")

    # Commands

    def _add_unsent(self, commands: Iterable[Command]) -> None:
        self._unsent |= {command.message_id: command for command in commands}
        self._to_send.set()

    async def send(self) -> None:
        """Sends commands, those of a site in the order in which they were given. Never returns."""
        await self._streams_there.wait()
        while True:
            self._to_send = trio.Event()
            await self._jetstream.until_connected()
            waiting: set[str] = set()  # sites of which NATS has not taken a command
            for message_id, command in list(self._unsent.items()):
                if command.site not in waiting:
                    try:
                        await self._send(command)
                    except (NoAnswer, Refused) as error:  # such as a site that has too many
                        _log.info("a command for site %s waits: %s", command.site, error)
                        waiting.add(command.site)
                    else:
                        del self._unsent[message_id]
            with trio.move_on_after(_AGAIN if self._unsent else math.inf):
                await self._to_send.wait()

    async def _send(self, command: Command) -> None:
        """Sends a command, and says in EV who has asked for it."""
        asked = self._board.jobs.get(command.job_id)
        if asked is None or command not in asked.parts[command.site].commands:
            return  # the site was removed
        if command.start is not None:
            await self._publish_asked(asked)
        for stream in ("cmd", "ev"):
            subject = f"{stream}.{command.site}.{command.operation}"
            data, message_id = msgspec.json.encode(command), command.message_id
            await self._jetstream.publish(subject, data, message_id=message_id)

    async def _publish_asked(self, asked: Asked) -> None:
        await self._jetstream.publish(f"$KV.jobs.{asked.job_id}", msgspec.json.encode(asked))

    # States

    @asynccontextmanager
    async def _messages(self, stream: str, first: int) -> AsyncIterator[tuple[Receive, int]]:
        """Yields a function that returns the next message of a stream, and how many there are."""
        body = {
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": first,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _FORGET,
        }
        request = {"stream_name": stream, "config": body}
        made = await self._jetstream.ask(f"CONSUMER.CREATE.{stream}", request)
        async with self._jetstream.pull(stream, made["name"], batch=_BATCH) as receive:
            yield receive, made["num_pending"]

    async def follow(self) -> None:
        """Follows the states of all sites. Never returns."""
        await self._streams_there.wait()
        created, last = "", 0
        while True:
            if created != self._created[STATES]:
                created, last = self._created[STATES], 0
            try:
                async with self._messages(STATES, last + 1) as (receive, _):
                    while created == self._created[STATES]:
                        message = await receive()
                        where = message.metadata
                        await self._take(message.subject, message.data, where.timestamp)
                        last = where.sequence.stream
            except (NoAnswer, Refused, StoreFailed) as error:
                _log.info("following the states again: %s", error)
                await trio.sleep(_PAUSE)
                await self._jetstream.until_connected()

    async def _take(self, subject: str, data: bytes, at: datetime) -> None:
        state = messages.decode_state(subject, data)
        if state is None:  # of a site that is not what it should be
            _log.warning("a state that cannot be read, at %s", subject)
        elif isinstance(state, messages.SiteState):
            self._board.take_site(state, at)
        elif state.job_id in self._board.jobs:
            asked = self._board.jobs[state.job_id]
            if (part := asked.parts.get(state.site)) is None:
                return
            if isinstance(state, messages.PartState):
                end = part.after(state).end
                if end and end != part.end:
                    message_id = f"{state.job_id}.{state.site}.{end[0]}.{end[1]}"
                    subject = f"ev.{state.site}.ended"
                    await self._jetstream.publish(subject, data, message_id=message_id)
            if self._board.take(state):
                await self._board.keep(asked)
