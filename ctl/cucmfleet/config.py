"""Reads the configuration files of hub and agent.

    # /etc/cucmhub/cucmhub.toml                      # /etc/cucmagent/cucmagent.toml
    servers = ["tls://hub.example:4222"]             site = "berlin"
    ca = "/etc/cucmhub/ca.pem"                       servers = ["tls://hub.example:4222"]
    replicas = 1                                     ca = "/etc/cucmagent/ca.pem"
    pid_file = "/run/nats/nats.pid"                  secret_key = "SU..."
    [access]
    operate_group = "cucm"

`cucmhub site add` makes the file of an agent. The table [access] is that of cucmd.toml(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import nkeys
from msgspec import Struct
from msgspec.structs import replace

from cucmd.config.model import AccessSettings
from cucmd.paths import SYSTEM_SOCKET
from cucmd.toml_file import TomlFile, read, text, whole
from cucmfleet.messages import SITE_NAME

HUB_FILE, HUB_STATE = "/etc/cucmhub/cucmhub.toml", "/var/lib/cucmhub"
HUB_SOCKET = "/run/cucmhub/cucmhub.sock"
AGENT_FILE, AGENT_STATE = "/etc/cucmagent/cucmagent.toml", "/var/lib/cucmagent"

_SERVER = re.compile(r"(nats|tls)://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")


def check_server(address: str) -> None:
    if not _SERVER.fullmatch(address):
        raise ValueError("expected tls://HOST:PORT or nats://HOST:PORT")


def check_site(name: str) -> None:
    if not SITE_NAME.fullmatch(name):
        raise ValueError(
            "expected 1 to 31 letters, digits, - and _, beginning with a letter or digit"
        )


def check_seed(seed: str) -> None:
    try:
        nkeys.from_seed(bytearray(seed.encode()))
    except nkeys.NkeysError:
        raise ValueError("expected the line that cucmhub site add has made") from None


_Servers = tuple[Annotated[str, text(check_server)], ...]


class HubConfig(Struct, frozen=True):
    """Holds the settings of the hub.

    replicas  how many NATS servers keep each message: 1, or 3 if there are three
    pid_file  that of nats-server, which is told to read its users again; "" if somebody else does
    """

    servers: _Servers = ("nats://127.0.0.1:4222",)
    ca: str = ""
    replicas: Annotated[int, whole(1, 5)] = 1
    socket: str = HUB_SOCKET
    state_directory: str = HUB_STATE
    pid_file: str = ""
    access: AccessSettings = AccessSettings()


class AgentConfig(Struct, frozen=True):
    """Holds the settings of an agent. secret_key: the seed of its nkey. socket: of the daemon."""

    site: Annotated[str, text(check_site)]
    servers: _Servers
    secret_key: Annotated[str, text(check_seed)]
    ca: str = ""
    socket: str = SYSTEM_SOCKET
    state_directory: str = AGENT_STATE

    def __repr__(self) -> str:
        return f"AgentConfig({self.site!r})"


def load_hub(path: Path) -> HubConfig:
    """Returns the settings of a hub. Raises `ConfigError` and `OSError`."""
    file = read(path)
    config = file.convert((), file.document, HubConfig)
    access = file.convert(("access",), file.document.get("access", {}), AccessSettings)
    _check_some(file, config.servers)
    return replace(config, access=access)


def load_agent(path: Path) -> AgentConfig:
    """Returns the settings of an agent. Raises `ConfigError` and `OSError`."""
    file = read(path)
    config = file.convert((), file.document, AgentConfig)
    _check_some(file, config.servers)
    return config


def _check_some(file: TomlFile, servers: tuple[str, ...]) -> None:
    if not servers:
        raise file.error(("servers",), "is empty; expected tls://HOST:PORT")
