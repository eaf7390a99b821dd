"""PURE. Lists the kinds of work, each once: what is asked, what is planned and stored, what is
given.

Another kind of work is a file in this folder, and here three lines: a member of `StartRequest`, one
of `Work`, and one of `NodeResults` if it gives something. The rest is found by these.
"""

from typing import TypeAlias, TypeVar, get_args

from msgspec import Struct
from msgspec.structs import asdict

from cucmd.job.capture import Capture, Captured
from cucmd.job.check import Check, Checked
from cucmd.job.collect import Collect, DryRun, Sizes
from cucmd.job.coverage import Extent, Gap
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

# What a job does on each of its nodes, as it is planned and stored. The structs are told apart by
# their tags, which are the names of the kinds. They are in databases: a tag is never renamed, and a
# field that comes later has a default. In this order their types stand in the interface.
Work: TypeAlias = Discover | Collect | DryRun | Run | Check | Capture | HealthCheck | Follow
KINDS: tuple[type[Kind], ...] = get_args(Work)


def kind_of(work: Kind | type[Kind]) -> str:
    """Returns the name of the kind: its tag."""
    return str(work.__struct_config__.tag)


class StartRequest(How, frozen=True):
    """Start a job. The reply comes once the job is durable; its nodes run on.
    A node is a host, or host:port. The name of a cluster of the configuration stands for its nodes,
    NAME:publisher, NAME:subscribers and NAME:cups for some of them.
    discovered are those of these names, of clusters or of nodes that were asked, that stand for the
    nodes of the last discovery too. A credential that is tied is sent to such nodes only with
    accept_nodes, and only if it may be sent to the node that has named them.
    What it does on the nodes is collection, or one of the members from commands on.
    After a restart of the daemon commands, captures and what followed a file end as interrupted
    where they were not done.
    The following four are of a collection alone. only has names of paths of the profile; the others
    are left out: "sdl" and "ccm/sdl" are names of "cm/trace/ccm/sdl". added_paths are collected
    too, beside those of the profile or the paths.
    written_for is for how long one file of a path is written to, "1h" or "2d", or "always". A node
    chooses files by their last change, so it is asked for those that have changed so long after the
    end of the window, "always": up to the present. Some that are newer than the window come too.
    Without it paths of the profile have what that says of each, and others "1h".
    With snapshot "show status", "show version active", "utils service list" and "utils core active
    list" are run on a node after its last path, and kept as commands are; if that fails, nothing
    else does. If the profile says so, its health is looked at instead, and is in its field health.
    Without the field it is as the profile says.
    With a start_key that this user has used before, the reply has the job that it made then; with
    other parameters it is refused.
    """

    nodes: tuple[str, ...]
    login: Login
    collection: Collection | None = None
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    written_for: str | None = None
    snapshot: bool | None = None
    commands: Commands | None = None
    check: Checks | None = None
    capture: Packets | None = None
    # Which nodes the cluster has, as one node says: of nodes there is one, or a cluster, which
    # means its publisher. An empty object. What was found is kept as the last of that node.
    discovery: Discovery | None = None
    dry_run: Estimate | None = None
    health: HealthChecks | None = None
    follow: Tail | None = None

    def work(self) -> tuple[str, WorkRequest]:
        """Finds what is asked, and the member that has it.

        Raises `ValueError` unless that is one, or for a part of a collection without that: its
        arguments are the member and the reason.
        """
        found: list[tuple[str, WorkRequest]] = []
        parts = self.only, self.added_paths, self.written_for, self.snapshot
        if self.collection is not None:
            found.append(("collection", Files(self.collection, *parts)))
        elif any(part is not None for part in parts):
            names = "only, added_paths, written_for and snapshot"
            raise ValueError("collection", f"is missing; {names} are of a collection")
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
    """Makes the request to do that work: the inverse of `StartRequest.work`."""
    what = asdict(work) if isinstance(work, Files) else {REQUEST_MEMBERS[type(work)]: work}
    return StartRequest(nodes, login, **what, **asdict(how))


class NodeResults(Struct, frozen=True, kw_only=True):
    """Holds what kinds of work give for a node, by the members of the socket's `Node`."""

    # Of a discovery.
    found: Found | None = None
    # Of a dry run.
    sizes: Sizes | None = None
    # Of a check, also of one that failed.
    checked: Checked | None = None
    # Of a look at its health, also of one that failed, or that was a snapshot of a collection.
    health: Health | None = None
    # Of a packet capture, once it has begun.
    capture: Captured | None = None
    # In a job that captures: the names of captures that may still run there though they were given
    # up, also of tries before. Each writes into platform/cli/NAME.cap. If the node has failed, its
    # failure says so too; if it has succeeded, its notes.
    may_run: tuple[str, ...] | None = None
    # Of a collection, with its coverage: what is not there for certain, the first 20. Absent:
    # nothing.
    gaps: tuple[Gap, ...] | None = None
    # Of a collection, with its coverage: the same as that says of times, as fields. Absent: it is
    # not known what its files cover.
    extent: Extent | None = None


T = TypeVar("T", bound=Struct)


def _members(struct: type[Struct], base: type[T]) -> dict[type[T], str]:
    """Returns the members of `struct` that hold a struct of that base, by the struct."""
    return {
        kind: name
        for name, hint in struct.__annotations__.items()
        for kind in get_args(hint)
        if isinstance(kind, type) and issubclass(kind, base)
    }


# The member of a start for each kind of work but files, whose fields are members themselves.
REQUEST_MEMBERS = _members(StartRequest, WorkRequest)
# The member of a node for what a kind gives.
RESULT_MEMBERS = _members(NodeResults, Result)
