"""PURE. Declares the health of nodes: what is asked for, what is looked at, and what was found.

A check has a name and the commands that it reads. What one found is *good*, *look* (at it), *bad*,
or *unread*: the node said nothing that can be read, or refused the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from cucmd.job.kind import Kind, Result

GOOD, LOOK, BAD, UNREAD = "good", "look", "bad", "unread"

# Check -> the commands that it reads, in the order in which they are run and shown. It judges the
# last one; what is before that says whether the node has the check, and what is asked of it.
CHECKS: dict[str, tuple[str, ...]] = {
    "version": ("show version active",),
    "cluster": ("show network cluster",),
    "clock": ("show status",),
    "disk": ("show status",),
    "services": ("utils service list",),
    "ntp": ("show network cluster", "utils ntp status"),
    "replication": (
        "show network cluster",
        "utils dbreplication runtimestate",
    ),
    "certificates": ("show cert list own",),
    "backup": (
        "show network cluster",
        "utils disaster_recovery history backup",
    ),
    "cores": ("utils core active list",),
    "processor": ("show process using-most cpu",),
    "availability": ("show network cluster", "utils ha status"),
}
# Words of a node for its product in the table of its cluster, of which only these have the check.
# None: where it says none, it is asked.
ONLY_OF = {"replication": (None, "callmanager", "cups", "cuc"), "availability": ("cups",)}
# Only the publisher knows.
OF_PUBLISHER = frozenset({"backup"})


class Thresholds(Struct, frozen=True):
    """Beyond these something is not good. They are `[health]` of the configuration."""

    stratum: int = 4  # of the server whose time a node follows; one more of a subscriber
    clock_seconds: int = 120  # by which a clock is off, or two of one cluster are apart
    logging_percent: int = 90  # of the logging partition that is used
    certificate_days: int = 30  # until a certificate ends
    backup_days: int = 7  # since the last backup
    core_days: int = 7  # since a process has left a core file
    processor_percent: int = 90  # of one processor, that one process uses


class Finding(Struct, frozen=True, omit_defaults=True):
    """Says what one check has found on a node. state is good, look (at it), bad, or unread; says
    has the figure, hint what to do.
    """

    check: str
    state: str
    says: str
    hint: str | None = None

    @property
    def line(self) -> str:
        return f"{self.state}: {self.check}: {self.says}"


class Health(Result, frozen=True, omit_defaults=True):
    """Says what was found on a node, in the order of the checks; those that were not reached are
    missing. clock_ahead is in seconds; negative: behind. clock_within is how many it may be off, or
    apart from others. named has the addresses of the nodes of its cluster, as it says itself, the
    publisher first; role and address are its own in that table.
    """

    findings: tuple[Finding, ...] = ()
    product: str | None = None
    version: str | None = None
    clock_ahead: float | None = None
    clock_within: int | None = None
    role: str | None = None
    address: str | None = None
    named: tuple[str, ...] | None = None

    def summary_lines(self) -> Iterator[str]:
        for one in self.findings:
            yield one.line


class HealthCheck(Kind, frozen=True, tag="health"):
    """Runs commands that only read, keeps what they print, and judges it.

    only: the checks; none: all that the node's product has.
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
    """Yields what only shows between nodes of one job, each with the node that it is about. Only of
    checks that were made: more is known, since one command is read by several.

    nodes: name and health of each; None: nothing is known of it.
    """
    asked = {_address(name, health) for name, health in nodes}
    listed = {address for _, health in nodes if health for address in health.named or ()}
    # One that is in no table, by a host name or behind NAT, may be any node of a table.
    sure = asked <= listed
    made = {one.check for _, health in nodes if health for one in health.findings}
    for cluster in _clusters(nodes):
        if "version" in made:
            yield from _versions(cluster)
        if "clock" in made:
            yield from _clocks(cluster)
        if "cluster" in made and sure:
            yield from _not_asked(cluster, asked)


_ClusterHealth = list[tuple[str, Health]]


def _address(name: str, health: Health | None) -> str:
    """Returns the address as a table has it. Of a node that has not said which it is, that of its
    name; or the name.
    """
    if health is not None and health.address is not None:
        return health.address
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name if name.count(":") > 1 else name.partition(":")[0]


def _clusters(nodes: Sequence[tuple[str, Health | None]]) -> Iterable[_ClusterHealth]:
    """Groups the nodes whose tables have the same publisher; one without a table is in none."""
    found: dict[str, _ClusterHealth] = {}
    for name, health in nodes:
        if health is not None and health.named:
            found.setdefault(health.named[0], []).append((name, health))
    return found.values()


def _not_asked(cluster: _ClusterHealth, asked: set[str]) -> Iterator[tuple[str, Finding]]:
    name, health = max(cluster, key=lambda one: len(one[1].named or ()))
    if others := [address for address in health.named or () if address not in asked]:
        more = f" and {len(others) - 3} more" if len(others) > 4 else ""
        shown = others if not more else others[:3]
        says = f"{', '.join(shown)}{more}: of its cluster, and not asked"
        yield name, Finding("cluster", LOOK, says, "give them too, or the name of the cluster")


def _versions(cluster: _ClusterHealth) -> Iterator[tuple[str, Finding]]:
    """Compares versions, of each product apart: a server for presence has a version of its own. In
    the table of an old release no node has a product.
    """
    by_product: dict[str | None, dict[str, list[str]]] = {}
    for name, health in cluster:
        if health.version and (health.product or health.address):
            of = by_product.setdefault(health.product, {})
            of.setdefault(health.version, []).append(name)
    for versions in by_product.values():
        usual = max(versions, key=lambda version: len(versions[version]))
        for version, names in versions.items():
            for name in names if version != usual else ():
                says = f"{version}, and others of its cluster {usual}"
                hint = "finish the upgrade, or switch the version: utils system upgrade status"
                yield name, Finding("version", BAD, says, hint)


def may_be_daylight_saving(seconds: float, within: int) -> bool:
    """Says whether a clock that is off by this may be right: the node's rules of daylight saving
    are as old as its release, and ours are not.
    """
    return abs(abs(seconds) - 3600) <= within


def _clocks(cluster: _ClusterHealth) -> Iterator[tuple[str, Finding]]:
    ahead = sorted(
        (health.clock_ahead, name) for name, health in cluster if health.clock_ahead is not None
    )
    within = next((health.clock_within for _, health in cluster if health.clock_within), 120)
    if ahead and (apart := ahead[-1][0] - ahead[0][0]) > within:
        says = f"its clock is {apart:,.0f} s ahead of that of {ahead[0][1]}"
        hint = "see which server each follows: utils ntp status"
        state = LOOK if may_be_daylight_saving(apart, within) else BAD
        yield ahead[-1][1], Finding("clock", state, says, hint)
