"""PURE. Declares the configuration as frozen structs.

Each field is a key of the file, and its type says what the key accepts (`toml_file.py`). The values
of an instance have been checked. `Config()` is the configuration of a service without a file. Times
are in seconds, sizes in bytes.
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
_Nodes = tuple[Annotated[str, text(parse_node)], ...]
Socket = Annotated[Path, text(rules.check_socket_path)]


class Daemon(Struct, frozen=True):
    socket: Socket = Path("/run/cucmd/cucmd.sock")
    state_directory: Path = Path("/var/lib/cucmd")


class AccessSettings(Struct, frozen=True):
    """Names the groups and users that may use the socket: see cucmd(8).

    An empty name means no group. Without groups, only root and the daemon's own user may use it.
    With `view_reads_files`, the view group may read collected files and transcripts.
    """

    operate_group: _Group = "cucm"
    view_group: _Group = "cucm-view"
    view_reads_files: bool = False
    may_speak_for: tuple[Annotated[str, text(rules.check_user)], ...] = ()  # names or uids


class Limits(Struct, frozen=True):
    concurrency: Annotated[int, whole(1, rules.MOST_CONCURRENCY)] = 8  # nodes at once in a job
    connections: Annotated[int, whole(1, 100_000)] = 200  # to nodes, of all jobs
    jobs: Annotated[int, whole(1, 10_000)] = 16  # running; the others wait
    # A node allows 10 SSH sessions (vos/NODES.md, section 1), and people need some of them.
    sessions_per_node: Annotated[int, whole(1, 10)] = 2
    queued: Annotated[int, whole(0, 1_000_000)] = 1000  # waiting jobs
    queued_per_uid: Annotated[int, whole(1, 1_000_000)] = 100  # waiting jobs of one user
    job_bytes: _Count = 0  # bytes that a job may receive; 0 means as many as fit on the disk
    node_bytes: _Count = 0  # bytes that one node may send in a job; 0 as above
    # Uploads are refused if there is less free space than the larger of these two.
    free_space_percent: _Percent = 5.0
    free_space_bytes: _Count = 1024**3
    # Connections and streams of one user of the socket, so that no user can exclude the others.
    connections_per_uid: _PerUser = 64
    watchers_per_uid: _PerUser = 32


class Retention(Struct, frozen=True):
    """Limits closed jobs. Jobs beyond a limit are deleted (cases/retention.py). 0 is no limit."""

    # At most a hundred years, so that no date is out of range.
    days: Annotated[int, whole(0, 36_500)] = 0  # since the job ended
    jobs: Annotated[int, whole(0, 1_000_000)] = 0  # the newest jobs of each kind that are kept
    bytes: _Count = 0  # of the files of all kept jobs together


class HealthSettings(Thresholds, frozen=True):
    """Sets the limits of a health check, beyond which it reports a problem."""

    stratum: Annotated[int, whole(1, 15)] = 4  # of the NTP server that a node follows
    clock_seconds: Annotated[int, whole(1, 86_400)] = 120  # offset of a clock, or between two
    logging_percent: Annotated[int, whole(1, 100)] = 90  # used part of the logging partition
    certificate_days: Annotated[int, whole(0, 3650)] = 30  # until a certificate expires
    backup_days: Annotated[int, whole(1, 3650)] = 7  # since the last backup
    core_days: Annotated[int, whole(0, 3650)] = 7  # age of a core file
    processor_percent: Annotated[int, whole(1, 10_000)] = 90  # of one processor, by one process


class RetrySettings(Struct, frozen=True):
    """Sets how often a failed connection is tried. The delays grow from `base` to `cap` seconds,
    with a random part.
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
        """Returns (host, port). With port 0 the system chooses a free one."""
        host, port = split_address(self.listen)
        assert port is not None, "checked when the file was read"
        return host, port


class CredentialSettings(Struct, frozen=True):
    """Names the folder of credentials. The default is `$CREDENTIALS_DIRECTORY`."""

    directory: Path | None = None


# dict=True gives the cached property below a place for its value. The fields stay frozen.
class CredentialUse(Struct, frozen=True, dict=True):
    """Limits a credential to `nodes` and to all nodes of `clusters`."""

    name: str
    nodes: _Nodes = ()
    clusters: tuple[Annotated[str, text(rules.check_profile_name)], ...] = ()

    def allows(self, node: str, cluster: str) -> bool:
        """Returns whether the credential may be sent to `node`, which belongs to `cluster`."""
        return cluster in self.clusters or node_key(*parse_node(node)) in self._keys

    @cached_property
    def _keys(self) -> frozenset[tuple[str, int]]:
        """Computed once, because a job asks `allows` for each of its nodes, up to a thousand."""
        return frozenset(node_key(*parse_node(node)) for node in self.nodes)


class ClusterSettings(Struct, frozen=True):
    """Describes a cluster: a publisher and its nodes, with the settings that are used on them.

    The settings for nodes without a cluster have the empty `name`.
    """

    name: str = ""
    publisher: Annotated[str, text(parse_node)] | None = None
    nodes: _Nodes = ()
    credential: Annotated[str, text(rules.check_credential_name)] | None = None
    ssh: SshSettings = SshSettings()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()

    @property
    def members(self) -> tuple[str, ...]:
        """Returns the publisher (if there is one), then the nodes in the order of the file."""
        return (self.publisher, *self.nodes) if self.publisher else self.nodes


# dict=True is for the cached properties, as above.
class Config(Struct, frozen=True, dict=True):
    """Holds the whole configuration.

    origin   a line for the log that says which file was read
    notices  lines for the log about settings that are valid, but probably not intended
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
        """Returns whether any node needs old algorithms. Then the receiver offers them to all,
        because it learns only after the key exchange which node has connected.
        """
        settings = (self.ssh, *(cluster.ssh for cluster in self.clusters.values()))
        return any(ssh.legacy_algorithms for ssh in settings)

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
        """Returns the settings of the node's cluster. For a node without a cluster, returns the
        settings of the node `named_by`, which has named it in a discovery, or the general ones.
        """
        own = self._cluster_of.get(node_key(*parse_node(node)), self._general)
        return own if own.name or named_by is None else self.for_node(named_by)

    def may_send(self, credential: str, node: str) -> bool:
        """Returns whether a credential may be sent to a node."""
        use = self.credential_uses.get(credential)
        return use is None or use.allows(node, self.for_node(node).name)

    def for_job(self, nodes: Sequence[str]) -> ClusterSettings:
        """Returns the settings of a job as a whole (`timeouts.job`, `limits.concurrency`): those of
        a cluster if every node belongs to it, else the general ones.
        """
        found = {cluster.name: cluster for cluster in map(self.for_node, nodes)}
        return found.popitem()[1] if len(found) == 1 else self._general

    def profile(self, name: str) -> Profile:
        """Returns the profile of that name. Raises `UnknownProfile`."""
        try:
            return self.profiles[name]
        except KeyError:
            raise UnknownProfile(name, sorted(self.profiles)) from None


# The sections of the file: the tables that are not `[table.NAME]`.
SECTIONS: dict[str, type[Struct]] = {
    name: type(value) for name, value in asdict(Config()).items() if isinstance(value, Struct)
}
