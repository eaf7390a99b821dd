"""Makes a `Config` of file and environment, or reports every problem at once, with key and line.

The order of precedence is command line, environment, file, default. A cluster's own keys are part
of the file, so the environment's timeouts override them too.

The tables with names are `[clusters.NAME]`, `[profiles.NAME]` and `[credential."NAME"]`. A cluster
has the settings that are used on its nodes: the general ones, with the cluster's own keys in their
place. Nothing is merged later.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec.structs import replace

from cucmd.config import rules
from cucmd.config.built_in import BUILT_IN
from cucmd.config.errors import ENVIRONMENT, ConfigError, wrong_value
from cucmd.config.keys import SECONDS, ValueKind, converted, kinds_of
from cucmd.config.model import (
    SECTIONS,
    ClusterSettings,
    Config,
    CredentialUse,
    Daemon,
    RetrySettings,
)
from cucmd.config.profiles import Profile, written_for
from cucmd.config.reading import KeyPath, Reader, read_file
from cucmd.config.timeouts import TimeoutMerger
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.paths import default_socket, default_state_dir

# What follows if a group does not exist.
_WITHOUT_GROUP = {
    "operate_group": "only root and the daemon's own user may start and cancel jobs",
    "view_group": "only those who may start jobs may see them",
}

# Of the limits; the others are of the daemon as a whole.
_LIMITS = ("concurrency", "connections", "jobs", "sessions_per_node", "job_bytes", "node_bytes")

# The three sections that a cluster overrides, with the keys of each. In the cluster's table they
# have no section of their own: no two have the same name. (`node` is a timeout and `nodes` the
# nodes; `job` is a timeout and `jobs` a limit.)
OVERRIDES: dict[str, dict[str, ValueKind]] = {
    "ssh": SECTIONS["ssh"][1],
    "timeouts": SECTIONS["timeouts"][1],
    "limits": {name: SECTIONS["limits"][1][name] for name in _LIMITS},
}
_IS_NO_LIST = f"{SECONDS.description}; the nodes are in 'nodes'"
CLUSTER: dict[str, ValueKind] = {
    **kinds_of(ClusterSettings),
    **OVERRIDES["ssh"],
    **OVERRIDES["timeouts"],
    "node": converted(Annotated[float, SECONDS], _IS_NO_LIST),
    **OVERRIDES["limits"],
}
_CREDENTIAL = kinds_of(CredentialUse)
_PROFILE = kinds_of(Profile)


def load(
    path: Path | None,
    environ: Mapping[str, str],
    socket: Path | None = None,
    state_directory: Path | None = None,
) -> Config:
    """Reads the configuration as it is used. `path` None: the default file, which may be missing.

    `socket` and `state_directory` are those of the command line.
    Raises `ConfigError` with everything that is wrong.
    """
    reader = read_file(path, environ)
    given = reader.sections()
    timeouts = TimeoutMerger(reader, environ)
    sections: dict[str, Any] = {
        name: struct(**given[name])
        for name, (struct, _) in SECTIONS.items()
        if name not in ("daemon", "timeouts")
    }
    sections["daemon"] = _daemon(reader, given["daemon"], environ, socket, state_directory)
    sections["timeouts"] = timeouts.general(given["timeouts"])
    _check_retry(reader, sections["retry"])
    _check_users(reader, given["access"])
    clusters = _read_clusters(reader, sections, timeouts)
    config = Config(
        **sections,
        credential_uses=_read_credential_uses(reader, clusters),
        clusters=clusters,
        profiles=_read_profiles(reader),
        origin=reader.origin,
        notices=tuple(reader.notices),
    )
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return config


def _daemon(
    reader: Reader,
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    socket: Path | None,
    state_directory: Path | None,
) -> Daemon:
    """Says where the daemon listens and keeps its state: each by the order of precedence."""
    uid = os.getuid()
    # The default is the value of the variable, if that is set.
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
            reader.notice(("daemon", key), f"is overridden by {winner}")
    try:
        # That of the file was checked when it was read.
        rules.socket_path(str(chosen["socket"]))
    except ValueError as error:
        place = ("default", "daemon.socket")  # below a home directory with a long name
        if socket:
            place = ("command line", "--socket")
        elif environ.get("CUCMD_SOCKET"):
            place = (ENVIRONMENT, "CUCMD_SOCKET")
        reader.note_elsewhere(*place, str(chosen["socket"]), str(error))
    return Daemon(**chosen)


def _check_retry(reader: Reader, retry: RetrySettings) -> None:
    if retry.cap < retry.base and reader.intact(("retry",)):
        reader.note(("retry",), f"cap ({retry.cap:g} s) is less than base ({retry.base:g} s)")


def _check_users(reader: Reader, given: Mapping[str, Any]) -> None:
    """Notices for groups and users of the file that do not exist: a mistyped name would exclude
    them.

    It is no error, since they may be created later. The default groups are not checked: they
    do not exist where an ordinary user runs the daemon.
    """
    for key, then in _WITHOUT_GROUP.items():
        name: str = given.get(key, "")
        if name and not _exists(grp.getgrnam, name):
            reason = f"there is no such group, so {then}"
            reader.notice(("access", key), wrong_value(name, reason))
    for position, name in enumerate(given.get("may_speak_for", ())):
        if not name.isdigit() and not _exists(pwd.getpwnam, name):
            place = ("access", "may_speak_for", position)
            reader.notice(place, wrong_value(name, "there is no such user"))


def _exists(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _read_clusters(
    reader: Reader, general: Mapping[str, Any], timeouts: TimeoutMerger
) -> dict[str, ClusterSettings]:
    """Reads every cluster of the file; `general` are the sections that a cluster overrides."""
    tables = reader.named("clusters", rules.profile_name)
    clusters = {
        name: _cluster(reader, name, table, general, timeouts) for name, table in tables.items()
    }
    _check_members(reader, clusters)
    return clusters


def _cluster(
    reader: Reader, name: str, table: object, general: Mapping[str, Any], timeouts: TimeoutMerger
) -> ClusterSettings:
    path = ("clusters", name)
    given: dict[str, Any] = reader.values(path, table, CLUSTER)
    own = {
        section: {key: given.pop(key) for key in kinds if key in given}
        for section, kinds in OVERRIDES.items()
    }
    cluster = ClusterSettings(
        name=name,
        ssh=replace(general["ssh"], **own["ssh"]),
        timeouts=timeouts.of_cluster(general["timeouts"], path, own["timeouts"]),
        limits=replace(general["limits"], **own["limits"]),
        **given,
    )
    if not cluster.members and reader.intact(path):
        reader.note(path, "has no node; expected a publisher, or nodes, or both")
    return cluster


def _check_members(reader: Reader, clusters: Mapping[str, ClusterSettings]) -> None:
    """Notes each node that is in two clusters, where its settings would be ambiguous."""
    cluster_of: dict[tuple[str, int], str] = {}
    for cluster in clusters.values():
        for path, member in _places(cluster):
            key = node_key(*parse_node(member))
            if key in cluster_of:
                reader.note(path, f"{member!r} is in cluster {cluster_of[key]!r} already")
            cluster_of.setdefault(key, cluster.name)
    for cluster in clusters.values():
        _check_name(reader, cluster, cluster_of)


def _places(cluster: ClusterSettings) -> Iterator[tuple[KeyPath, str]]:
    table = ("clusters", cluster.name)
    if cluster.publisher is not None:
        yield (*table, "publisher"), cluster.publisher
    for position, node in enumerate(cluster.nodes):
        yield (*table, "nodes", position), node


def _check_name(
    reader: Reader, cluster: ClusterSettings, cluster_of: Mapping[tuple[str, int], str]
) -> None:
    """A cluster may have the name of a node, such as its publisher. A notice says which of the two
    a request means.
    """
    try:
        host, port = node_key(*parse_node(cluster.name))
    except InvalidNode:
        return
    other = cluster_of.get((host, port))
    if other is not None and (other != cluster.name or len(cluster.members) > 1):
        meant = f"start takes {cluster.name!r} for the cluster, and '{host}:{port}' for the node"
        path = ("clusters", cluster.name)
        reader.notice(path, f"is also a node of cluster {other!r}; {meant}")


def _read_credential_uses(
    reader: Reader, clusters: Mapping[str, ClusterSettings]
) -> dict[str, CredentialUse]:
    """Reads the nodes and clusters to which credentials are tied."""
    tables = reader.named("credential", rules.credential_name)
    uses = {name: _use(reader, name, table, clusters) for name, table in tables.items()}
    for cluster in clusters.values():
        use = uses.get(cluster.credential or "")
        if use is not None and reader.intact(("credential", use.name)):
            _check_use(reader, cluster, use)
    return uses


def _use(
    reader: Reader, name: str, table: object, clusters: Mapping[str, ClusterSettings]
) -> CredentialUse:
    path = ("credential", name)
    # A table in it is the rest of a name with dots and without quotes.
    items = table.items() if isinstance(table, dict) else ()
    inner = next((key for key, value in items if isinstance(value, dict)), None)
    if inner is not None:
        written = f'[credential."{name}.{inner}"]'
        reader.note((*path, inner), f"is not known; a name with dots is quoted: {written}")
        return CredentialUse(name)
    given: dict[str, Any] = reader.values(path, table, _CREDENTIAL)
    use = CredentialUse(name, **given)
    for position, cluster in enumerate(use.clusters):
        if cluster not in clusters:
            reason = wrong_value(cluster, "there is no such cluster")
            reader.note((*path, "clusters", position), reason)
    if not (use.nodes or use.clusters) and reader.intact(path):
        reader.note(path, "ties it to nothing; expected nodes, or clusters, or both")
    return use


def _check_use(reader: Reader, cluster: ClusterSettings, use: CredentialUse) -> None:
    """Checks that a cluster's own credential is allowed on all of its nodes."""
    for member in cluster.members:
        if not use.allows(member, cluster.name):
            reason = (
                f'{use.name!r} is tied to other nodes than {member!r} by [credential."{use.name}"]'
            )
            reader.note(("clusters", cluster.name, "credential"), reason)
            return


def _read_profiles(reader: Reader) -> dict[str, Profile]:
    """Reads the profiles: the built-in ones, with those of the file in their place."""
    tables = reader.named("profiles", rules.profile_name)
    return {
        **BUILT_IN,
        **{name: _profile(reader, name, table) for name, table in tables.items()},
    }


def _profile(reader: Reader, name: str, table: object) -> Profile:
    path = ("profiles", name)
    given: dict[str, Any] = reader.values(path, table, _PROFILE)
    built_in = BUILT_IN.get(name, Profile(name))
    if "paths" in given:
        _place(reader, path, given, built_in.location)
        # What is said of the built-in ones is not true of others.
        usual = written_for(given["paths"])
        said = {"products": (), "leaves_out": "", "unverified": (), "written_for": usual}
        given = {**said, **given}
    _spread(reader, path, given, given.get("paths", built_in.paths))
    profile = replace(built_in, **given)
    if reader.intact(path) and not 1 <= len(profile.paths) <= rules.MOST_PATHS:
        place = (*path, "paths") if "paths" in given else path
        reader.note(place, f"expected paths, from 1 to {rules.MOST_PATHS} of them")
    for position, one in enumerate(profile.unverified):
        if one not in profile.paths and reader.intact(path):
            reader.note((*path, "unverified", position), f"{one!r}: is none of the paths")
    return profile


def _spread(reader: Reader, path: KeyPath, given: dict[str, Any], paths: tuple[str, ...]) -> None:
    """Makes `written_for` that of each path, where it is one for all of them."""
    times = given.get("written_for")
    if isinstance(times, str):
        given["written_for"] = (times,) * len(paths)
    elif times is not None and len(times) != len(paths) and reader.intact(path):
        reason = f"has {len(times)}, for {len(paths)} paths; expected one for all, or one for each"
        reader.note((*path, "written_for"), reason)


def _place(reader: Reader, path: KeyPath, given: dict[str, Any], usual: str) -> None:
    """Takes the location out of the paths that name one, for the profile as a whole."""
    owns = [own for own, _ in given["paths"]]
    given["paths"] = tuple(one for _, one in given["paths"])
    location, wrong = rules.one_location(given.get("location"), usual, owns)
    if wrong is not None:
        reader.note((*path, "paths", wrong), rules.not_below(location))
    given["location"] = location
