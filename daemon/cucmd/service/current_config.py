"""Holds the current configuration and what is derived from it. A reload replaces both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

import msgspec
import trio

from cucmd.api.knowledge_methods import CannotReload
from cucmd.config import ClusterSettings, Config, ConfigError, load, unusable_credentials
from cucmd.config.config_thread import ConfigThread, ReadTimeout
from cucmd.config.load import FROM_FILE
from cucmd.job.request import Request
from cucmd.jobs.supervisor import Supervisor
from cucmd.node_name import address
from cucmd.plan.planner import Planner
from cucmd.service import systemd
from cucmd.service.access import Access
from cucmd.service.systemd import StatusLine
from cucmd.ssh.known_hosts import KnownHosts
from cucmd.varlink import Caller, Method

log = logging.getLogger(__name__)


# Settings that are read only when the daemon starts.
_READ_AT_START = (
    "daemon.socket",
    "daemon.state_directory",
    "receiver.listen",
    "limits.free_space_percent",
    "limits.free_space_bytes",
    "limits.connections_per_uid",
    "limits.watchers_per_uid",
)


class Options(msgspec.Struct, frozen=True):
    """Holds the options of the command line, which override environment and file."""

    config: Path | None = None
    socket: Path | None = None
    state_directory: Path | None = None
    log_level: int = logging.INFO

    def load(self, environ: Mapping[str, str]) -> Config:
        """Returns the configuration that these options select. Raises `ConfigError`."""
        return load(self.config, environ, self.socket, self.state_directory)


class CurrentConfig:
    """Holds the configuration, and the access rules and the planner that are made from it."""

    def __init__(
        self,
        options: Options,
        config: Config,
        environ: Mapping[str, str],
        supervisor: Supervisor,
        known_hosts: KnownHosts,
        *,
        socket_is_inherited: bool,
    ) -> None:
        self._options = options
        self._environ = environ
        self._supervisor = supervisor
        self._known_hosts = known_hosts
        self._socket_is_inherited = socket_is_inherited  # from systemd
        self._at_start = config  # has the settings that only a restart changes
        self._reloading = trio.Lock()  # SIGHUP and a call can come at the same time
        self._thread = ConfigThread()
        self.status = StatusLine()
        self.apply(config, Access.from_settings(config.access))

    def apply(
        self, config: Config, access: Access, extra: Mapping[str, object] | None = None
    ) -> None:
        """Replaces the configuration, and logs the notices of the new configuration.

        extra: passed to the logger, as `extra` of each log record.
        """
        for notice in config.notices:
            log.warning("%s", notice, extra=extra)
        self.config = config
        self.access = access
        self.planner = Planner(config, self._environ, self._supervisor.directory)
        self._supervisor.change_limits(config.limits)

    def settings_of(self, host: str, port: int) -> ClusterSettings:
        return self.config.for_node(address(host, port))

    # The socket calls these methods, and not those of `access`, because a reload replaces `access`.

    def may_operate(self, caller: Caller) -> bool:
        return self.access.may_operate(caller)

    def authorize(self, caller: Caller, method: Method | None) -> None:
        self.access.authorize(caller, method)

    def effective_caller(self, caller: Caller, method: Method, request: Request) -> Caller:
        return self.access.effective_caller(caller, method, request)

    def is_operator(self, caller: Caller, request: Request) -> bool:
        return self.access.is_operator(caller, request)

    async def reload(self, extra: Mapping[str, object] | None = None) -> tuple[str, ...]:
        """Reads configuration and known_hosts again, and applies both or neither.

        Returns the names of the changed settings that only a restart applies. Raises
        `CannotReload`, after writing the reason to the log and to the status of the service.

        extra  the `extra` of log records, which names the caller if a call asked for the reload
        """
        async with self._reloading:
            systemd.notify(RELOADING=1)
            try:
                config, access = await self._read_again()
                self.apply(config, access, extra)
            except CannotReload as reason:
                log.error("not reloaded: %s", reason, extra=extra)  # noqa: TRY400  not a defect
                self.status.show_reload(str(reason))
                raise
            else:
                self.status.show_reload()
            finally:
                systemd.notify(READY=1)
            inherited = self._socket_is_inherited
            waiting = not_until_restart(self._at_start, config, socket_is_inherited=inherited)
            if waiting:
                log.warning("these settings need a restart: %s", ", ".join(waiting), extra=extra)
            log.info("configuration reloaded", extra=extra)
            return waiting

    async def _read_again(self) -> tuple[Config, Access]:
        """Returns the new configuration, and loads known_hosts. Raises `CannotReload`."""
        try:
            config, access, unusable = await self._thread.read(self._read)
            if not unusable:
                await self._thread.read(self._known_hosts.load)
        except CannotReload:
            raise
        except (ConfigError, ReadTimeout) as error:
            raise CannotReload(str(error)) from None
        except OSError as error:
            raise CannotReload(f"{error.filename}: {error.strerror}") from None
        except Exception:  # a defect in reading a file must not end the running jobs
            log.exception("a defect in reading the configuration")
            raise CannotReload("a defect of cucmd; the log has the details") from None
        if not unusable:
            return config, access
        message = "; ".join(unusable)
        if config.credentials.directory is None:
            unfinished = self._supervisor.unfinished
            jobs = "1 job" if len(unfinished) == 1 else f"{len(unfinished)} jobs"
            lost = sum(not job.survives_restart for job in unfinished)
            message += (
                "; systemd gives a service its credentials when it starts, so new credentials need "
                f"a restart, which interrupts {jobs}, of which {lost} cannot go on"
            )
        raise CannotReload(message)

    def _read(self) -> tuple[Config, Access, list[str]]:
        config = self._options.load(self._environ)
        if (reason := lost_file(self.config, config)) is not None:
            raise CannotReload(reason)
        return (
            config,
            Access.from_settings(config.access),
            unusable_credentials(config, self._environ),
        )


def lost_file(before: Config, now: Config) -> str | None:
    """Returns why `now` must not replace `before` while jobs run: the file of `before` is gone, so
    that all clusters would be forgotten. Returns None if the file is there, or if there was none.
    """
    if not before.origin.startswith(FROM_FILE) or now.origin == before.origin:
        return None
    return f"{now.origin}; the daemon keeps its {before.origin}, until it is restarted"


def not_until_restart(
    at_start: Config, now: Config, *, socket_is_inherited: bool = False
) -> tuple[str, ...]:
    """Returns the names of the changed settings that only a restart applies.

    at_start             the configuration that the daemon read when it started
    now                  the current configuration
    socket_is_inherited  whether systemd made the socket; a restart does not change its groups then
    """
    names = [name for name in _READ_AT_START if attrgetter(name)(at_start) != attrgetter(name)(now)]
    if at_start.receiver_is_legacy != now.receiver_is_legacy:
        names.append("legacy_algorithms of the receiver")
    if not socket_is_inherited:
        # After a reload, the daemon accepts members of the new groups, but the mode of the socket's
        # file still keeps them out.
        names += (
            f"access.{group} of the socket"
            for group in ("operate_group", "view_group")
            if getattr(at_start.access, group) != getattr(now.access, group)
        )
    return tuple(names)
