"""PURE. Lists the kinds of work: what is requested, what is stored, and what is returned.

A further kind of work is a file in this folder and three lines here: a member of `StartRequest`, a
member of `Work`, and a member of `NodeResults` if the work returns something.
"""

from typing import TypeAlias, TypeVar, get_args

from msgspec import Struct
from msgspec.structs import asdict

from cucmd.job.capture import Capture, Captured
from cucmd.job.check import Check, Checked
from cucmd.job.collect import Collect, DryRun, Sizes
from cucmd.job.coverage import Gap, LogCoverage
from cucmd.job.discover import Discover, Found
from cucmd.job.follow import Follow
from cucmd.job.health import Health, HealthCheck
from cucmd.job.kind import Kind, Result, WorkRequest
from cucmd.job.run import Run
from cucmd.job.work_request import (
    Checks,
    Collection,
    Commands,
    Discovery,
    Estimate,
    Files,
    HealthChecks,
    How,
    Login,
    Packets,
    Tail,
)

# What a job does on each of its nodes, as it is planned and stored. The tags tell the structs
# apart, and are the names of the kinds. Databases contain these structs: a tag is never renamed,
# and a field that is added later has a default. The interface has their types in this order.
Work: TypeAlias = Discover | Collect | DryRun | Run | Check | Capture | HealthCheck | Follow
KINDS: tuple[type[Kind], ...] = get_args(Work)


def kind_of(work: Kind | type[Kind]) -> str:
    """Returns the name of the kind of work, which is its tag."""
    return str(work.__struct_config__.tag)


class StartRequest(How, frozen=True):
    """Start a job. The reply comes once the job is durable, and its nodes go on after that.
    What the job does on its nodes is either the collection, or one of the members from commands on.
    The members only, added_paths, written_for and snapshot belong to a collection.
    After a restart of the daemon commands, captures and jobs that follow a file do not go on: their
    unfinished nodes end as interrupted.
    """

    # A node is a host, or host:port. The name of a cluster of the configuration stands for its
    # nodes, and NAME:publisher, NAME:subscribers and NAME:cups for some of them.
    nodes: tuple[str, ...]
    login: Login
    collection: Collection | None = None
    # Names of paths of the profile; other paths are left out. "sdl" and "ccm/sdl" are names of
    # "cm/trace/ccm/sdl".
    only: tuple[str, ...] | None = None
    # Paths that are collected in addition to those of the profile, or of the collection.
    added_paths: tuple[str, ...] | None = None
    # For how long a node writes to one file of a path: "1h" or "2d", or "always". A node chooses
    # files by their last change. So it is asked for the files that were changed until so long after
    # the end of the window, with "always" until now, and some files that are newer than the window
    # come too. Without this the profile decides for its paths, and other paths have "1h".
    written_for: str | None = None
    # Runs "show status", "show version active", "utils service list" and "utils core active list"
    # on a node after its last path, and keeps their output. If the profile says so, the health of
    # the node is checked instead, and is in its field health. If this fails, the collection does
    # not fail. Without this the profile decides.
    snapshot: bool | None = None
    commands: Commands | None = None
    check: Checks | None = None
    capture: Packets | None = None
    # Asks a node which nodes its cluster has. An empty object. nodes has one node, or a cluster,
    # whose publisher is asked then. The answer is kept as the last discovery of this node.
    discovery: Discovery | None = None
    dry_run: Estimate | None = None
    health: HealthChecks | None = None
    follow: Tail | None = None

    def work(self) -> tuple[str, WorkRequest]:
        """Returns the member that says what to do, and its value.

        Raises `ValueError` unless there is exactly one such member, and if there are members of a
        collection without a collection. The arguments of the error are the member and the reason.
        """
        found: list[tuple[str, WorkRequest]] = []
        parts = self.only, self.added_paths, self.written_for, self.snapshot
        if self.collection is not None:
            found.append(("collection", Files(self.collection, *parts)))
        elif any(part is not None for part in parts):
            names = "only, added_paths, written_for and snapshot"
            raise ValueError("collection", f"is missing; {names} need a collection")
        others = ((name, getattr(self, name)) for name in REQUEST_MEMBERS.values())
        found += [(name, work) for name, work in others if work is not None]
        if len(found) != 1:
            names = ", ".join(("collection", *REQUEST_MEMBERS.values()))
            where = found[1][0] if found else "collection"
            raise ValueError(where, f"{len(found)} of {names} are set; expected one")
        return found[0]


def make_start_request(
    nodes: tuple[str, ...], login: Login, work: WorkRequest, how: How
) -> StartRequest:
    """Makes a request from the work to do. This is the inverse of `StartRequest.work`."""
    what = asdict(work) if isinstance(work, Files) else {REQUEST_MEMBERS[type(work)]: work}
    return StartRequest(nodes, login, **what, **asdict(how))


class NodeResults(Struct, frozen=True, kw_only=True):
    """Holds what kinds of work return for a node, as members of `Node` on the socket."""

    # The answer of a discovery.
    found: Found | None = None
    # The sizes that a dry run has found.
    sizes: Sizes | None = None
    # The result of a check, also if the check failed.
    checked: Checked | None = None
    # The result of a health check, also if the check failed or was the snapshot of a collection.
    health: Health | None = None
    # The state of a packet capture, once it has begun.
    capture: Captured | None = None
    # In a job that captures packets: the names of captures that were given up and may still run on
    # the node, including those of earlier tries. Each writes into platform/cli/NAME.cap. The
    # failure of a failed node says so too, and the notes of a node that has succeeded.
    may_run: tuple[str, ...] | None = None
    # The first 20 parts of the window that a collection certainly lacks. Absent if nothing is
    # missing, and until the coverage is known.
    gaps: tuple[Gap, ...] | None = None
    # What each log covers of the window, by name, at most 60 logs with 150 spans. If the node has
    # more, logs that cover the whole window are left out first, and the shortest gaps. Absent until
    # the coverage is known.
    logs: tuple[LogCoverage, ...] | None = None


T = TypeVar("T", bound=Struct)


def _members(struct: type[Struct], base: type[T]) -> dict[type[T], str]:
    """Returns struct -> the name of the member of `struct` that holds it, for the structs that have
    this base.
    """
    return {
        kind: name
        for name, hint in struct.__annotations__.items()
        for kind in get_args(hint)
        if isinstance(kind, type) and issubclass(kind, base)
    }


# The member of a start request for each kind of work. `Files` is missing: its fields are members of
# the request themselves.
REQUEST_MEMBERS = _members(StartRequest, WorkRequest)
# The member of a node on the socket for the result of each kind of work.
RESULT_MEMBERS = _members(NodeResults, Result)
