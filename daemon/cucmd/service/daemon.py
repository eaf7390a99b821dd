"""Opens all parts of the daemon, from the state directory to the socket, and closes them again.

The one rule: parts are opened from the bottom up, each in the scope of the one below it, so that
whatever ends the daemon closes the socket first and the store last.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from cucmd import __version__
from cucmd.api.case_methods import Cases
from cucmd.api.deletion import Deletions
from cucmd.api.host_keys import HostKeys
from cucmd.api.interface import jobs_interface
from cucmd.api.methods import Jobs
from cucmd.api.planning import Planner
from cucmd.api.reload import CannotReload, Reloading
from cucmd.cases.coverage import Coverage
from cucmd.config import (
    Config,
    ConfigError,
    NodeSettings,
    Overrides,
    load,
    not_until_restart,
)
from cucmd.failure import CannotStart
from cucmd.job import Collect
from cucmd.jobs.events import Feed
from cucmd.jobs.limits import Admission
from cucmd.jobs.node_work import WorkOnNode
from cucmd.jobs.recovery import drop_half_written
from cucmd.jobs.run import JobServices
from cucmd.jobs.supervisor import Supervisor, open_supervisor
from cucmd.node.ports import NodeTask, Report
from cucmd.node.resolver import Resolver, locate
from cucmd.node.zones import zone_of
from cucmd.paths import private_socket
from cucmd.receiver.server import HostKeyUnusable, Receiver, ReceiverLimits, open_receiver
from cucmd.service import systemd
from cucmd.service.access import Access
from cucmd.service.log_limit import LogLimit
from cucmd.service.memory import freeze_startup_objects, return_free_memory
from cucmd.service.private import make_private
from cucmd.service.retention import RetentionTask
from cucmd.service.signals import Signals, open_signals, set_signal_defaults
from cucmd.service.start_errors import EXIT_UNAVAILABLE, LISTENING, naming
from cucmd.service.status import Status
from cucmd.service.wiring import Ssh, host_key_scan
from cucmd.ssh.bridge import Bridge, open_bridge
from cucmd.ssh.known_hosts import KnownHosts
from cucmd.store import Store, StoreError, open_store
from cucmd.varlink import (
    Caller,
    Interface,
    Method,
    ServiceInfo,
    SocketInUse,
    open_unix_listener,
    serve,
)
from cucmd.varlink import Limits as SocketLimits
from cucmd.work.collect import collect

log = logging.getLogger(__name__)

EXIT_CONFIG = 78
# Errors that may keep the daemon from starting: logged in one line. After the start, defects.
EXPECTED = (StoreError, SocketInUse, HostKeyUnusable, CannotStart, OSError)
STATUS_EVERY = 5.0  # seconds between updates of what `systemctl status` shows
SOCKET_MODE = 0o660
INFO = ServiceInfo(vendor="cucmd", product="cucmd", version=__version__, url="")


class Options(msgspec.Struct, frozen=True):
    """The options of the command line; they override environment and file."""

    config: Path | None = None
    socket: Path | None = None
    state_directory: Path | None = None
    log_level: int = logging.INFO

    def load(self, environ: Mapping[str, str]) -> Config:
        """Raises `ConfigError`."""
        overrides = Overrides(
            socket=str(self.socket) if self.socket else None,
            state_directory=str(self.state_directory) if self.state_directory else None,
        )
        return load(self.config, environ, overrides)


def run(options: Options, environ: Mapping[str, str]) -> int:
    """The daemon, until a signal ends it; the exit code of the process."""
    set_signal_defaults()
    systemd.forbid_core_dumps()  # they would hold passwords
    log_limit = LogLimit()
    systemd.set_up_logging(options.log_level, None, log_limit)
    try:
        config = options.load(environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        systemd.notify(STATUS=_in_one_line(error))
        return EXIT_CONFIG
    log.info("%s", config.origin)
    started = trio.Event()
    try:
        trio.run(_daemon, options, config, environ, started, log_limit)
    except BaseExceptionGroup as group:
        expected, defects = group.split(EXPECTED)
        if started.is_set() or defects is not None or expected is None:
            raise
        return _unavailable(_leaves(expected))
    except EXPECTED as error:
        if started.is_set():
            raise
        return _unavailable([error])
    return 0


def _unavailable(reasons: Sequence[BaseException]) -> int:
    """Says why the daemon does not start. It stays in `systemctl status`. Returns the exit code."""
    for reason in reasons:
        log.critical("%s", reason)
    systemd.notify(STATUS="; ".join(map(str, reasons)))
    return EXIT_UNAVAILABLE


def _in_one_line(error: ConfigError) -> str:
    return "; ".join(map(str, error.problems))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


class Daemon:
    """What a reload changes: the configuration, and what is derived from it."""

    def __init__(
        self,
        options: Options,
        config: Config,
        environ: Mapping[str, str],
        supervisor: Supervisor,
        known_hosts: KnownHosts,
        *,
        socket_is_given: bool,
    ) -> None:
        self._options = options
        self._environ = environ
        self._supervisor = supervisor
        self._known_hosts = known_hosts
        self._socket_is_given = socket_is_given
        self._at_start = config  # for settings that only a restart changes
        self._reloading = trio.Lock()  # by SIGHUP or by a call
        self.status = Status()
        self.apply(config, _access(config))

    def apply(self, config: Config, access: Access) -> None:
        for notice in config.notices:
            log.warning("%s", notice)
        self.config = config
        self.access = access
        self.planner = Planner(config, self._environ, self._supervisor.directory)
        self._supervisor.change_limits(config.limits)

    def settings_of(self, host: str, port: int) -> NodeSettings:
        return self.config.for_node(host, port)

    def authorize(self, caller: Caller, method: Method | None) -> None:
        """By the groups of the configuration as it is now. Raises `PermissionDenied`."""
        self.access.authorize(caller, method)

    async def reload(self) -> tuple[str, ...]:
        """Reads configuration and known_hosts again; if one cannot be read, both stay as they were.

        Returns the names of the changed settings that only a restart applies.
        Raises `CannotReload`, which is in the log and in the status then.
        """
        async with self._reloading:
            systemd.notify(RELOADING=1)
            try:
                waiting = await self._reload()
            except CannotReload as reason:
                log.error("not reloaded: %s", reason)  # noqa: TRY400  no defect
                self.status.show_reload(str(reason))
                raise
            else:
                self.status.show_reload()
                return waiting
            finally:
                systemd.notify(READY=1)

    async def _reload(self) -> tuple[str, ...]:
        """In threads: a file or the database of groups can be somewhere on the network."""
        try:
            config, access = await trio.to_thread.run_sync(self._read, abandon_on_cancel=True)
        except ConfigError as error:
            raise CannotReload(_in_one_line(error)) from None
        except Exception:  # a defect in reading a file must not end the jobs that run
            log.exception("a defect in a reload")
            raise CannotReload("a defect; the log has the details") from None
        try:
            await trio.to_thread.run_sync(self._known_hosts.load, abandon_on_cancel=True)
        except OSError as error:
            raise CannotReload(f"{error.filename}: {error.strerror}") from None
        given = self._socket_is_given
        if waiting := not_until_restart(self._at_start, config, socket_is_given=given):
            log.warning("not until a restart: %s", ", ".join(waiting))
        self.apply(config, access)
        log.info("configuration reloaded")
        return waiting

    def _read(self) -> tuple[Config, Access]:
        config = self._options.load(self._environ)
        return config, _access(config)


def _access(config: Config) -> Access:
    return Access.of(config.access)


async def _daemon(
    options: Options,
    config: Config,
    environ: Mapping[str, str],
    started: trio.Event,
    log_limit: LogLimit,
) -> None:
    freeze_startup_objects()
    sockets = systemd.inherited_sockets()
    trio.socket.set_custom_hostname_resolver(Resolver())
    with open_signals() as signals:
        async with (
            _store(config) as store,
            open_bridge() as bridge,
            _receiver(config) as receiver,
        ):
            known_hosts = KnownHosts(config.daemon.state_directory / "known_hosts")
            work = _work_on_node(Ssh(receiver, known_hosts))
            services = JobServices(store, Feed(), Admission(config.limits), work, locate)
            signals.defer_stops()  # from here on nodes are contacted: unfinished jobs go on
            directory = config.daemon.state_directory / "jobs"
            async with open_supervisor(services, directory, config.limits) as supervisor:
                given = bool(sockets)
                daemon = Daemon(
                    options, config, environ, supervisor, known_hosts, socket_is_given=given
                )
                await supervisor.recover(daemon.planner.replan)
                keys = HostKeys(known_hosts, host_key_scan(daemon.settings_of))
                coverage = Coverage(store, supervisor.directory, zone_of)
                deletions = Deletions(supervisor, store)
                retention = RetentionTask(deletions, lambda: daemon.config.retention)

                def closed(job_id: str) -> None:
                    coverage.want(job_id)
                    retention.job_closed()

                supervisor.on_closed = closed
                jobs = Jobs(
                    supervisor, services.feed, lambda: daemon.planner, coverage.want_if_missing
                )
                cases = Cases(supervisor, store, coverage, deletions)
                interface = jobs_interface(jobs, cases, keys, Reloading(daemon.reload))
                async with (
                    _socket(daemon, interface, sockets, environ),
                    trio.open_nursery() as nursery,
                ):
                    nursery.start_soon(log_limit.run)
                    nursery.start_soon(_feed_watchdog, bridge)
                    nursery.start_soon(coverage.run)
                    nursery.start_soon(retention.run)
                    nursery.start_soon(_answer, signals.requests, daemon, supervisor)
                    started.set()
                    await _run_until_stopped(signals, supervisor, daemon.status)
                    deletions.stop()
                    # The socket is still served, so that watchers see how jobs end.
                    await supervisor.drain()
                    nursery.cancel_scope.cancel()


def _work_on_node(ssh: Ssh) -> WorkOnNode:
    """Which function of work/ does each kind of work."""

    async def work_on_node(task: NodeTask, report: Report) -> tuple[str, ...]:
        match task.work:
            case Collect() as what:
                return await collect(task, what, ssh.open_shell, ssh, report)

    return work_on_node


@asynccontextmanager
async def _store(config: Config) -> AsyncIterator[Store]:
    state = config.daemon.state_directory
    with naming(f"daemon.state_directory = '{state}'", otherwise="another is given by --state-dir"):
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
    async with open_store(state / "cucmd.db") as store:
        for notice in store.notices:
            log.error("%s", notice)
        await trio.to_thread.run_sync(drop_half_written, state)
        yield store


@asynccontextmanager
async def _receiver(config: Config) -> AsyncIterator[Receiver]:
    limits = ReceiverLimits(
        min_free_bytes=config.limits.free_space_bytes,
        min_free_ratio=config.limits.free_space_percent / 100,
    )
    opened = open_receiver(
        config.receiver.listen_address,
        config.daemon.state_directory,
        limits,
        legacy_algorithms=config.receiver_is_legacy,
    )
    async with AsyncExitStack() as stack:
        with naming(f"receiver.listen = {config.receiver.listen!r}", LISTENING):
            receiver = await stack.enter_async_context(opened)
        log.info("receiving at %s port %d", receiver.address, receiver.port)
        yield receiver


@asynccontextmanager
async def _socket(
    daemon: Daemon,
    interface: Interface,
    inherited: list[socket.socket],
    environ: Mapping[str, str],
) -> AsyncIterator[None]:
    """The socket, served while the body runs."""
    limits = daemon.config.limits
    path = daemon.config.daemon.socket
    access = daemon.config.access
    per_user = SocketLimits(
        connections=limits.connections_per_uid,
        requests=limits.requests_per_uid,
        streams=limits.watchers_per_uid,
    )
    async with AsyncExitStack() as stack:
        opened = open_unix_listener(
            path,
            SOCKET_MODE,
            inherited,
            group=access.operate_group or None,
            second_group=access.view_group or None,
        )
        with naming(f"daemon.socket = '{path}'", otherwise="another is given by --socket"):
            if str(path) == private_socket(environ):
                make_private(path.parent)
            listener = await stack.enter_async_context(opened)
        nursery = await stack.enter_async_context(trio.open_nursery())
        serving = partial(serve, listener, [interface], INFO, per_user, authorize=daemon.authorize)
        await nursery.start(serving)
        log.info("listening at %s", path)
        yield
        nursery.cancel_scope.cancel()


async def _run_until_stopped(signals: Signals, supervisor: Supervisor, status: Status) -> None:
    """Reports that the daemon is ready, and returns at SIGTERM or SIGINT."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_show_status, supervisor, status)
        nursery.start_soon(return_free_memory, lambda: supervisor.ended)
        systemd.notify(READY=1)
        log.info("stopping on %s", await signals.stop())
        nursery.cancel_scope.cancel()
    systemd.notify(STOPPING=1, STATUS="closing connections to nodes")


async def _answer(requests: AsyncIterator[int], daemon: Daemon, supervisor: Supervisor) -> None:
    """Reloads on SIGHUP, logs on SIGUSR1 what it holds; also while it drains."""
    async for number in requests:
        if number == signal.SIGHUP:
            with suppress(CannotReload):
                await daemon.reload()
        else:
            _log_holdings(supervisor)


def _log_holdings(supervisor: Supervisor) -> None:
    """On SIGUSR1: figures in which a leak would show."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    objects = sys.getallocatedblocks()
    log.info("holding %d tasks, %d jobs, %d objects", tasks, supervisor.live, objects)


async def _feed_watchdog(bridge: Bridge) -> None:
    """Twice in each watchdog interval: reports that the loops of trio and asyncio make progress."""
    interval = systemd.watchdog_interval()
    while interval is not None:
        await bridge.ping()
        systemd.notify(WATCHDOG=1)
        await trio.sleep(interval / 2)


async def _show_status(supervisor: Supervisor, status: Status) -> None:
    while True:
        status.show_jobs(supervisor.live)
        await trio.sleep(STATUS_EVERY)
