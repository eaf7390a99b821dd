"""PURE. Declares what a caller asks to be done: on which nodes, with which login, what, and how.

From these structs `plan/` makes the structs that are stored (work.py), and fills in the fields that
are None.

    requested     stored       what is done
    Files         Collect      files of the paths of a profile, or of the given paths, are collected
    Estimate      DryRun       the nodes are asked how large such a collection would be
    Commands      Run          commands are run, and what they print is kept
    Checks        Check        the daemon checks whether a collection can be expected to work
    Packets       Capture      packets are captured on all nodes at the same time
    Discovery     Discover     a node is asked which nodes its cluster has
    HealthChecks  HealthCheck  the daemon checks whether nodes are well
    Tail          Follow       a file is followed while it grows

These structs travel on the socket as they are, and every caller of the client uses them. Their
docstrings and the comments of their fields are the documentation of the interface.
"""

from msgspec import Struct

from cucmd.job.kind import WorkRequest
from cucmd.job.request import Request

# The locations below which `file get` and `file list` of a node look (V).
LOCATIONS = ("activelog", "inactivelog", "install", "tftp", "salog", "partBsalog")


class Collection(Struct, frozen=True):
    """Says which files to collect: those of a profile, or those of the given paths. If both are
    given, the paths are used instead of the paths of the profile.
    The time window is either last, or since and until.
    """

    profile: str | None = None
    # A path may begin with its location, as after "file get": "activelog/cm/trace" or
    # "activelog /cm/trace". All paths of a job must be below one location. "/install" is a folder
    # of this name, not the location.
    paths: tuple[str, ...] | None = None
    location: str | None = None
    # A pattern for the names of files.
    match: str | None = None
    # Also collects from subfolders.
    recurs: bool | None = None
    # The nodes pack the files before they send them.
    compress: bool | None = None
    # A duration before the request, such as "30m", "2h" or "3d".
    last: str | None = None
    # RFC 3339 times with a zone.
    since: str | None = None
    until: str | None = None


class Login(Struct, frozen=True):
    """Says who to log in as on the nodes: a username with a password, or the name of a credential.
    Without a password and a credential the logins count that KeepLogin has kept for this user, if
    they cover all nodes of the job. Otherwise each node gets the credential of its cluster.
    """

    username: str | None = None
    # The password is never stored and never shown.
    password: str | None = None
    # The name of a credential that the daemon was given.
    credential: str | None = None
    # Only kept logins count, and not the credentials of clusters. The call is refused with
    # InvalidRequest for login if none is kept for any of the nodes, and for login.kept if one is
    # kept for some of them, but not for all.
    kept: bool | None = None

    def __repr__(self) -> str:  # a repr ends up in logs and tracebacks; a password must not
        return f"Login(username={self.username!r}, credential={self.credential!r})"


class Timeouts(Struct, frozen=True, omit_defaults=True):
    """Holds deadlines in seconds. If a deadline is absent, the configuration decides."""

    # Until SSH answers.
    connect: float | None = None
    # From the connection to the first prompt of the node.
    login: float | None = None
    # For the answer to a plain command such as "show status".
    answer: float | None = None
    # For each "file get", and for each of commands.
    command: float | None = None
    # For a transfer in which no byte comes.
    stall: float | None = None
    # For all work on a node.
    node: float | None = None
    # For the whole job.
    job: float | None = None
    # For closing a session cleanly.
    grace: float | None = None


class Files(WorkRequest, frozen=True):
    """Says what to collect. On the socket these fields are members of Start itself, where they are
    documented (work.py).
    """

    collection: Collection
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    written_for: str | None = None
    snapshot: bool | None = None


class Estimate(WorkRequest, frozen=True):
    """Asks the nodes how large the files are that would be collected, and collects nothing. The
    fields only, added_paths and written_for are the same as in Start.
    """

    collection: Collection
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    written_for: str | None = None


class Commands(WorkRequest, frozen=True):
    """Runs up to 20 commands one after the other on each node, and keeps what they print."""

    # Only commands of a fixed list are accepted, and only in their full form, such as
    # "show status". They read and change nothing. An error names the commands that are similar.
    # timeouts.command limits the time of each command; without it each command has its own limit.
    lines: tuple[str, ...]


class Checks(WorkRequest, frozen=True):
    """Checks whether a collection from each node can be expected to work: the daemon connects, logs
    in, and runs "show status", "show version active" and "show network cluster". A node fails for
    the same reasons as in a collection. Its field checked says what was seen until then. Its notes
    name what is not as it should be, but makes no collection fail.
    """

    # Also collects one small file, which proves that the node can reach the receiver.
    receiver: bool | None = None


class Packets(WorkRequest, frozen=True):
    """Captures packets on all nodes at the same time, and collects the files. A node is left out if
    its logging partition is nearly full, since a capture could then cost the node its traces, or if
    it is not ready within 90 s of the first node. More nodes than concurrency are refused; without
    concurrency the limit of the configuration counts.
    """

    interface: str | None = None
    # An IPv4 address: only packets from or to this host are captured.
    host: str | None = None
    port: int | None = None
    # The number of packets after which the capture on a node ends, at most 100000.
    count: int | None = None
    # The bytes that are kept of each packet. Absent: all.
    size: int | None = None
    # The seconds after which the daemon ends the capture, 1 to 1200. Absent: 60.
    duration: float | None = None
    # Removes the files of this job, and nothing else, from a node once they are stored here.
    delete: bool | None = None


class Discovery(WorkRequest, frozen=True):
    """Asks one node which nodes its cluster has. The request names one node, or a cluster of the
    configuration, whose publisher is asked then. The field found of the node has the answer, which
    is also kept as the last discovery of this node.
    """

    one_node = True


class HealthChecks(WorkRequest, frozen=True):
    """Checks whether nodes are well. Each node runs commands that only read, and their output is
    kept. Each check says what is good, what should be looked at, and what is bad. The field health
    of the node has the findings, also if the node has failed. The configuration has the limits.
    """

    # The names of the checks to make. Absent: all.
    only: tuple[str, ...] | None = None


class Tail(WorkRequest, frozen=True):
    """Follows a file below activelog on all nodes while it grows. What the node prints is kept like
    the output of a command, at most 64 MiB of each node. Output with follow gives it as it comes.
    More nodes than concurrency are refused; without concurrency the limit of the configuration
    counts.
    """

    path: str
    # The path is a folder, and its newest file is followed.
    recent: bool | None = None
    # One word: only lines in which it is found are kept.
    regexp: str | None = None
    # The seconds after which the daemon ends this, 1 to 1800. Absent: 1200. Stop ends it earlier.
    duration: float | None = None


class How(Request, frozen=True, kw_only=True):
    """Says how a job is done, whatever it does. On the socket these fields are members of Start
    itself.
    """

    timeouts: Timeouts | None = None
    # The most nodes that are worked on at the same time.
    concurrency: int | None = None
    # 1 to 128 printable ASCII characters by which this call can be traced. The daemon logs them and
    # keeps them with the job. The reply has them, or an id that the daemon made.
    request_id: str | None = None
    # Labels by which the job can be found.
    labels: dict[str, str] | None = None
    # If this user has made a call with the same key before, the reply has the job of that call.
    start_key: str | None = None
    # Tries the login on all nodes, even if two nodes of a cluster have refused it.
    try_all: bool | None = None
    # Those of the names in nodes (clusters, or nodes that were asked) that also stand for the nodes
    # that the last discovery has found.
    discovered: tuple[str, ...] | None = None
    # If the configuration allows a credential for a node, it may also be sent to the nodes that
    # this node has named in a discovery.
    accept_nodes: bool | None = None
    # RFC 3339 with a zone: a start that comes later is refused. A hub of several sites keeps the
    # start for a site that is cut off until then.
    not_after: str | None = None
    # Only for a hub: the name of a target to which the sites upload the files once the job has
    # ended.
    upload: str | None = None
