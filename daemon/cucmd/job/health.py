"""PURE. Declares the health check of nodes: its request, its checks, and their findings.

A check has a name and the commands that it reads. What a check has found is *good*, *look* (a
person should look at it), *bad*, or *unread*: the node refused the command, or its answer cannot be
read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from cucmd.job.kind import Kind, Result

GOOD, LOOK, BAD, UNREAD = "good", "look", "bad", "unread"

# Check -> the commands that it reads, in the order in which they are run and shown. A check judges
# the answer to its last command. The other answers say whether the check applies to the node, and
# which answer is good.
CHECKS: dict[str, tuple[str, ...]] = {
    "version": ("show version active",),
    "cluster": ("show network cluster",),
    "clock": ("show status",),
    "disk": ("show status",),
    "services": ("utils service list",),
    "ntp": ("show network cluster", "utils ntp status"),
    "replication": ("show network cluster", "utils dbreplication runtimestate"),
    "certificates": ("show cert list own",),
    "backup": ("show network cluster", "utils disaster_recovery history backup"),
    "cores": ("utils core active list",),
    "processor": ("show process using-most cpu",),
    "availability": ("show network cluster", "utils ha status"),
}
# Check -> the products to which it applies, in the words of the table of a cluster. With None the
# check is also made on a node whose table names no product.
ONLY_OF = {"replication": (None, "callmanager", "cups", "cuc"), "availability": ("cups",)}
# The checks that are only made on a publisher, because only a publisher knows the answer.
OF_PUBLISHER = frozenset({"backup"})


class Thresholds(Struct, frozen=True):
    """Holds the limits of `[health]` of the configuration. What exceeds a limit is not good."""

    # The stratum of the server whose time a node follows. The limit for a subscriber is one higher.
    stratum: int = 4
    # The greatest accepted error of a clock, or difference between two clocks of a cluster.
    clock_seconds: int = 120
    logging_percent: int = 90  # the used part of the logging partition
    certificate_days: int = 30  # the least remaining validity of a certificate
    backup_days: int = 7  # the greatest age of the last backup
    core_days: int = 7  # the least age of a core file
    processor_percent: int = 90  # of one processor, by a single process; 100 is the whole processor


class Finding(Struct, frozen=True, omit_defaults=True):
    """Says what one check has found on a node."""

    check: str
    # "good", "look" (somebody should look at it), "bad", or "unread".
    state: str
    # What was found, with the figure.
    says: str
    # What to do.
    hint: str | None = None
    # The number that was judged, for a curve over several jobs: the used percent of the logging
    # partition, the percent of one processor that the busiest process uses, the state of the
    # replication with a server (2 is good), the days that a certificate is still valid (negative:
    # since it ended), the days since the last backup, or the stratum of the server of the time.
    figure: float | None = None
    # What figure counts: "%" or "days". Absent for a state and for a stratum.
    unit: str | None = None

    @property
    def line(self) -> str:
        return f"{self.state}: {self.check}: {self.says}"


class Health(Result, frozen=True, omit_defaults=True):
    """Says what the checks have found on a node."""

    # In the order of the checks. Checks that were not reached are missing.
    findings: tuple[Finding, ...] = ()
    product: str | None = None
    version: str | None = None
    # Seconds by which the clock of the node is ahead of ours. Negative: behind.
    clock_ahead: float | None = None
    # The greatest accepted error of a clock, or difference between two clocks, in seconds.
    clock_within: int | None = None
    # The node's own role and address in the table of its cluster.
    role: str | None = None
    address: str | None = None
    # The addresses of the nodes in that table, the publisher first.
    named: tuple[str, ...] | None = None

    def summary_lines(self) -> Iterator[str]:
        for finding in self.findings:
            yield finding.line


class HealthCheck(Kind, frozen=True, tag="health"):
    """Runs commands that only read, and keeps and judges their output.

    only  the checks to make; empty for all checks that apply to the node
    """

    title = "Health looked at"
    result_type = Health

    only: tuple[str, ...] = ()
    thresholds: Thresholds = Thresholds()

    @property
    def checks(self) -> tuple[str, ...]:
        return self.only or tuple(CHECKS)

    @property
    def commands_kept(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line for name in self.checks for line in CHECKS[name]))

    def compare_nodes(self, results: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
        yield from ((name, finding.line) for name, finding in compare_nodes(results))

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        yield "Checks", ", ".join(self.checks)


def compare_nodes(nodes: Sequence[tuple[str, Health | None]]) -> Iterator[tuple[str, Finding]]:
    """Yields (node, finding) for findings that only a comparison of the nodes of one job shows.

    Makes findings only for checks that the job has made, although the commands of these checks may
    tell more.

    nodes  name and health of each node, or None if nothing is known of the node
    """
    asked = {_address_in_table(name, health) for name, health in nodes}
    listed = {address for _, health in nodes if health for address in health.named or ()}
    # A node that is in no table (it was named by host name, or is behind NAT) may be any node of a
    # table. In that case nobody can say which nodes of a table were not asked.
    all_listed = asked <= listed
    made = {finding.check for _, health in nodes if health for finding in health.findings}
    for cluster in _group_by_cluster(nodes):
        if "version" in made:
            yield from _compare_versions(cluster)
        if "clock" in made:
            yield from _compare_clocks(cluster)
        if "cluster" in made and all_listed:
            yield from _find_not_asked(cluster, asked)


_ClusterHealth = list[tuple[str, Health]]


def _address_in_table(name: str, health: Health | None) -> str:
    """Returns the address of a node in the table of its cluster, or the host of the node's name if
    it is not known which row of the table is the node's own.
    """
    if health is not None and health.address is not None:
        return health.address
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name if name.count(":") > 1 else name.partition(":")[0]


def _group_by_cluster(nodes: Sequence[tuple[str, Health | None]]) -> Iterable[_ClusterHealth]:
    """Groups the nodes whose tables have the same publisher. Leaves out nodes without a table."""
    found: dict[str, _ClusterHealth] = {}
    for name, health in nodes:
        if health is not None and health.named:
            found.setdefault(health.named[0], []).append((name, health))
    return found.values()


def _find_not_asked(cluster: _ClusterHealth, asked: set[str]) -> Iterator[tuple[str, Finding]]:
    name, health = max(cluster, key=lambda node: len(node[1].named or ()))
    if others := [address for address in health.named or () if address not in asked]:
        more = f" and {len(others) - 3} more" if len(others) > 4 else ""
        shown = others if not more else others[:3]
        says = f"{', '.join(shown)}{more}: of its cluster, and not asked"
        yield name, Finding("cluster", LOOK, says, "give them too, or the name of the cluster")


def _compare_versions(cluster: _ClusterHealth) -> Iterator[tuple[str, Finding]]:
    """Compares the versions of the nodes of each product, since a presence server has a version of
    its own. The cluster table of an old release names no products. All nodes of that table are then
    compared with each other.
    """
    by_product: dict[str | None, dict[str, list[str]]] = {}
    for name, health in cluster:
        if health.version and (health.product or health.address):
            versions = by_product.setdefault(health.product, {})
            versions.setdefault(health.version, []).append(name)
    for versions in by_product.values():
        usual = max(versions, key=lambda version: len(versions[version]))
        for version, names in versions.items():
            for name in names if version != usual else ():
                says = f"{version}, and others of its cluster {usual}"
                hint = "finish the upgrade, or switch the version: utils system upgrade status"
                yield name, Finding("version", BAD, says, hint)


def may_be_daylight_saving(seconds: float, within: int) -> bool:
    """Says whether a clock that seems to be off by these seconds may be right.

    The rules for daylight saving time of a node are as old as its release, and ours are newer. So
    an hour of difference, give or take `within` seconds, need not be an error.
    """
    return abs(abs(seconds) - 3600) <= within


def _compare_clocks(cluster: _ClusterHealth) -> Iterator[tuple[str, Finding]]:
    ahead = sorted(
        (health.clock_ahead, name) for name, health in cluster if health.clock_ahead is not None
    )
    within = next((health.clock_within for _, health in cluster if health.clock_within), 120)
    if ahead and (apart := ahead[-1][0] - ahead[0][0]) > within:
        says = f"its clock is {apart:,.0f} s ahead of that of {ahead[0][1]}"
        hint = "see which server each follows: utils ntp status"
        state = LOOK if may_be_daylight_saving(apart, within) else BAD
        yield ahead[-1][1], Finding("clock", state, says, hint)
