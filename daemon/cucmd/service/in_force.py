"""Holds the configuration in force, and what is derived from it: a reload replaces both.

A reload takes all of the new configuration and of known_hosts, or nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import trio

from cucmd.api.knowledge import CannotReload
from cucmd.config import (
    ClusterSettings,
    Config,
    ConfigError,
    differences,
    document,
    load,
    not_until_restart,
    running,
    unusable_credentials,
)
from cucmd.config.credentials import credential_names, credentials_directory
from cucmd.config.in_thread import ConfigThread, ReadTimeout
from cucmd.config.rules import is_credential_name
from cucmd.job.request import Request
from cucmd.jobs.supervisor import Supervisor
from cucmd.node_name import address
from cucmd.plan.planner import Planner
from cucmd.protocol import knowledge as wire
from cucmd.service import systemd
from cucmd.service.access import Access
from cucmd.service.systemd import StatusLine
from cucmd.ssh.known_hosts import KnownHosts
from cucmd.varlink import Caller, Method

log = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True):
    """Holds the options of the command line; they override environment and file."""

    config: Path | None = None
    socket: Path | None = None
    state_directory: Path | None = None
    log_level: int = logging.INFO

    def load(self, environ: Mapping[str, str]) -> Config:
        """Raises `ConfigError`."""
        return load(self.config, environ, self.socket, self.state_directory)


class InForce:
    """Holds what a reload changes: the configuration, and what is derived from it."""

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
        self._started_at = datetime.now(UTC)
        self._reloading = trio.Lock()  # by SIGHUP or by a call
        self._thread = ConfigThread()
        self.status = StatusLine()
        self.apply(config, Access.of(config.access))

    def apply(
        self, config: Config, access: Access, extra: Mapping[str, object] | None = None
    ) -> None:
        for notice in config.notices:
            log.warning("%s", notice, extra=extra)
        self.config = config
        self.access = access
        self.planner = Planner(config, self._environ, self._supervisor.directory)
        self._supervisor.change_limits(config.limits)

    def settings_of(self, host: str, port: int) -> ClusterSettings:
        return self.config.for_node(address(host, port))

    def authorize(self, caller: Caller, method: Method | None) -> None:
        """Decides by the groups of the configuration as it is now. Raises `PermissionDenied`."""
        self.access.authorize(caller, method)

    def as_whom(self, caller: Caller, method: Method, request: Request) -> Caller:
        """Decides for whom a call is, by who may speak for others now. Raises `VarlinkError`."""
        return self.access.as_whom(caller, method, request)

    async def reload(self, extra: Mapping[str, object] | None = None) -> tuple[str, ...]:
        """Reads configuration and known_hosts again; if one cannot be read, both stay as they were.

        `extra` is that of the log records: of the caller, if there is one.
        Returns the names of the changed settings that only a restart applies.
        Raises `CannotReload`, which is in the log and in the status then.
        """
        async with self._reloading:
            systemd.notify(RELOADING=1)
            try:
                waiting = await self._reload(extra)
            except CannotReload as reason:
                log.error("not reloaded: %s", reason, extra=extra)  # noqa: TRY400  no defect
                self.status.show_reload(str(reason))
                raise
            else:
                self.status.show_reload()
                return waiting
            finally:
                systemd.notify(READY=1)

    async def _reload(self, extra: Mapping[str, object] | None) -> tuple[str, ...]:
        config, access, refused = await self._read_again()
        if refused is not None:
            raise CannotReload(refused)
        given = self._socket_is_given
        look = partial(not_until_restart, self._at_start, config, socket_is_given=given)
        waiting = await trio.to_thread.run_sync(look)
        try:
            await self._thread.read(self._known_hosts.load)
        except OSError as error:
            raise CannotReload(f"{error.filename}: {error.strerror}") from None
        except ReadTimeout as error:
            raise CannotReload(str(error)) from None
        if waiting:
            log.warning("not until a restart: %s", ", ".join(waiting), extra=extra)
        self.apply(config, access, extra)
        log.info("configuration reloaded", extra=extra)
        return waiting

    async def describe(self) -> wire.ConfigurationReply:
        """Describes what runs, and what a reload or restart would make of the file as it is now."""
        file: Config | None = None
        try:
            file, _, refused = await self._read_again()
        except CannotReload as reason:
            refused = str(reason)
        now = self.config
        configuration, differing = await trio.to_thread.run_sync(self._compared, now, file)
        directory = credentials_directory(now.credentials.directory, self._environ)
        credentials: tuple[str, ...] = ()
        if directory is not None:
            with suppress(OSError, ReadTimeout):
                credentials = await self._thread.read(partial(credential_names, directory))
        by_systemd = now.credentials.directory is None and (
            self._socket_is_given or credentials_directory(None, self._environ) is not None
        )
        live, not_resumable = self._interrupted_by_a_stop()
        return wire.ConfigurationReply(
            started_at=self._started_at,
            configuration=configuration,
            origin=(file or now).origin,
            differences=differing,
            credentials=tuple(filter(is_credential_name, credentials)),
            credentials_by_systemd=by_systemd,
            live=live,
            not_resumable=not_resumable,
            refused=refused,
        )

    def _compared(
        self, now: Config, file: Config | None
    ) -> tuple[str, tuple[wire.Difference, ...]]:
        """Returns what runs, and how the file differs if it can be read."""
        start, given = self._at_start, self._socket_is_given
        differing = differences(start, now, file, socket_is_given=given) if file else ()
        return document(running(start, now)), tuple(wire.Difference(*one) for one in differing)

    async def _read_again(self) -> tuple[Config, Access, str | None]:
        """Reads the file, and returns its configuration, the access by it, and why a reload refuses
        it nevertheless. Raises `CannotReload` if it cannot be read.
        """
        try:
            config, access, unusable = await self._thread.read(self._read)
        except ConfigError as error:
            raise CannotReload(error.in_one_line()) from None
        except ReadTimeout as error:
            raise CannotReload(str(error)) from None
        except Exception:  # a defect in reading a file must not end the jobs that run
            log.exception("a defect in reading the configuration")
            raise CannotReload("a defect; the log has the details") from None
        refused = "; ".join(unusable) + self._of_systemd(config) if unusable else None
        return config, access, refused

    def _read(self) -> tuple[Config, Access, list[str]]:
        config = self._options.load(self._environ)
        return config, Access.of(config.access), unusable_credentials(config, self._environ)

    def _of_systemd(self, config: Config) -> str:
        """Ends a message with what to do about a credential that has come since the start."""
        if config.credentials.directory is not None:
            return ""
        live, not_resumable = self._interrupted_by_a_stop()
        jobs = "1 job" if live == 1 else f"{live} jobs"
        return (
            "; systemd gives a service its credentials when it starts, so that a new one needs a "
            f"restart: it interrupts {jobs}, and {not_resumable} cannot go on"
        )

    def _interrupted_by_a_stop(self) -> tuple[int, int]:
        """Returns how many jobs these are, and with how many of them no next start can go on."""
        jobs = self._supervisor.unfinished
        return len(jobs), sum(not job.goes_on for job in jobs)
