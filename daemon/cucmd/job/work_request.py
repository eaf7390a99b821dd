"""PURE. Declares how work on nodes is asked for: on which nodes, with which login, what, and how.

Of this `plan/` makes what is stored (`work.py`): paths of a profile, hours of a `last`, lines of
commands. A field that is None is decided there.

    asked        becomes
    Files        Collect    files of the paths of a profile, or of these
    Estimate     DryRun     how much that would be
    Commands     Run        what commands print
    Checks       Check      whether a collection can be expected to work
    Packets      Capture    a capture on all nodes at once
    Discovery    Discover   which nodes the cluster has
    HealthChecks HealthCheck  whether nodes are well
    Tail         Follow     what comes of a file while it grows

These structs travel on the socket as they are, and every caller of the client uses them. Their
docs and the comments of their fields are those of the interface.
"""

from msgspec import Struct

from cucmd.job.kind import WorkRequest
from cucmd.job.request import Request

# Where `file get` and `file list` of a node look (V).
LOCATIONS = ("activelog", "inactivelog", "install", "tftp", "salog", "partBsalog")


class Collection(Struct, frozen=True):
    """What to collect. A profile, or paths; the paths win where both are given.
    The window is either last ("30m", "2h", "3d") or since and until.
    A path may begin with its location, as after "file get": "activelog/cm/trace",
    "activelog /cm/trace". All paths of a job are below one location. "/install" is a folder of that
    name.
    """

    profile: str | None = None
    paths: tuple[str, ...] | None = None
    location: str | None = None
    match: str | None = None
    recurs: bool | None = None
    compress: bool | None = None
    last: str | None = None
    since: str | None = None
    until: str | None = None


class Login(Struct, frozen=True):
    """Who to be on the nodes. The password is never stored and never shown;
    a credential is the name of one that the daemon was given.
    """

    username: str | None = None
    password: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:  # a repr ends up in logs and tracebacks; a password must not
        return f"Login(username={self.username!r}, credential={self.credential!r})"


class Timeouts(Struct, frozen=True, omit_defaults=True):
    """Holds deadlines, in seconds. What is absent is as the configuration says."""

    connect: float | None = None
    login: float | None = None
    # For a plain command such as "show status".
    answer: float | None = None
    command: float | None = None
    stall: float | None = None
    node: float | None = None
    job: float | None = None
    grace: float | None = None


class Files(WorkRequest, frozen=True):
    """Says what to collect, and what of it. On the socket these are members of Start itself.

    only         names of paths of the profile, such as "sdl"; the others are left out
    added_paths  collected beside those of the profile
    written_for  for how long one file of a path is written to, "6h" or "always"; None: as the
                 profile says of each path, else an hour
    snapshot     some commands are run at the end, those of a look at the health where the profile
                 says so; None: as the profile says
    """

    collection: Collection
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    written_for: str | None = None
    snapshot: bool | None = None


class Estimate(WorkRequest, frozen=True):
    """Asks the nodes for the sizes of what would be collected, and collects nothing.
    only, added_paths and written_for are as in Start.
    """

    collection: Collection
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    written_for: str | None = None


class Commands(WorkRequest, frozen=True):
    """Runs commands that only read, one after the other on each node, such as "show status"; up to
    20. timeouts.command is for each of them; else each has its own time. Only whole forms of a
    fixed list are taken, which read and change nothing; an error names those that are near.
    """

    lines: tuple[str, ...]


class Checks(WorkRequest, frozen=True):
    """Looks whether a collection from each node can be expected to work: the daemon connects, logs
    in, and runs "show status", "show version active" and "show network cluster". receiver: one
    small file is got too, which proves that the node reaches the receiver. A node fails as in a
    collection; what it has shown before that is in its field checked, and what is not as it should
    be, and fails no collection, in its notes.
    """

    receiver: bool | None = None


class Packets(WorkRequest, frozen=True):
    """Captures packets on all nodes at the same time; the files are collected. A node whose logging
    partition is nearly full is left out, since a capture there can cost it its traces; so is one
    that is not ready within 90 s of the first. host is an IPv4 address. count: packets of a node
    after which its capture ends, at most 100000. size: bytes that are kept of a packet; absent:
    all. duration: seconds after which the daemon ends it, 1 to 1200, 60 if it is absent. More nodes
    than concurrency, or the limit of the configuration without it, are refused. delete: the files
    of this job are removed from a node once they are safe here, and nothing else.
    """

    interface: str | None = None
    host: str | None = None
    port: int | None = None
    count: int | None = None
    size: int | None = None
    duration: float | None = None
    delete: bool | None = None


class Discovery(WorkRequest, frozen=True):
    """Asks one node which nodes its cluster has: of nodes there is one, or a cluster of the
    configuration, which means its publisher. What was found is in the node of the job, and is kept
    as the last of that node.
    """

    one_node = True


class HealthChecks(WorkRequest, frozen=True):
    """Looks whether nodes are well: each runs commands that only read, whose output is kept, and
    each check says what is good, to be looked at, or bad. only has the names of checks; the others
    are left out. What was found is in the node's field health, also where the node has failed. The
    limits are those of the configuration.
    """

    only: tuple[str, ...] | None = None


class Tail(WorkRequest, frozen=True):
    """Follows a file below activelog, on all nodes, while it grows; what is printed of it is kept
    as the output of a command is, and Output with follow has it as it comes. recent: path is a
    folder, and its newest file is meant. regexp: only lines in which it is found; one word.
    duration: seconds after which the daemon ends it, 1 to 1800, 1200 if it is absent; Stop ends it
    before. Of a node 64 MiB are kept at most. More nodes than concurrency, or the limit of the
    configuration without it, are refused.
    """

    path: str
    recent: bool | None = None
    regexp: str | None = None
    duration: float | None = None


class How(Request, frozen=True, kw_only=True):
    """Says how a job is done, whatever it does. On the socket these are members of Start itself."""

    timeouts: Timeouts | None = None
    # On how many nodes at once.
    concurrency: int | None = None
    # A text for tracing, 1 to 128 printable ASCII characters; the daemon logs it, and keeps it with
    # the job. The reply has it, or one that the daemon made.
    request_id: str | None = None
    # To find the job by.
    labels: dict[str, str] | None = None
    # A call with the key of an earlier one of this user gives the job that was started then.
    start_key: str | None = None
    # A login that two nodes of a cluster have refused is tried on its others too.
    try_all: bool | None = None
    # Those of nodes, clusters or nodes that were asked, that stand for what the last discovery has
    # found too.
    discovered: tuple[str, ...] | None = None
    # A tied credential may be sent to what a node has named to which it may be sent.
    accept_nodes: bool | None = None
