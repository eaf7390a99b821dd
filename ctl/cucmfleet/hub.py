"""Runs the hub: serves the socket, sends commands to NATS, and follows the states of the sites.

    a call --> board.py --> `send` --> CMD_SITE --> an agent
    a watcher <-- board.py <-- `follow` <-- KV_state_SITE <-- an agent

The states of a site are followed by the sequence of its stream, with a consumer that is made again
whenever it is in doubt, behind the last message that came. A watch of nats-py is not used: in
several clients a watch falls silent after a restart of the server.

NATS can lose a stream, for example after a kill of the server (nats-server issue 6888). So the hub
looks every few seconds whether its streams are those that it knows. A lost one is created again,
and filled with what the hub keeps, or by the agents, which notice the loss of their states
themselves. Jobs whose files were lost at the hub come from KV_jobs.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import msgspec
import trio

from cucmd import __version__
from cucmd.api.interface import make_interface
from cucmd.service import systemd
from cucmd.service.access import Access
from cucmd.store import StoreFailed
from cucmd.store.database import hold_state_directory
from cucmd.varlink import ServiceInfo, SocketLimits, Users, open_unix_listener, serve
from cucmfleet import keys, messages
from cucmfleet.board import Board, Site
from cucmfleet.config import HubConfig
from cucmfleet.hub_methods import HubMethods
from cucmfleet.jetstream import NO_STREAM, JetStream, NoAnswer, Receive, Refused, connected
from cucmfleet.messages import (
    AGENT,
    CONSUMER,
    HEARTBEAT,
    JOBS,
    Asked,
    Command,
    Ended,
    NodeState,
    PartState,
    commands_of,
    states_of,
)

_log = logging.getLogger("cucmfleet")
_say_once = lru_cache(_log.warning)

_INFO = ServiceInfo(vendor="cucmd", product="cucmhub", version=__version__, url="")
_SOCKET_MODE = 0o660
# Seconds until something is tried again, and until a command is sent again.
_PAUSE, _AGAIN = 0.5, 20.0
# Messages of a site that may be on their way to the hub.
_BATCH = 100
# The server forgets the consumer of a hub that is gone after this time.
_FORGET = 60 * 10**9


async def run(config: HubConfig, task_status: trio.TaskStatus[None]) -> None:
    """Serves until cancelled. Raises `OSError`, `StateInUse`, `StoreFailed`, and `ValueError` for a
    damaged file.
    """
    seed = keys.hub_seed(config.state_directory)
    access = Access.from_settings(config.access)
    opened = open_unix_listener(
        config.socket,
        _SOCKET_MODE,
        systemd.inherited_sockets(),
        group=config.access.operate_group or None,
    )
    with hold_state_directory(config.state_directory):
        async with (
            connected(config.servers, seed, "hub", config.ca) as jetstream,
            opened as listener,
            trio.open_nursery() as nursery,
        ):
            hub = Hub(config, jetstream, nursery)
            hub.look_at_sites()
            interface = make_interface(hub.handlers, effective_caller=access.effective_caller)
            serving = partial(serve, listener, interface, _INFO, Users(SocketLimits()))
            rights = {"authorize": access.authorize, "may_operate": access.may_operate}
            await nursery.start(partial(serving, **rights))
            hub.send_all()
            nursery.start_soon(hub.keep_streams)
            _log.info("listening at %s", config.socket)
            task_status.started()


class Hub:
    def __init__(self, config: HubConfig, jetstream: JetStream, nursery: trio.Nursery) -> None:
        self._config = config
        self._state = config.state_directory
        self.board = Board(self._state / "jobs")
        self._jetstream = jetstream
        self._nursery = nursery
        self._created: dict[str, str] = {}  # stream -> when it was created
        self.handlers = HubMethods(self.board, self._send_soon).handlers()

    # Sites and streams

    def look_at_sites(self) -> Sequence[PartState]:
        """Looks which sites there are, and are heard. Forgets old jobs. Returns what
        `Board.set_sites` returns.
        """
        self.board.look_at_sites(datetime.now(UTC))
        self.board.forget_old()
        return self.board.set_sites(keys.read_sites(self._state))

    async def keep_streams(self) -> None:
        """Creates streams and consumers, and looks again and again whether they are there."""
        exchanged, followed = "", dict[str, Site]()
        while True:
            pause = HEARTBEAT / 2
            try:
                gone = self.look_at_sites()
                for name, wanted in messages.STREAMS.items():
                    created = (await self._keep_stream(name, wanted))["created"]
                    if name == JOBS and created != exchanged:
                        await self._exchange_jobs()
                        exchanged = created
                await self._keep_commands()
                for state in gone:
                    await self._take_state(state)
                # Not earlier, because states of jobs that the hub does not know are dropped.
                for name, site in self.board.sites.items():
                    if followed.get(name) is not site:
                        self._nursery.start_soon(self.follow, name, site)
                        followed[name] = site
            except NoAnswer:
                pause = _PAUSE
            except (Refused, StoreFailed, OSError, ValueError) as error:
                _log.error("cannot keep the streams: %s", error)
            await trio.sleep(pause)

    async def _keep_stream(self, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Creates a stream if it is not there. Returns what NATS says of the stream."""
        try:
            found = await self._jetstream.ask(f"STREAM.INFO.{name}")
        except Refused as error:
            if error.code != NO_STREAM:
                raise
            common = {"name": name, "storage": "file", "num_replicas": self._config.replicas}
            found = await self._jetstream.ask(f"STREAM.CREATE.{name}", wanted | common)
        created: str = found["created"]
        if self._created.setdefault(name, created) != created:
            _log.warning("NATS had lost the stream %s; it was created again", name)
            self._created[name] = created
        return found

    async def _exchange_jobs(self) -> None:
        """Takes the jobs that are only in KV_jobs, and writes those that are missing there."""
        info = await self._jetstream.ask(f"STREAM.INFO.{JOBS}", {"subjects_filter": ">"})
        subjects = info["state"].get("subjects", ())
        there = {subject.rpartition(".")[2]: subject for subject in subjects}
        for job_id in there.keys() - self.board.jobs.keys():
            found = await self._jetstream.last(JOBS, there[job_id])
            try:
                asked = msgspec.json.decode(found.data, type=Asked)
            except msgspec.DecodeError:
                _log.warning("a job that cannot be read, at %s", there[job_id])
                continue
            if not asked.is_old:
                await self.board.keep(asked)
                self._send_soon(asked, asked.waiting)
        for job_id in self.board.jobs.keys() - there.keys():
            await self._put_asked(self.board.jobs[job_id])

    async def _keep_commands(self) -> None:
        """Creates the streams of commands. Deletes the streams of sites that were removed, and of
        keys that were replaced.
        """
        sites = self.board.sites
        for name, site in sites.items():
            stream, wanted = commands_of(name)
            wanted["metadata"] = {"key": site.key}
            found = await self._keep_stream(stream, wanted)
            same_key = (found["config"].get("metadata") or {}).get("key") == site.key
            if found.get("did_create") or not same_key:
                # Whoever has the old key may have forged states, also of nodes that do not exist.
                await self._delete_stream(states_of(name)[0])
                await self.board.forget_nodes(name)
            if not same_key:
                await self._delete_stream(stream)
                found = await self._keep_stream(stream, wanted)
            if not found["state"]["consumer_count"]:
                body = {"stream_name": stream, "config": CONSUMER}
                await self._jetstream.ask(f"CONSUMER.DURABLE.CREATE.{stream}.{AGENT}", body)
        found = await self._jetstream.ask("STREAM.NAMES", {"subject": "cmd.>"})
        there = {stream.removeprefix("CMD_") for stream in found["streams"] or ()}
        for name in there - sites.keys():
            for stream, _ in (states_of(name), commands_of(name)):
                await self._delete_stream(stream)

    async def _delete_stream(self, name: str) -> None:
        self._created.pop(name, None)
        with suppress(Refused):  # it is gone already
            await self._jetstream.ask(f"STREAM.DELETE.{name}")

    # Commands

    def send_all(self) -> None:
        for asked in self.board.jobs.values():
            self._send_soon(asked, asked.waiting)

    def _send_soon(self, asked: Asked, commands: Sequence[Command]) -> None:
        if commands:
            self._nursery.start_soon(self._send, asked, commands)

    async def _send(self, asked: Asked, commands: Sequence[Command]) -> None:
        """Sends commands of a job, after KV_jobs has what was asked."""
        await self._put_asked(asked)
        for command in commands:
            waiting = asked.parts[command.site].commands
            self._nursery.start_soon(self._send_command, command, waiting)

    async def _send_command(self, command: Command, waiting: Sequence[Command]) -> None:
        """Says in EV who has asked for a command. Then sends the command, again and again until the
        site has carried it out: NATS drops what it has already, unless it has lost the stream.
        """
        name, data = f"{command.site}.{command.operation}", msgspec.json.encode(command)
        states, _ = states_of(command.site)
        await self._put(f"ev.{name}", lambda: data, command.message_id)
        # The site could carry out a cancel of nodes before the start or retry that it cancels.
        cancels_nodes = command.cancel is not None and command.cancel.nodes is not None
        while command in waiting:
            pause = _AGAIN
            created = self._created.get(states)
            if created is None or (cancels_nodes and command != waiting[0]):
                await trio.sleep(_PAUSE)
                continue
            # If NATS loses the bucket, what came of the command is lost. Then the new id lets the
            # command reach the site again, which says again what came of it.
            message_id = f"{command.message_id}.{created}"
            try:
                await self._jetstream.publish(f"cmd.{name}", data, message_id=message_id)
            except NoAnswer:
                pause = _PAUSE
            except Refused as error:  # such as a site that has too many
                _log.info("a command for site %s waits: %s", command.site, error)
            await trio.sleep(pause)
            await self._jetstream.until_connected()

    async def _put_asked(self, asked: Asked) -> None:
        await self._put(f"$KV.jobs.{asked.job_id}", asked.for_nats)

    async def _put(self, subject: str, data: Callable[[], bytes], message_id: str = "") -> None:
        """Writes a message. Returns once NATS has the message.

        data  makes the message. It is called before each try, so that no old message is written
        """
        while True:
            try:
                await self._jetstream.publish(subject, data(), message_id=message_id)
            except (NoAnswer, Refused) as error:
                _log.info("%s waits: %s", subject, error)
                await trio.sleep(_PAUSE)
                await self._jetstream.until_connected()
            else:
                return

    # States

    @asynccontextmanager
    async def _messages(self, stream: str, first: int) -> AsyncIterator[Receive]:
        """Yields a function that returns the next message of a stream."""
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
            yield receive

    async def follow(self, name: str, site: Site) -> None:
        """Follows the states of a site, until the site is removed."""
        (stream, wanted), created, last = states_of(name), "", 0
        while self.board.sites.get(name) is site:
            try:
                if created != (now := (await self._keep_stream(stream, wanted))["created"]):
                    created, last = now, 0
                async with self._messages(stream, last + 1) as receive:
                    while self.board.sites.get(name) is site:
                        message = await receive()
                        where = message.metadata
                        await self._take(name, message.subject, message.data, where.timestamp)
                        last = where.sequence.stream
            except (NoAnswer, Refused, StoreFailed) as error:
                _log.info("following the states of site %s again: %s", name, error)
                await trio.sleep(_PAUSE)
                await self._jetstream.until_connected()

    async def _take(self, site: str, subject: str, data: bytes, at: datetime) -> None:
        state = messages.decode_state(subject, data)
        if state is None:
            _say_once("site %s sends states that cannot be read; they are dropped", site)
        elif isinstance(state, messages.SiteState):
            self.board.take_site(state, at)
        else:
            await self._take_state(state)

    async def _take_state(self, state: PartState | NodeState) -> None:
        if (asked := self.board.take(state)) is not None:
            part = asked.parts[state.site]
            if part.state is not None and (end := part.end):
                ended = msgspec.json.encode(Ended.of(part.state, end[0]))
                # A retry that is refused leaves the end as it was, and is another one in EV.
                message_id = f"{state.job_id}.{state.site}.{part.state.done}.{end}"
                await self._put(f"ev.{state.site}.ended", lambda: ended, message_id)
            await self.board.keep(asked)
