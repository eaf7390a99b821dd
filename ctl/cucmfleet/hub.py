"""Runs the hub: serves the socket, sends commands to NATS, and follows the states of the sites.

    a call --> hub_file.py --> `_send` --> CMD --> an agent
    a watcher <-- board.py <-- `_follow` <-- KV_state <-- an agent

The states are followed by the sequence of the stream, with a consumer that is made again whenever
it is in doubt, behind the last message that came. A watch of nats-py is not used: in several
clients a watch falls silent after a restart of the server.

NATS can lose a stream, for example after a kill of the server (nats-server issue 6888). So the hub
looks every few seconds whether all streams are the ones that it knows. A lost one is created again.
What it had is sent again from the hub's file, and by the agents, which notice the loss themselves.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import msgspec
import trio

from cucmd import __version__
from cucmd.api.interface import make_interface
from cucmd.service import systemd
from cucmd.service.access import Access
from cucmd.service.log import set_up_logging
from cucmd.store import StoreFailed
from cucmd.varlink import ServiceInfo, SocketLimits, open_unix_listener, serve
from cucmfleet.board import Board
from cucmfleet.config import HubConfig
from cucmfleet.hub_file import HubFile
from cucmfleet.hub_methods import HubMethods
from cucmfleet.jetstream import (
    NO_STREAM,
    InDoubt,
    JetStream,
    NoAnswer,
    Refused,
    Server,
    connected,
)
from cucmfleet.keys import hub_seed, read_sites
from cucmfleet.messages import (
    COMMANDS,
    HEARTBEAT,
    JOBS,
    STATES,
    Command,
    Happened,
    PartState,
    command_subject,
    consumer,
    decode_state,
    job_subject,
    streams,
)
from cucmfleet.view import how_it_ended

_log = logging.getLogger("cucmfleet")

_INFO = ServiceInfo(vendor="cucmd", product="cucmhub", version=__version__, url="")
_SOCKET_MODE = 0o660
# Seconds until something is tried again.
_PAUSE = 0.5
# Messages of states that may be on their way to the hub.
_BATCH = 500
# The server forgets the consumer of a hub that is gone after this time.
_FORGET = 60 * 10**9


def run(config: HubConfig) -> None:
    """Serves until SIGTERM or SIGINT. Raises `OSError`."""
    set_up_logging(logging.INFO)
    state = Path(config.state_directory)
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    server = Server(config.servers, hub_seed(state), "hub", config.ca or None)
    with closing(HubFile(state / "hub.db")) as file:
        trio.run(_run, config, server, file)


async def _run(config: HubConfig, server: Server, file: HubFile) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with connected(server) as jetstream:
            hub = _Hub(config, file, jetstream, Board(await file.jobs()), await file.ends())
            async with hub.serving(), trio.open_nursery() as nursery:
                nursery.start_soon(hub.board.look_for_silence)
                nursery.start_soon(hub.keep_streams)
                nursery.start_soon(hub.send)
                nursery.start_soon(hub.follow)
                systemd.notify(READY=1)
                _log.info("listening at %s", config.socket)
                number = await anext(signals)
                _log.info("stopping on %s", signal.Signals(number).name)
                systemd.notify(STOPPING=1)
                nursery.cancel_scope.cancel()


class _Hub:
    def __init__(
        self,
        config: HubConfig,
        file: HubFile,
        jetstream: JetStream,
        board: Board,
        ends: dict[tuple[str, str], int],
    ) -> None:
        self.board = board
        self._config = config
        self._file = file
        self._jetstream = jetstream
        self._to_send = trio.Event()
        self._streams_there = trio.Event()
        self._sequence = 0  # of the last state that came
        self._states_created = ""
        self._ends = ends
        self._done: dict[str, int] = {}  # subject of a state -> the command that was noted last
        board.set_sites(read_sites(Path(config.state_directory)))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serves the socket while the body runs."""
        access = Access.from_settings(self._config.access)
        methods = HubMethods(self.board, self._file, self._wake)
        interface = make_interface(methods.handlers(), effective_caller=access.effective_caller)
        opened = open_unix_listener(
            Path(self._config.socket),
            _SOCKET_MODE,
            systemd.inherited_sockets(),
            group=self._config.access.operate_group or None,
        )
        async with opened as listener, trio.open_nursery() as nursery:
            await nursery.start(
                partial(
                    serve,
                    *(listener, interface, _INFO, SocketLimits()),
                    authorize=access.authorize,
                    may_operate=access.may_operate,
                )
            )
            yield
            nursery.cancel_scope.cancel()

    def _wake(self) -> None:
        self._to_send.set()

    # Streams

    async def keep_streams(self) -> None:
        """Creates streams and consumers, and looks again and again whether they are there."""
        while True:
            try:
                self.board.set_sites(read_sites(Path(self._config.state_directory)))
                for name, wanted in streams(self._config.replicas).items():
                    await self._keep_stream(name, wanted)
                for site in self.board.sites:
                    body = {"stream_name": COMMANDS, "config": consumer(site)}
                    await self._jetstream.ask(f"CONSUMER.DURABLE.CREATE.{COMMANDS}.{site}", body)
            except NoAnswer:
                await trio.sleep(_PAUSE)
            except (Refused, StoreFailed, OSError, ValueError) as error:
                _log.error("cannot keep the streams: %s", error)
                await trio.sleep(HEARTBEAT)
            else:
                self._streams_there.set()
                await trio.sleep(HEARTBEAT / 2)

    async def _keep_stream(self, name: str, wanted: dict[str, object]) -> None:
        try:
            found = await self._jetstream.ask(f"STREAM.INFO.{name}")
        except Refused as error:
            if error.code != NO_STREAM:
                raise
            found = await self._jetstream.ask(f"STREAM.CREATE.{name}", wanted)
        created = found["created"]
        before = await self._file.stream_created(name)
        if created == before:
            if name == STATES:
                self._states_created = created
            return
        if before is not None:
            _log.warning("NATS had lost the stream %s; it was created again", name)
        await self._file.forget_sent(jobs=name == JOBS, commands=name == COMMANDS)
        await self._file.keep_stream_created(name, created)
        if name == STATES:
            self._states_created, self._sequence = created, 0
        self._wake()

    # Commands

    async def send(self) -> None:
        """Sends what is in the file and not in NATS: first the jobs, then the commands."""
        await self._streams_there.wait()
        while True:
            self._to_send = trio.Event()
            try:
                refused = await self._send_all()
            except (NoAnswer, StoreFailed) as error:
                _log.info("commands wait: %s", error)
                await trio.sleep(_PAUSE)
                continue
            with trio.move_on_after(HEARTBEAT if refused else float("inf")):
                await self._to_send.wait()

    async def _send_all(self) -> bool:
        """Returns whether the server has refused some of them for now."""
        refused: set[str] = set()
        while True:
            jobs, commands = await self._file.to_send(refused)
            for asked in jobs:
                try:
                    await self._jetstream.publish(
                        job_subject(asked.job_id), msgspec.json.encode(asked)
                    )
                except Refused as error:
                    _log.error("job %s waits: %s", asked.job_id, error)
                    return True
                await self._file.job_sent(asked.job_id)
            if not commands:
                return bool(refused)
            for command in commands:
                if command.site in refused:  # the order of a site's commands is kept
                    continue
                try:
                    await self._send_command(command)
                except Refused as error:
                    _log.error("a command for site %s waits: %s", command.site, error)
                    refused.add(command.site)

    async def _send_command(self, command: Command) -> None:
        """Sends a command, and says in EV who has asked for it."""
        # The id of the job is part of it: another hub's file can have the same numbers.
        message_id = f"{command.job_id}.{command.number}"
        await self._jetstream.publish(
            command_subject(command), msgspec.json.encode(command), message_id=message_id
        )
        asked = self.board.asked[command.job_id]
        nodes = asked.targets.get(command.site, ())
        happened = Happened(command.job_id, command.site, command.speaker, asked.owner, nodes)
        await self._jetstream.publish(
            f"ev.{command.site}.{command.operation}",
            msgspec.json.encode(happened),
            message_id=message_id,
        )
        await self._file.command_sent(command.number)

    # States

    async def follow(self) -> None:
        """Follows the states of all sites. Never returns."""
        await self._streams_there.wait()
        while True:
            try:
                await self._follow_once()
            except (NoAnswer, InDoubt, Refused, StoreFailed) as error:
                _log.info("following the states again: %s", error)
                await trio.sleep(_PAUSE)

    async def _follow_once(self) -> None:
        body = {
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._sequence + 1,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _FORGET,
        }
        created = self._states_created
        made = await self._jetstream.ask(
            f"CONSUMER.CREATE.{STATES}", {"stream_name": STATES, "config": body}
        )
        async with self._jetstream.pull(STATES, made["name"], batch=_BATCH) as pull:
            while created == self._states_created:
                message = await pull.receive()
                if created == self._states_created:
                    await self._take(message.subject, message.data, message.time)
                    self._sequence = message.sequence

    async def _take(self, subject: str, data: bytes, at: float) -> None:
        state = decode_state(subject, data)
        if state is None:
            if data:  # a site that is not what it should be; an empty one is a deleted key
                _log.warning("a state that cannot be read, at %s", subject)
            return
        self.board.take(state, at)
        if isinstance(state, PartState):
            await self._report_end(state)
        if isinstance(state, PartState) and state.done > self._done.get(subject, 0):
            try:
                await self._file.done(state.job_id, state.site, state.done)
            except StoreFailed as error:
                # If it is sent again, that is harmless.
                _log.warning("%s", error)
            else:
                self._done[subject] = state.done

    async def _report_end(self, state: PartState) -> None:
        """Writes into EV how a job has ended at a site, once for each end: it may be retried."""
        asked, end = self.board.asked.get(state.job_id), how_it_ended(state)
        key, retries = (state.job_id, state.site), state.job.retries if state.job else 0
        if asked is None or end is None or self._ends.get(key, -1) >= retries:
            return
        happened = Happened(
            *(state.job_id, state.site, asked.speaker, asked.owner),
            nodes=asked.targets.get(state.site, ()),
            status=end,
            local_id=state.job.job_id if state.job else None,
        )
        await self._jetstream.publish(
            f"ev.{state.site}.ended",
            msgspec.json.encode(happened),
            message_id=f"{state.job_id}.{state.site}.{retries}.ended",
        )
        await self._file.keep_end(*key, retries)
        self._ends[key] = retries
