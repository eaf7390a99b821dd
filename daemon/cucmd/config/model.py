"""PURE. The configuration as frozen structs, after file and environment were read.

Every value here has been checked. `Config()` is the configuration of a service that has no file.
Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path

from msgspec import Struct, field

from cucmd.config.errors import InvalidValue, UnknownProfile, found
from cucmd.config.profiles import BUILT_IN, Profile
from cucmd.job.job import HostKeyPolicy
from cucmd.job.timeouts import Timeouts
from cucmd.node_name import InvalidNode, node_key, parse_node, split_address


class Daemon(Struct, frozen=True):
    socket: Path = Path("/run/cucmd/cucmd.sock")
    state_directory: Path = Path("/var/lib/cucmd")


class Access(Struct, frozen=True):
    """Names of groups; empty: no group, so only root and the daemon's own user.

    `view_reads_files`: the view group may read collected files and transcripts.
    """

    operate_group: str = "cucm"
    view_group: str = "cucm-view"
    view_reads_files: bool = False


class Limits(Struct, frozen=True):
    concurrency: int = 8  # nodes at once in a job
    connections: int = 200  # to nodes, at once, over all jobs
    jobs: int = 16  # running at once; the rest queue
    sessions_per_node: int = 2  # a node allows 10 in all, and people need some of them
    queued: int = 1000  # jobs that may wait
    queued_per_uid: int = 100  # of these, the jobs of one user of the socket
    job_bytes: int = 0  # what one job may receive; 0: no limit but the disk
    node_bytes: int = 0  # what one node may send in one job; 0: no limit but the disk
    # Free space below which uploads are refused: the larger of the two counts.
    free_space_percent: float = 5.0
    free_space_bytes: int = 1024**3
    # What one user of the socket may have open, so that no user can exclude the others.
    connections_per_uid: int = 64
    requests_per_uid: int = 64
    watchers_per_uid: int = 32


class Retention(Struct, frozen=True):
    """Closed jobs beyond one of these are deleted (cases/retention.py); 0: no limit."""

    days: int = 0  # since a job has ended
    jobs: int = 0  # how many stay, the newest
    bytes: int = 0  # what the files of those that stay take together


class RetrySettings(Struct, frozen=True):
    """Of connection failures. The delays grow from `base` to `cap` seconds, with a random part."""

    attempts: int = 3
    base: float = 1.0
    cap: float = 30.0


class Ssh(Struct, frozen=True):
    host_keys: HostKeyPolicy = "accept-new"
    legacy_algorithms: bool = False


class ReceiverSettings(Struct, frozen=True):
    listen: str = "0.0.0.0:2222"  # nodes must reach it
    advertise: str = ""

    @property
    def listen_address(self) -> tuple[str, int]:
        """(host, port); port 0 is any free one."""
        host, port = split_address(self.listen)
        assert port is not None, "checked when it was loaded"
        return host, port


class CredentialSettings(Struct, frozen=True):
    """Where named credentials are. None: in `$CREDENTIALS_DIRECTORY`."""

    directory: Path | None = None


# `dict`: for the cached property below. The fields stay frozen.
class CredentialUse(Struct, frozen=True, dict=True):
    """The nodes to which a named credential may be sent: `nodes`, and all nodes of `clusters`."""

    name: str
    nodes: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()

    def allows(self, host: str, port: int, cluster: str | None) -> bool:
        """Whether it may be sent to that node, which is one of the cluster of that name."""
        return cluster in self.clusters or node_key(host, port) in self._keys

    @cached_property
    def _keys(self) -> frozenset[tuple[str, int]]:
        """Once for all nodes of a job, which may be a thousand."""
        return frozenset(node_key(*parse_node(node)) for node in self.nodes)


class Cluster(Struct, frozen=True):
    """A publisher and its nodes, with the settings that are used on them."""

    name: str
    publisher: str | None = None
    nodes: tuple[str, ...] = ()
    credential: str | None = None
    ssh: Ssh = Ssh()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()

    @property
    def members(self) -> tuple[str, ...]:
        """The publisher, then the nodes in the order of the file."""
        return (self.publisher, *self.nodes) if self.publisher else self.nodes


class NodeSettings(Struct, frozen=True):
    """The settings of one node: those of its cluster, if it belongs to one."""

    ssh: Ssh
    timeouts: Timeouts
    limits: Limits
    credential: str | None = None
    cluster: str | None = None  # its name


# `dict`: likewise.
class Config(Struct, frozen=True, dict=True):
    """The whole configuration.

    origin   which file was read, as a line for the log
    notices  lines for the log about what is not wrong, but probably not meant
    """

    daemon: Daemon = Daemon()
    access: Access = Access()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    retention: Retention = Retention()
    retry: RetrySettings = RetrySettings()
    ssh: Ssh = Ssh()
    receiver: ReceiverSettings = ReceiverSettings()
    credentials: CredentialSettings = CredentialSettings()
    credential_uses: dict[str, CredentialUse] = {}  # by the names of the credentials
    clusters: dict[str, Cluster] = {}
    profiles: dict[str, Profile] = field(default_factory=BUILT_IN.copy)
    origin: str = ""
    notices: tuple[str, ...] = ()

    @property
    def receiver_is_legacy(self) -> bool:
        """Whether the receiver offers the old algorithms: it does if any cluster needs them.

        The receiver is one for all nodes, and knows only after the key exchange which node came.
        """
        clusters = self.clusters.values()
        return self.ssh.legacy_algorithms or any(one.ssh.legacy_algorithms for one in clusters)

    @cached_property
    def _cluster_of(self) -> dict[tuple[str, int], Cluster]:
        return {
            node_key(*parse_node(member)): cluster
            for cluster in self.clusters.values()
            for member in cluster.members
        }

    def for_node(self, host: str, port: int) -> NodeSettings:
        """The settings of one node: those of its cluster, if it belongs to one."""
        return self._settings(self._cluster_of.get(node_key(host, port)))

    def may_send(self, credential: str, host: str, port: int) -> bool:
        """Whether a named credential may be sent to that node: one that is not tied may."""
        use = self.credential_uses.get(credential)
        return use is None or use.allows(host, port, self.for_node(host, port).cluster)

    def for_job(self, nodes: Sequence[str]) -> NodeSettings:
        """The settings of a job as a whole (`timeouts.job`, `limits.concurrency`).

        They are those of a cluster only if every node belongs to it. `nodes` are names as `expand`
        gives them.
        """
        clusters = {self._name_of_cluster(node) for node in nodes}
        only = clusters.pop() if len(clusters) == 1 else None
        return self._settings(self.clusters[only] if only is not None else None)

    def _name_of_cluster(self, node: str) -> str | None:
        cluster = self._cluster_of.get(node_key(*parse_node(node)))
        return cluster.name if cluster else None

    def _settings(self, cluster: Cluster | None) -> NodeSettings:
        if cluster is None:
            return NodeSettings(self.ssh, self.timeouts, self.limits)
        return NodeSettings(
            cluster.ssh, cluster.timeouts, cluster.limits, cluster.credential, cluster.name
        )

    def expand(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """The nodes of a request: a cluster's name stands for its publisher and nodes.

        The order is kept. A node that is named twice, also in two spellings, is taken once. Raises
        `InvalidValue` with the position of the name that is wrong.
        """
        if not nodes:
            raise InvalidValue("nodes", "is empty; expected a node or a cluster")
        expanded: dict[tuple[str, int], str] = {}
        for parameter, name in self._members_of(nodes):
            try:
                key = node_key(*parse_node(name))
            except InvalidNode as error:
                raise InvalidValue(parameter, found(name, str(error))) from None
            expanded.setdefault(key, name)
        return tuple(expanded.values())

    def _members_of(self, nodes: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(parameter, node) for each name, once for each: repeated names must not cost work."""
        first_of = {name: position for position, name in reversed(list(enumerate(nodes)))}
        for name, position in sorted(first_of.items(), key=itemgetter(1)):
            cluster = self.clusters.get(name)
            for member in cluster.members if cluster else (name,):
                yield f"nodes[{position}]", member

    def profile(self, name: str) -> Profile:
        """Raises `UnknownProfile`."""
        try:
            return self.profiles[name]
        except KeyError:
            raise UnknownProfile(name, sorted(self.profiles)) from None
