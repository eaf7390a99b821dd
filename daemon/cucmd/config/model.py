"""PURE. Declares the configuration as frozen structs, as it is once file and environment were read.

Every value here has been checked. `Config()` is the configuration of a service that has no file.
Times are in seconds, sizes in bytes. A field is a key of the file, and its type says what the key
accepts (`toml_file.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import asdict

from cucmd.config import rules
from cucmd.config.errors import UnknownProfile
from cucmd.config.profiles import BUILT_IN, Profile
from cucmd.job.health import Thresholds
from cucmd.job.job import HostKeyPolicy
from cucmd.job.timeouts import MOST_SECONDS, Timeouts
from cucmd.node_name import node_key, parse_node, split_address
from cucmd.toml_file import text, whole

_Count = Annotated[int, whole(0)]
_PerUser = Annotated[int, whole(1, 100_000)]
_Duration = Annotated[
    float,
    Meta(gt=0, le=MOST_SECONDS, description="a positive number of seconds (at most a year)"),
]
_Percent = Annotated[float, Meta(ge=0, le=99, description="a number from 0 to 99")]
_Group = Annotated[str, text(rules.check_group_name, may_be_empty=True)]
_Nodes = tuple[Annotated[str, text(rules.check_node)], ...]


class Daemon(Struct, frozen=True):
    socket: Annotated[Path, text(rules.check_socket_path)] = Path("/run/cucmd/cucmd.sock")
    state_directory: Path = Path("/var/lib/cucmd")


class AccessSettings(Struct, frozen=True):
    """Names the groups that may use the socket. An empty name means no group: then only root and
    the daemon's own user may.

    With `view_reads_files` the view group may read collected files and transcripts.
    """

    operate_group: _Group = "cucm"
    view_group: _Group = "cucm-view"
    view_reads_files: bool = False
    may_speak_for: tuple[
        Annotated[str, text(rules.check_user)], ...
    ] = ()  # names or uids: cucmd(8)


class Limits(Struct, frozen=True):
    concurrency: Annotated[int, whole(1, rules.MOST_AT_ONCE)] = 8  # nodes at once in a job
    connections: Annotated[int, whole(1, 100_000)] = 200  # to nodes, at once, over all jobs
    jobs: Annotated[int, whole(1, 10_000)] = 16  # running at once; the rest queue
    # Of 10 SSH sessions (vos/NODES.md, section 1).
    sessions_per_node: Annotated[int, whole(1, 10)] = 2  # a node allows 10; people need some
    queued: Annotated[int, whole(0, 1_000_000)] = 1000  # jobs that may wait
    queued_per_uid: Annotated[int, whole(1, 1_000_000)] = 100  # of these, the jobs of one user
    job_bytes: _Count = 0  # what one job may receive; 0: no limit but the disk
    node_bytes: _Count = 0  # what one node may send in one job; 0: no limit but the disk
    # Free space below which uploads are refused: the larger of the two counts.
    free_space_percent: _Percent = 5.0
    free_space_bytes: _Count = 1024**3
    # What one user of the socket may have open, so that no user can exclude the others.
    connections_per_uid: _PerUser = 64
    watchers_per_uid: _PerUser = 32


class Retention(Struct, frozen=True):
    """Closed jobs beyond one of these are deleted (cases/retention.py); 0: no limit."""

    # A hundred years at most, so that no date is out of range.
    days: Annotated[int, whole(0, 36_500)] = 0  # since a job has ended
    jobs: Annotated[int, whole(0, 1_000_000)] = 0  # how many stay, the newest
    bytes: _Count = 0  # what the files of those that stay take together


class HealthSettings(Thresholds, frozen=True):
    """Beyond these a health check is not good."""

    stratum: Annotated[int, whole(1, 15)] = 4  # of the server whose time a node follows
    clock_seconds: Annotated[int, whole(1, 86_400)] = 120  # that clocks may be off, or apart
    logging_percent: Annotated[int, whole(1, 100)] = 90  # of the logging partition that is used
    certificate_days: Annotated[int, whole(0, 3650)] = 30  # until a certificate ends
    backup_days: Annotated[int, whole(1, 3650)] = 7  # since the last backup
    core_days: Annotated[int, whole(0, 3650)] = 7  # since a process has left a core file
    processor_percent: Annotated[int, whole(1, 10_000)] = 90  # of one, that one process uses


class RetrySettings(Struct, frozen=True):
    """Sets how failures of connections are tried again. The delays grow from `base` to `cap`
    seconds, with a random part.
    """

    attempts: Annotated[int, whole(1, 100)] = 3
    base: _Duration = 1.0
    cap: _Duration = 30.0


class SshSettings(Struct, frozen=True):
    host_keys: HostKeyPolicy = "accept-new"
    legacy_algorithms: bool = False


class ReceiverSettings(Struct, frozen=True):
    listen: Annotated[str, text(rules.check_listen_address)] = "0.0.0.0:2222"  # nodes must reach it
    advertise: Annotated[str, text(rules.check_advertised_host, may_be_empty=True)] = ""

    @property
    def listen_address(self) -> tuple[str, int]:
        """Returns (host, port); port 0 is any free one."""
        host, port = split_address(self.listen)
        assert port is not None, "checked when it was loaded"
        return host, port


class CredentialSettings(Struct, frozen=True):
    """Names the folder of credentials; without one they are in `$CREDENTIALS_DIRECTORY`."""

    directory: Path | None = None


# `dict`: for the cached property below. The fields stay frozen.
class CredentialUse(Struct, frozen=True, dict=True):
    """Names the nodes to which a credential may be sent: `nodes`, and all nodes of `clusters`."""

    name: str
    nodes: _Nodes = ()
    clusters: tuple[Annotated[str, text(rules.check_profile_name)], ...] = ()

    def allows(self, node: str, cluster: str) -> bool:
        """Says whether it may be sent to that node, which is one of the cluster of that name."""
        return cluster in self.clusters or node_key(*parse_node(node)) in self._keys

    @cached_property
    def _keys(self) -> frozenset[tuple[str, int]]:
        """Makes the keys of `nodes` once for all nodes of a job, which may be a thousand."""
        return frozenset(node_key(*parse_node(node)) for node in self.nodes)


class ClusterSettings(Struct, frozen=True):
    """Describes a publisher and its nodes, with the settings that are used on them.

    `name` "": the settings for nodes that are in no cluster.
    """

    name: str = ""
    publisher: Annotated[str, text(rules.check_node)] | None = None
    nodes: _Nodes = ()
    credential: Annotated[str, text(rules.check_credential_name)] | None = None
    ssh: SshSettings = SshSettings()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()

    @property
    def members(self) -> tuple[str, ...]:
        """Returns the publisher, then the nodes in the order of the file."""
        return (self.publisher, *self.nodes) if self.publisher else self.nodes


# `dict`: likewise.
class Config(Struct, frozen=True, dict=True):
    """Holds the whole configuration.

    origin   which file was read, as a line for the log
    notices  lines for the log about what is not wrong, but probably not meant
    """

    daemon: Daemon = Daemon()
    access: AccessSettings = AccessSettings()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    retention: Retention = Retention()
    retry: RetrySettings = RetrySettings()
    health: HealthSettings = HealthSettings()
    ssh: SshSettings = SshSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    credentials: CredentialSettings = CredentialSettings()
    credential_uses: dict[str, CredentialUse] = {}  # by the names of the credentials
    clusters: dict[str, ClusterSettings] = {}
    profiles: dict[str, Profile] = field(default_factory=BUILT_IN.copy)
    origin: str = ""
    notices: tuple[str, ...] = ()

    @property
    def receiver_is_legacy(self) -> bool:
        """Says whether the receiver offers the old algorithms: it does if any cluster needs them.

        The receiver is one for all nodes, and knows only after the key exchange which node came.
        """
        clusters = self.clusters.values()
        return self.ssh.legacy_algorithms or any(one.ssh.legacy_algorithms for one in clusters)

    @cached_property
    def _cluster_of(self) -> dict[tuple[str, int], ClusterSettings]:
        return {
            node_key(*parse_node(member)): cluster
            for cluster in self.clusters.values()
            for member in cluster.members
        }

    @cached_property
    def _general(self) -> ClusterSettings:
        return ClusterSettings(ssh=self.ssh, timeouts=self.timeouts, limits=self.limits)

    def for_node(self, node: str, named_by: str | None = None) -> ClusterSettings:
        """Returns the settings of one node: those of its cluster, if it belongs to one, else those
        of the node that has named it.
        """
        own = self._cluster_of.get(node_key(*parse_node(node)), self._general)
        return own if own.name or named_by is None else self.for_node(named_by)

    def may_send(self, credential: str, node: str) -> bool:
        """Says whether a named credential may be sent to that node: one that is not tied may."""
        use = self.credential_uses.get(credential)
        return use is None or use.allows(node, self.for_node(node).name)

    def for_job(self, nodes: Sequence[str]) -> ClusterSettings:
        """Returns the settings of a job as a whole (`timeouts.job`, `limits.concurrency`).

        They are those of a cluster only if every node belongs to it.
        """
        found = {one.name: one for one in map(self.for_node, nodes)}
        return found.popitem()[1] if len(found) == 1 else self._general

    def profile(self, name: str) -> Profile:
        """Raises `UnknownProfile`."""
        try:
            return self.profiles[name]
        except KeyError:
            raise UnknownProfile(name, sorted(self.profiles)) from None


# The tables without a name of their own.
SECTIONS: dict[str, type[Struct]] = {
    name: type(value) for name, value in asdict(Config()).items() if isinstance(value, Struct)
}
