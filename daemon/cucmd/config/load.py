"""File and environment -> `Config`, or every problem at once with its key and line.

The order of precedence is command line, environment, file, default. A cluster's own keys are part
of the file, so the environment's timeouts override them too.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from cucmd.config.clusters import read_clusters, read_credential_uses, read_profiles
from cucmd.config.errors import ENVIRONMENT, ConfigError, found
from cucmd.config.keys import SECTIONS, socket_path
from cucmd.config.model import Config, Daemon, RetrySettings
from cucmd.config.reading import Reader
from cucmd.config.source import read_source
from cucmd.config.timeouts import TimeoutMerger
from cucmd.paths import default_socket, default_state_dir

# What follows if a group does not exist.
_WITHOUT_GROUP = {
    "operate_group": "only root and the daemon's own user may start and cancel jobs",
    "view_group": "only those who may start jobs may see them",
}


class Overrides(Struct, frozen=True):
    """What was given on the command line."""

    socket: str | None = None
    state_directory: str | None = None


_NO_OVERRIDES = Overrides()


def load(
    path: Path | None, environ: Mapping[str, str], overrides: Overrides = _NO_OVERRIDES
) -> Config:
    """The configuration as it is used. `path` None: the default file, which may be missing.

    Raises `ConfigError` with everything that is wrong.
    """
    reader = Reader(read_source(path, environ))
    config = _config(reader, environ, overrides)
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return config


def _config(reader: Reader, environ: Mapping[str, str], overrides: Overrides) -> Config:
    reader.sections((*SECTIONS, "credential", "clusters", "profiles"))
    given = {name: reader.section(name, kinds) for name, (_, kinds) in SECTIONS.items()}
    timeouts = TimeoutMerger(reader, environ)
    sections: dict[str, Any] = {
        name: struct(**given[name])
        for name, (struct, _) in SECTIONS.items()
        if name not in ("daemon", "timeouts")
    }
    sections["daemon"] = _daemon(reader, given["daemon"], environ, overrides)
    sections["timeouts"] = timeouts.general(given["timeouts"])
    _check_retry(reader, sections["retry"])
    _check_groups(reader, given["access"])
    clusters = read_clusters(reader, sections, timeouts)
    return Config(
        **sections,
        credential_uses=read_credential_uses(reader, clusters),
        clusters=clusters,
        profiles=read_profiles(reader),
        origin=reader.origin,
        notices=tuple(reader.notices),
    )


def _daemon(
    reader: Reader, given: Mapping[str, Any], environ: Mapping[str, str], overrides: Overrides
) -> Daemon:
    """Where the daemon listens and keeps its state: each by the order of precedence."""
    uid = os.getuid()
    socket = _Choice("socket", "CUCMD_SOCKET", overrides.socket)
    state = _Choice("state_directory", "STATE_DIRECTORY", overrides.state_directory)
    daemon = Daemon(
        socket.path(reader, given, environ, default_socket(environ, uid)),
        state.path(reader, given, environ, default_state_dir(environ, uid)),
    )
    _check_socket(reader, daemon.socket, environ, overrides)
    return daemon


class _Choice(Struct, frozen=True):
    """A path that may be given on the command line, by a variable or in the file."""

    key: str
    variable: str
    override: str | None

    def path(
        self, reader: Reader, given: Mapping[str, Any], environ: Mapping[str, str], default: str
    ) -> Path:
        """The path. `default` is the variable's value if that is set."""
        in_file: Path | None = given.get(self.key)
        if in_file is not None and not self.override and not environ.get(self.variable):
            return in_file
        chosen = Path(self.override or default).absolute()
        if in_file not in (None, chosen):
            winner = "the command line" if self.override else f"${self.variable}"
            reader.overridden_by(("daemon", self.key), winner)
        return chosen


def _check_socket(
    reader: Reader, socket: Path, environ: Mapping[str, str], overrides: Overrides
) -> None:
    """Checks a path that is not from the file; those were checked when they were read."""
    try:
        socket_path(str(socket))
    except ValueError as error:
        place = ("default", "daemon.socket")  # below a home directory with a long name
        if overrides.socket:
            place = ("command line", "--socket")
        elif environ.get("CUCMD_SOCKET"):
            place = (ENVIRONMENT, "CUCMD_SOCKET")
        reader.note_elsewhere(*place, str(socket), str(error))


def _check_retry(reader: Reader, retry: RetrySettings) -> None:
    if retry.cap < retry.base and reader.intact(("retry",)):
        reader.note(("retry",), f"cap ({retry.cap:g} s) is less than base ({retry.base:g} s)")


def _check_groups(reader: Reader, given: Mapping[str, Any]) -> None:
    """Notices for groups of the file that do not exist: a mistyped name would exclude its members.

    It is no error, since the group may be created later. The default groups are not checked: they
    do not exist where an ordinary user runs the daemon.
    """
    for key, then in _WITHOUT_GROUP.items():
        name: str = given.get(key, "")
        if name and not _group_exists(name):
            reason = f"there is no such group, so {then}"
            reader.notice(("access", key), found(name, reason))


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
