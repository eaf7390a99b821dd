"""Reads the configuration files of hub and agent, which cucmhub(8) and cucmagent(8) show."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from cucmctl.upload.target import TargetSettings, read_targets
from cucmd.config.load import check_groups_and_users
from cucmd.config.model import AccessSettings, Socket
from cucmd.paths import SYSTEM_SOCKET
from cucmd.toml_file import ConfigError, TomlFile, read, text, whole

_log = logging.getLogger("cucmfleet")

HUB_FILE, AGENT_FILE = Path("/etc/cucmhub/cucmhub.toml"), Path("/etc/cucmagent/cucmagent.toml")


def _check(pattern: str, expected: str) -> Callable[[str], None]:
    """Returns a function that raises `ValueError` unless the pattern matches its argument."""

    def check(value: str) -> None:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")

    return check


check_server = _check(
    r"(nats|tls)://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}",
    "tls://HOST:PORT or nats://HOST:PORT",
)
# The name of a site is one word of a subject of NATS.
check_site = _check(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}",
    "up to 31 letters, digits, - and _, the first no - or _",
)
_check_seed = _check(r"SU[A-Z2-7]{56}", "the line that cucmhub site add has made")


def _check_authority(path: Path) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError(f"expected a file of certificates: {error.strerror}") from None


_Servers = Annotated[
    tuple[str, ...],
    text(check_server),
    Meta(min_length=1, description="at least one tls://HOST:PORT"),
]
_Authority = Annotated[Path, text(_check_authority)] | None


class HubConfig(Struct, frozen=True):
    """Holds the settings of the hub.

    replicas       how many NATS servers keep each message: 1, or 3 if there are three
    reload_server  the command that lets nats-server read its users again. A path unit of systemd
                   would lose a change while it reloads because of another (systemd issue 41599)
    """

    servers: _Servers = ("nats://127.0.0.1:4222",)
    ca: _Authority = None
    replicas: Annotated[int, whole(1, 5)] = 1
    socket: Socket = Path("/run/cucmhub/cucmhub.sock")
    state_directory: Path = Path("/var/lib/cucmhub")
    reload_server: tuple[str, ...] = ()
    access: AccessSettings = AccessSettings()


class AgentConfig(Struct, frozen=True):
    """Holds the settings of an agent.

    secret_key  the seed of its nkey
    socket      that of the daemon
    targets     where a start can let the files be uploaded, by name
    """

    site: Annotated[str, text(check_site)]
    servers: _Servers
    secret_key: Annotated[str, text(_check_seed)]
    ca: _Authority = None
    socket: Socket = Path(SYSTEM_SOCKET)
    targets: dict[str, TargetSettings] = {}

    def __repr__(self) -> str:
        return f"AgentConfig({self.site!r})"


def _read(path: Path) -> TomlFile:
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        reason = "there is no such file; cucmhub(8) and cucmagent(8) show one"
        raise ConfigError(str(path), reason) from None


def load_hub(path: Path) -> HubConfig:
    """Returns the settings of a hub, and logs what they name that does not exist. Raises
    `ConfigError`.
    """
    file = _read(path)
    given = file.document.get("access", {})
    access = file.convert(("access",), given, AccessSettings)
    check_groups_and_users(file, given)
    for notice in file.notices:
        _log.warning("%s", notice)
    return replace(file.convert((), file.document, HubConfig), access=access)


def load_agent(path: Path) -> AgentConfig:
    """Returns the settings of an agent. Raises `ConfigError`."""
    file = _read(path)
    targets = read_targets(file, file.document.pop("targets", {}))
    for name, target in targets.items():
        if target.encrypt_with_password or (target.has_login and not target.token_file):
            reason = "nobody is asked for secrets; expected token_file, and encrypt_to or nothing"
            raise file.error(("targets", name), reason)
    return replace(file.convert((), file.document, AgentConfig), targets=targets)
