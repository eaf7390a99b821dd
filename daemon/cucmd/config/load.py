"""Makes a `Config` from file and environment. An error names its key and line.

The order of precedence is command line, environment, file, default. A cluster's own keys are part
of the file, so the environment's timeouts override them too.

`ClusterSettings` gets all settings that are used on the cluster's nodes: the general ones, replaced
by the cluster's own keys. Nothing is merged later.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cucmd.config import rules
from cucmd.config.model import (
    SECTIONS,
    ClusterSettings,
    Config,
    CredentialUse,
    Daemon,
    Limits,
    SshSettings,
)
from cucmd.config.profiles import BUILT_IN, Profile, read_profile
from cucmd.config.timeout_sources import merge_timeouts, timeouts_from_environment
from cucmd.job.timeouts import Timeouts
from cucmd.node_name import node_key, parse_node
from cucmd.paths import config_places, default_config, default_socket, default_state_dir
from cucmd.toml_file import (
    ConfigError,
    KeyPath,
    TomlFile,
    present_values,
    read,
    wrong_value,
)

# The sections that have tables with names.
NAMED = ("credential", "clusters", "profiles")

# Begins `Config.origin` if a file was read.
FROM_FILE = "configuration from"

# The consequence if the group of this key does not exist.
_WITHOUT_GROUP = {
    "operate_group": "only root and the daemon's own user may start and cancel jobs",
    "view_group": "only those who may start jobs may see them",
}

# The keys of `[limits]` that a cluster may have. The others are about the daemon as a whole.
_LIMITS = ("concurrency", "connections", "jobs", "sessions_per_node", "job_bytes", "node_bytes")

# The keys that a cluster may have. Keys that override a section are written in the cluster's table
# itself, without the section's name, because all of them have different names. (`node` is a timeout
# and `nodes` are the nodes; `job` is a timeout and `jobs` a limit.)
CLUSTER: dict[type[Struct], tuple[str, ...]] = {
    ClusterSettings: ("publisher", "nodes", "credential"),
    SshSettings: SshSettings.__struct_fields__,
    Timeouts: Timeouts.__struct_fields__,
    Limits: _LIMITS,
}
_CLUSTER_KEYS = [key for keys in CLUSTER.values() for key in keys]
_USE_KEYS = ("nodes", "clusters")


def load(
    path: Path | None,
    environ: Mapping[str, str],
    socket: Path | None = None,
    state_directory: Path | None = None,
) -> Config:
    """Returns the configuration. Raises `ConfigError` with the first error.

    path     the file; if None, the default file is read, which may be missing
    environ  the environment variables
    socket, state_directory
             options of the command line, which override everything else
    """
    file, origin = _read_file(path, environ)
    document = file.table((), file.document, (*SECTIONS, *NAMED))
    credentials = document.get("credentials")
    if isinstance(credentials, dict) and credentials.get("directory") == "":
        del credentials["directory"]  # an empty value means the default
    sections: dict[str, Any] = {
        name: file.convert((name,), document.get(name, {}), struct)
        for name, struct in SECTIONS.items()
    }
    sections["daemon"] = _daemon_paths(file, sections["daemon"], environ, socket, state_directory)
    variables = timeouts_from_environment(environ)
    own = present_values(document.get("timeouts", {}), sections["timeouts"])
    sections["timeouts"] = merge_timeouts(file, ("timeouts",), Timeouts(), own, variables)
    retry = sections["retry"]
    if retry.cap < retry.base:
        reason = f"cap ({retry.cap:g} s) is less than base ({retry.base:g} s)"
        raise file.error(("retry",), reason)
    check_groups_and_users(file, document.get("access", {}))

    clusters: dict[str, ClusterSettings] = {}
    cluster_of: dict[tuple[str, int], str] = {}  # by the nodes
    for name, table in _named_tables(file, "clusters", rules.check_profile_name):
        cluster = clusters[name] = _read_cluster(file, name, table, sections, variables)
        places: list[KeyPath] = [("publisher",)] if cluster.publisher else []
        places += (("nodes", position) for position in range(len(cluster.nodes)))
        for place, member in zip(places, cluster.members, strict=True):
            key = node_key(*parse_node(member))
            if key in cluster_of:  # it would not be clear which settings the node has
                reason = f"{member!r} is in cluster {cluster_of[key]!r} already"
                raise file.error(("clusters", name, *place), reason)
            cluster_of[key] = name
    uses = {
        name: _read_credential_use(file, name, table, clusters)
        for name, table in _named_tables(file, "credential", rules.check_credential_name)
    }
    for cluster in clusters.values():
        use = uses.get(cluster.credential or "")
        denied = [node for node in cluster.members if use and not use.allows(node, cluster.name)]
        if use and denied:
            reason = f'is tied to other nodes than {denied[0]!r} by [credential."{use.name}"]'
            raise file.error(("clusters", cluster.name, "credential"), f"{use.name!r} {reason}")
    profiles = {
        name: read_profile(file, name, table, BUILT_IN.get(name, Profile(name)))
        for name, table in _named_tables(file, "profiles", rules.check_profile_name)
    }
    return Config(
        **sections,
        credential_uses=uses,
        clusters=clusters,
        profiles=BUILT_IN | profiles,
        origin=origin,
        notices=tuple(file.notices),
    )


def _read_file(path: Path | None, environ: Mapping[str, str]) -> tuple[TomlFile, str]:
    """Returns the file, and `Config.origin`."""
    chosen = path or Path(default_config(environ, os.getuid()))
    try:
        return read(chosen), f"{FROM_FILE} {str(chosen.absolute())!a}"
    except (FileNotFoundError, NotADirectoryError) as error:
        if path is not None:
            raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    looked_for = config_places(environ, os.getuid())
    beginning = "there is neither " if len(looked_for) > 1 else "there is no "
    origin = f"no configuration file; {beginning}{' nor '.join(map(ascii, looked_for))}"
    return TomlFile(str(chosen)), origin


def _named_tables(
    file: TomlFile, section: str, rule: Callable[[str], object]
) -> Iterator[tuple[str, object]]:
    """Yields (name, table) of each `[section.NAME]`. `rule` checks the name."""
    table = file.document.get(section, {})
    for name, value in file.table((section,), table, table).items():
        try:
            rule(name)
        except ValueError as error:
            raise file.error((section, name), str(error)) from None
        yield name, value


def _daemon_paths(
    file: TomlFile,
    own: Daemon,
    environ: Mapping[str, str],
    socket: Path | None,
    state_directory: Path | None,
) -> Daemon:
    """Returns the paths of the socket and the state, by the order of precedence.

    own  the section `[daemon]` of the file
    """
    uid = os.getuid()
    given = present_values(file.document.get("daemon", {}), own)
    # The functions for the defaults return the value of the variable if it is set.
    choices = {
        "socket": (socket, "CUCMD_SOCKET", default_socket(environ, uid)),
        "state_directory": (state_directory, "STATE_DIRECTORY", default_state_dir(environ, uid)),
    }
    chosen: dict[str, Path] = {}
    for key, (option, variable, default) in choices.items():
        in_file: Path | None = given.get(key)
        if in_file is not None and not option and not environ.get(variable):
            chosen[key] = in_file
            continue
        chosen[key] = Path(option or default).absolute()
        if in_file not in (None, chosen[key]):
            winner = "the command line" if option else f"${variable}"
            file.notice(("daemon", key), f"is overridden by {winner}")
    try:
        # A path from the file was checked when the file was read; this is for the others.
        rules.check_socket_path(chosen["socket"])
    except ValueError as error:
        reason = wrong_value(str(chosen["socket"]), str(error))
        raise file.error(("daemon", "socket"), reason) from None
    return Daemon(**chosen)


def check_groups_and_users(file: TomlFile, given: Mapping[str, Any]) -> None:
    """Adds notices for groups and users of the file that do not exist. They may be misspelled, or
    created later.

    The default groups are not checked. They do not exist where an ordinary user runs the daemon.
    """
    for key, then in _WITHOUT_GROUP.items():
        name: str = given.get(key, "")
        if name and not _exists(grp.getgrnam, name):
            reason = f"there is no such group, so {then}"
            file.notice(("access", key), wrong_value(name, reason))
    for position, name in enumerate(given.get("may_speak_for", ())):
        if not name.isdigit() and not _exists(pwd.getpwnam, name):
            place = ("access", "may_speak_for", position)
            file.notice(place, wrong_value(name, "there is no such user"))


def _exists(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _read_cluster(
    file: TomlFile,
    name: str,
    value: object,
    general: Mapping[str, Any],
    variables: Mapping[str, float],
) -> ClusterSettings:
    """Returns the settings of one cluster.

    general    the sections that the cluster's keys override
    variables  the timeouts of the environment
    """
    place = ("clusters", name)
    table = file.table(place, value, _CLUSTER_KEYS)
    own: dict[type[Struct], dict[str, Any]] = {}
    for struct, keys in CLUSTER.items():
        part = {key: table[key] for key in keys if key in table}
        own[struct] = present_values(part, file.convert(place, part, struct))
    timeouts = merge_timeouts(file, place, general["timeouts"], own[Timeouts], variables)
    cluster = ClusterSettings(
        name=name,
        ssh=replace(general["ssh"], **own[SshSettings]),
        timeouts=timeouts,
        limits=replace(general["limits"], **own[Limits]),
        **own[ClusterSettings],
    )
    if not cluster.members:
        raise file.error(place, "has no node; expected a publisher, or nodes, or both")
    return cluster


def _read_credential_use(
    file: TomlFile, name: str, value: object, clusters: Mapping[str, ClusterSettings]
) -> CredentialUse:
    """Returns the nodes and clusters to which a credential may be sent."""
    place = ("credential", name)
    # [credential.a.b] without quotes makes a table `b` in a table `a`; the name "a.b" was meant.
    items = value.items() if isinstance(value, dict) else ()
    inner = next((key for key, item in items if isinstance(item, dict)), None)
    if inner is not None:
        written = f'[credential."{name}.{inner}"]'
        reason = f"is not known; a name with dots is quoted: {written}"
        raise file.error((*place, inner), reason)
    use = file.convert(place, {**file.table(place, value, _USE_KEYS), "name": name}, CredentialUse)
    for position, cluster in enumerate(use.clusters):
        if cluster not in clusters:
            reason = wrong_value(cluster, "there is no such cluster")
            raise file.error((*place, "clusters", position), reason)
    if not (use.nodes or use.clusters):
        raise file.error(place, "has no nodes; expected nodes, or clusters, or both")
    return use
