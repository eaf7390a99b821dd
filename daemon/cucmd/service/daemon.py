"""Opens all parts of the daemon, from the state directory to the socket, and closes them again.

Parts are opened from the bottom up, each inside the scope of the part below it. So, whatever ends
the daemon, the socket is closed first and the store last.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio

from cucmd import __version__
from cucmd.api.case_methods import CaseMethods
from cucmd.api.export_methods import ExportMethods
from cucmd.api.figure_methods import FigureMethods
from cucmd.api.find_methods import FindMethods
from cucmd.api.host_key_methods import HostKeyMethods
from cucmd.api.job_methods import JobMethods
from cucmd.api.jobs_interface import jobs_interface
from cucmd.api.knowledge_methods import CannotReload, KnowledgeMethods
from cucmd.cases.coverage_reader import TRACES, CoverageReader
from cucmd.cases.damaged import DamagedFiles
from cucmd.cases.export_sender import EXPORT, ExportSender
from cucmd.cases.finder import FIND, Finder
from cucmd.cases.verify import CHECK, Verifier
from cucmd.config import Config, ConfigError, unusable_credentials
from cucmd.failure import CannotStart
from cucmd.histogram import Histogram
from cucmd.job.node import Node
from cucmd.jobs.deletion import Deletions, RetentionTask
from cucmd.jobs.job_feed import JobFeed
from cucmd.jobs.late_names import Describe, LateNames
from cucmd.jobs.recovery import drop_half_written
from cucmd.jobs.services import JobServices, Slots
from cucmd.jobs.supervisor import Supervisor, open_supervisor
from cucmd.node.file_writer import open_file_writer
from cucmd.node.resolver import Resolver, locate
from cucmd.paths import private_socket
from cucmd.plan.kept_logins import KeptLogins
from cucmd.plan.known_clusters import describe_nodes
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import HostKeyUnusable
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.served_connection import RECEIVE
from cucmd.receiver.server import Receiver, open_receiver
from cucmd.service import systemd
from cucmd.service.access import make_private
from cucmd.service.current_config import CurrentConfig, Options
from cucmd.service.log import LogLimit, set_up_logging
from cucmd.service.own_process import (
    Signals,
    forbid_core_dumps,
    freeze_startup_objects,
    return_free_memory,
    set_signal_defaults,
)
from cucmd.service.readers import ROLES, Readers
from cucmd.service.start_errors import EXIT_UNAVAILABLE, LISTENING, blame_setting
from cucmd.service.systemd import StatusLine
from cucmd.service.wiring import NodePorts, host_key_scan
from cucmd.ssh.bridge import open_bridge, ping
from cucmd.ssh.known_hosts import KnownHosts
from cucmd.store import Store, StoreError, StoreFailed, open_store
from cucmd.varlink import (
    Interface,
    ServiceInfo,
    SocketInUse,
    SocketLimits,
    Users,
    open_unix_listener,
    serve,
)
from cucmd.work import work_on_node
from cucmd.worker.workers import Workers, open_workers

log = logging.getLogger(__name__)

EXIT_CONFIG = 78
# Errors that can keep the daemon from starting. They are logged in one line. After the start, an
# error of these types is a defect and has its traceback.
EXPECTED = (StoreError, SocketInUse, HostKeyUnusable, CannotStart, OSError)
STATUS_EVERY = 5.0  # seconds between updates of what `systemctl status` shows
LAG_EVERY = 1.0  # seconds between two measurements of how late the event loop is
DISK_ANSWERS_WITHIN = 1.0  # seconds; otherwise the figures are without the free space
_DISK = trio.CapacityLimiter(1)  # a disk that hangs keeps one thread, however often it is asked
SOCKET_MODE = 0o660
# The role of a worker process -> the function that it runs.
PROCESSES = {
    TRACES: "cucmd.reading.node_traces:read_traces",
    EXPORT: "cucmd.reading.job_files:send_tar",
    FIND: "cucmd.reading.find:find",
    CHECK: "cucmd.reading.job_files:check_files",
    RECEIVE: "cucmd.receiver.receiving:receive",
    **ROLES,
}
INFO = ServiceInfo(vendor="cucmd", product="cucmd", version=__version__, url="")


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Runs the daemon until a signal ends it. Returns the exit code of the process."""
    set_signal_defaults()
    forbid_core_dumps()  # a core dump would contain passwords
    log_limit = LogLimit()
    set_up_logging(options.log_level, log_limit)
    try:
        config = options.load(environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        systemd.notify(STATUS=str(error))
        return EXIT_CONFIG
    log.info("%s", config.origin)
    for unusable in unusable_credentials(config, environ):
        log.warning("%s", unusable)
    started = trio.Event()
    try:
        trio.run(_daemon, options, config, environ, started, log_limit)
    except BaseException as error:
        reasons = _ungrouped(error)
        if started.is_set() or not all(isinstance(reason, EXPECTED) for reason in reasons):
            raise
        for reason in reasons:
            log.critical("%s", reason)
        systemd.notify(STATUS="; ".join(map(str, reasons)))
        return EXIT_UNAVAILABLE
    return 0


def _ungrouped(error: BaseException) -> list[BaseException]:
    """Returns the errors in the groups that nurseries have made."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _ungrouped(inner)]


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
    directory = config.daemon.state_directory / "jobs"
    with ExitStack() as stack, open_file_writer() as writer:
        signals = Signals(stack)
        async with (
            _open_store(config) as store,
            open_bridge(),
            open_workers(directory, PROCESSES) as workers,
            _open_receiver(config, workers) as receiver,
        ):
            known_hosts = KnownHosts(config.daemon.state_directory / "known_hosts")
            ports = NodePorts(receiver, known_hosts, Readers(workers), writer)
            work = work_on_node(ports)
            slots = Slots(config.limits)
            services = JobServices(store, JobFeed(), slots, work, locate)
            signals.defer_stops()  # from here on nodes are contacted, for unfinished jobs
            async with open_supervisor(services, directory, config.limits) as supervisor:
                current = CurrentConfig(
                    options,
                    config,
                    environ,
                    supervisor,
                    known_hosts,
                    socket_is_inherited=bool(sockets),
                )
                await supervisor.recover(current.planner.replan)

                async def describer() -> Describe:
                    return partial(describe_nodes, current.config, await store.discoveries())

                async def describe(nodes: Sequence[Node]) -> Sequence[Node]:
                    with suppress(StoreFailed):  # the keys are shown without names
                        return (await describer())(nodes)
                    return nodes

                names = LateNames(supervisor, store, describer)
                keys = HostKeyMethods(known_hosts, host_key_scan(current.settings_of), describe)
                coverage = CoverageReader(store, supervisor.directory, workers)
                deletions = Deletions(supervisor, store)
                retention = RetentionTask(deletions, lambda: current.config.retention)

                def closed(job_id: str) -> None:
                    coverage.queue(job_id)
                    retention.job_closed()

                supervisor.on_closed = closed
                supervisor.on_changing = coverage.cancel
                logins = KeptLogins()
                jobs = JobMethods(
                    supervisor,
                    services.feed,
                    lambda: current.planner,
                    coverage.queue_if_missing,
                    store.discoveries,
                    logins=logins,
                )
                damaged, finder = DamagedFiles(), Finder(workers, store)
                exports = ExportMethods(
                    supervisor,
                    store,
                    coverage,
                    damaged=damaged,
                    sender=ExportSender(workers, damaged),
                    verifier=Verifier(workers, store, damaged),
                    finder=finder,
                    is_operator=current.is_operator,
                )
                limits = current.config.limits
                users = Users(SocketLimits(limits.connections_per_uid, limits.watchers_per_uid))
                finds, figures = (
                    FindMethods(supervisor, coverage, finder),
                    FigureMethods(
                        supervisor,
                        services,
                        partial(_figures_of_parts, directory, receiver, workers, users),
                    ),
                )
                interface = jobs_interface(
                    jobs,
                    CaseMethods(supervisor, store, deletions),
                    exports,
                    keys,
                    KnowledgeMethods(
                        store, lambda: current.config, environ, current.reload, logins
                    ),
                    finds=finds,
                    figure_methods=figures,
                    effective_caller=current.effective_caller,
                )
                async with (
                    _serve_socket(current, interface, users, sockets, environ),
                    trio.open_nursery() as nursery,
                ):
                    nursery.start_soon(log_limit.run)
                    nursery.start_soon(_feed_watchdog)
                    nursery.start_soon(logins.run)
                    nursery.start_soon(names.run)
                    nursery.start_soon(coverage.run)
                    nursery.start_soon(retention.run)
                    nursery.start_soon(_answer_requests, signals.requests, current, supervisor)
                    started.set()
                    await _run_until_stopped(signals, supervisor, current.status, figures.lag)
                    deletions.stop()
                    # The socket is still served, so that watchers see how jobs end.
                    await supervisor.drain()
                    nursery.cancel_scope.cancel()


@asynccontextmanager
async def _open_store(config: Config) -> AsyncIterator[Store]:
    state = config.daemon.state_directory
    with blame_setting(
        f"daemon.state_directory = '{state}'", otherwise="choose another one with --state-dir"
    ):
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
        (state / "jobs").mkdir(mode=0o750, exist_ok=True)
    async with open_store(state / "cucmd.db") as store:
        for notice in store.notices:
            log.error("%s", notice)
        await trio.to_thread.run_sync(drop_half_written, state)
        yield store


@asynccontextmanager
async def _open_receiver(config: Config, workers: Workers) -> AsyncIterator[Receiver]:
    limits = ReceiverLimits(
        min_free_bytes=config.limits.free_space_bytes,
        min_free_ratio=config.limits.free_space_percent / 100,
    )
    opened = open_receiver(
        config.receiver.listen_address,
        config.daemon.state_directory,
        workers,
        limits,
        legacy_algorithms=config.receiver_is_legacy,
    )
    async with AsyncExitStack() as stack:
        with blame_setting(f"receiver.listen = {config.receiver.listen!r}", LISTENING):
            receiver = await stack.enter_async_context(opened)
        # Nodes of unfinished jobs may connect immediately, and do not wait long for an answer.
        await workers.wait_ready()
        log.info("receiving at %s port %d", receiver.address, receiver.port)
        yield receiver


@asynccontextmanager
async def _serve_socket(
    current: CurrentConfig,
    interface: Interface,
    users: Users,
    inherited: list[socket.socket],
    environ: Mapping[str, str],
) -> AsyncIterator[None]:
    """Serves the socket while the body runs."""
    path = current.config.daemon.socket
    async with AsyncExitStack() as stack:
        group = current.config.access.operate_group or None
        opened = open_unix_listener(path, SOCKET_MODE, inherited, group=group)
        with blame_setting(
            f"daemon.socket = '{path}'", otherwise="choose another one with --socket"
        ):
            if str(path) == private_socket(environ):
                make_private(path.parent)
            listener = await stack.enter_async_context(opened)
        nursery = await stack.enter_async_context(trio.open_nursery())
        serving = partial(
            serve,
            listener,
            interface,
            INFO,
            users,
            authorize=current.authorize,
            may_operate=current.may_operate,
        )
        await nursery.start(serving)
        log.info("listening at %s", path)
        yield
        nursery.cancel_scope.cancel()


async def _run_until_stopped(
    signals: Signals, supervisor: Supervisor, status: StatusLine, lag: Histogram
) -> None:
    """Reports to systemd that the daemon is ready. Returns at SIGTERM or SIGINT."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_show_status, supervisor, status)
        nursery.start_soon(_measure_lag, lag)
        nursery.start_soon(return_free_memory, lambda: supervisor.ended)
        systemd.notify(READY=1)
        log.info("stopping on %s", await signals.stop())
        nursery.cancel_scope.cancel()
    systemd.notify(STOPPING=1, STATUS="closing connections to nodes")


async def _answer_requests(
    requests: AsyncIterator[int], current: CurrentConfig, supervisor: Supervisor
) -> None:
    """Reloads on SIGHUP and logs figures on SIGUSR1, also while jobs are being stopped."""
    async for number in requests:
        if number == signal.SIGHUP:
            with suppress(CannotReload):
                await current.reload()
        else:
            # A leak would show in these figures.
            tasks = trio.lowlevel.current_statistics().tasks_living
            objects = sys.getallocatedblocks()
            log.info("holding %d tasks, %d jobs, %d objects", tasks, supervisor.live_count, objects)


async def _feed_watchdog() -> None:
    """Tells the watchdog twice in each interval that the trio and asyncio loops make progress."""
    interval = systemd.watchdog_interval()
    while interval is not None:
        await ping()
        systemd.notify(WATCHDOG=1)
        await trio.sleep(interval / 2)


async def _measure_lag(lag: Histogram) -> None:
    while True:
        due = trio.current_time() + LAG_EVERY
        await trio.sleep_until(due)
        lag.observe(trio.current_time() - due)


async def _figures_of_parts(
    directory: Path, receiver: Receiver, workers: Workers, users: Users
) -> dict[str, int | None]:
    """Returns fields of `FiguresReply`. The disk is asked in a thread, because it may hang."""
    free = kept = None
    with trio.move_on_after(DISK_ANSWERS_WITHIN), suppress(OSError):
        free, kept = await trio.to_thread.run_sync(
            _free_space, directory, receiver.space, abandon_on_cancel=True, limiter=_DISK
        )
    return {
        "files_received": receiver.files.files_received,
        "bytes_received": receiver.files.bytes_received,
        "receiver_connections": receiver.connection_count,
        "socket_connections": users.connections,
        "worker_restarts": workers.restarts,
        "free_bytes": free,
        "kept_free_bytes": kept,
    }


def _free_space(directory: Path, space: FreeSpace) -> tuple[int, int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return space.figures(descriptor)
    finally:
        os.close(descriptor)


async def _show_status(supervisor: Supervisor, status: StatusLine) -> None:
    while True:
        status.show_jobs(len(supervisor.unfinished))
        await trio.sleep(STATUS_EVERY)
