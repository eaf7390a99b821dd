"""Reads sites.toml: the names of the sites, and where their daemons are.

    [sites]
    berlin = "ssh://user@host:22/run/cucmd/cucmd.sock"
    munich = "ssh://munich"

User, port and socket may be left out. `ssh` gets the rest as it stands here, and its configuration
may use the parts in a command of a shell (`ProxyCommand`, `Match exec`). So they have only
characters that mean nothing to a shell, and do not begin with a dash.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from msgspec import Struct

from cucmctl.cli.options import UsageError
from cucmctl.commands.lookup import hint
from cucmd.paths import SYSTEM_SOCKET, xdg
from cucmd.toml_file import ConfigError, TomlFile, read, whole, wrong_value

SYSTEM_FILE = "/etc/cucmctl/sites.toml"
# The word of --site that means all sites.
ALL = "all"
# The file in an export of several sites that stands beside the folders of the sites.
SUMMARY = "sites.txt"

_NAME = re.compile(rf"(?!({ALL}|{re.escape(SUMMARY)})$)[A-Za-z0-9][A-Za-z0-9_.-]{{0,62}}")
_PLACE = re.compile(
    r"(?P<target>ssh://(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?"
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<socket>(?:/[A-Za-z0-9_.@+-]+)+)?"
)
_EXPECTED = "expected ssh://USER@HOST:PORT/SOCKET, in which only HOST is needed"


class Site(Struct, frozen=True):
    """Describes a site.

    target   the host as `ssh` takes it, such as ssh://user@host:22
    socket   the path of the daemon's socket at the site
    timeout  seconds for the login and the first answer of the daemon
    """

    name: str
    target: str
    socket: str = SYSTEM_SOCKET
    timeout: float = 20


class _File(Struct):
    sites: dict[str, Any]
    timeout: Annotated[int, whole(1, 600)] = 20


def load(environ: Mapping[str, str] = os.environ) -> dict[str, Site]:
    """Returns the sites of the user's own sites.toml, or, without that file, of the system's.

    Raises `UsageError` if there is neither file, or if the file has an error.
    """
    own = os.path.join(xdg(environ, "XDG_CONFIG_HOME", ".config"), "cucmctl", "sites.toml")
    for path in (own, SYSTEM_FILE):
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                file = read(Path(path))
                settings = file.convert((), file.document, _File)
                return sites_of(file, settings.sites, settings.timeout)
        except ConfigError as error:
            raise UsageError(str(error)) from None
    raise UsageError(f"no sites are known; expected them in {own} or {SYSTEM_FILE}")


def sites_of(file: TomlFile, table: Mapping[str, object], timeout: float = 20) -> dict[str, Site]:
    """Returns the sites of the table [sites]. Raises `ConfigError`."""
    sites = {}
    for name, value in table.items():
        where = ("sites", name)
        if not _NAME.fullmatch(name):
            text = f"a name has letters, digits and ._-, and is not {ALL!r} or {SUMMARY!r}"
            raise file.error(where, text)
        found = _PLACE.fullmatch(value) if isinstance(value, str) else None
        if found is None or not 0 < int(found["port"] or 22) < 65536:
            raise file.error(where, wrong_value(value, _EXPECTED))
        sites[name] = Site(name, found["target"], found["socket"] or SYSTEM_SOCKET, timeout)
    return sites


def chosen(names: Iterable[str], sites: Mapping[str, Site]) -> list[Site]:
    """Returns the sites with these names, or all sites for `all`. Raises `UsageError`."""
    found: dict[str, Site] = {}
    for name in names:
        if name not in sites and name != ALL:
            raise UsageError(f"no site {name!r} in sites.toml{hint(name, sites)}")
        found.update(sites if name == ALL else {name: sites[name]})
    if not found:
        raise UsageError("sites.toml has no site")
    return list(found.values())
