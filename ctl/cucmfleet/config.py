"""Reads the configuration files of hub and agent.

    # /etc/cucmhub/cucmhub.toml                      # /etc/cucmagent/cucmagent.toml
    servers = ["tls://hub.example:4222"]             site = "berlin"
    ca = "/etc/cucmhub/ca.pem"                       servers = ["tls://hub.example:4222"]
    [access]                                         ca = "/etc/cucmagent/ca.pem"
    operate_group = "cucm"                           secret_key = "SU..."

`cucmhub site add` makes the file of an agent. The table [access] is that of cucmd.toml(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from cucmctl.upload.target import TargetSettings, read_targets
from cucmd.config.model import AccessSettings
from cucmd.paths import SYSTEM_SOCKET
from cucmd.toml_file import read, text, whole

HUB_FILE, AGENT_FILE = Path("/etc/cucmhub/cucmhub.toml"), Path("/etc/cucmagent/cucmagent.toml")

_SERVER = re.compile(r"(nats|tls)://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")
# The name of a site is one word of a subject of NATS.
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")
_SEED = re.compile(r"SU[A-Z2-7]{56}")


def check_server(address: str) -> None:
    if not _SERVER.fullmatch(address):
        raise ValueError("expected tls://HOST:PORT or nats://HOST:PORT")


def check_site(name: str) -> None:
    if not _SITE.fullmatch(name):
        raise ValueError("expected up to 31 letters, digits, - and _, the first no - or _")


def _check_seed(seed: str) -> None:
    if not _SEED.fullmatch(seed):
        raise ValueError("expected the line that cucmhub site add has made")


_Servers = Annotated[
    tuple[Annotated[str, text(check_server)], ...],
    Meta(min_length=1, description="at least one tls://HOST:PORT"),
]


class HubConfig(Struct, frozen=True):
    """Holds the settings of the hub.

    replicas       how many NATS servers keep each message: 1, or 3 if there are three
    reload_server  the command that lets nats-server read its users again. A path unit of systemd
                   would lose a change while it reloads because of another (systemd issue 41599)
    """

    servers: _Servers = ("nats://127.0.0.1:4222",)
    ca: str = ""
    replicas: Annotated[int, whole(1, 5)] = 1
    socket: str = "/run/cucmhub/cucmhub.sock"
    state_directory: str = "/var/lib/cucmhub"
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
    ca: str = ""
    socket: str = SYSTEM_SOCKET
    targets: dict[str, TargetSettings] = {}

    def __repr__(self) -> str:
        return f"AgentConfig({self.site!r})"


def load_hub(path: Path) -> HubConfig:
    """Returns the settings of a hub. Raises `ConfigError` and `OSError`."""
    file = read(path)
    access = file.convert(("access",), file.document.get("access", {}), AccessSettings)
    return replace(file.convert((), file.document, HubConfig), access=access)


def load_agent(path: Path) -> AgentConfig:
    """Returns the settings of an agent. Raises `ConfigError` and `OSError`."""
    file = read(path)
    targets = read_targets(file, file.document.pop("targets", {}))
    for name, target in targets.items():
        if target.encrypt_with_password or (target.has_login and not target.token_file):
            reason = "nobody is asked for secrets; expected token_file, and encrypt_to or nothing"
            raise file.error(("targets", name), reason)
    return replace(file.convert((), file.document, AgentConfig), targets=targets)
