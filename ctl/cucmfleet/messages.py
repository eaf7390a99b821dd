"""PURE. Declares what hub and agents write into NATS, and under which subjects.

    stream         subject                             content       written by
    CMD_SITE       cmd.SITE.OPERATION                  `Command`     the hub
    EV             ev.SITE.OPERATION                   `Command`     the hub
    EV             ev.SITE.ended                       `Ended`       the hub
    KV_jobs        $KV.jobs.JOB                        `Asked`       the hub
    KV_state_SITE  $KV.state_SITE.job.JOB              `PartState`   the agent of the site
    KV_state_SITE  $KV.state_SITE.node.JOB.POSITION    `NodeState`   the agent of the site
    KV_state_SITE  $KV.state_SITE.site                 `SiteState`   the agent of the site

JOB is the id of a job at the hub. The part of such a job at one site is a job of the daemon there,
with an id of its own. KV_jobs and KV_state_SITE are buckets: a subject keeps its last message only.
Each site has a bucket of its own, because NATS puts the messages of a stream on the disk one after
the other: otherwise one site could hold up the states of all, and fill the disk.

CMD_SITE is a work queue with a durable consumer, which the hub creates. A command can come twice,
and can overtake another. With one queue for all, a site could acknowledge the commands of others:
NATS 2.10 deletes any message of the stream that a consumer acknowledges. The metadata of CMD_SITE
have the key of the site, so that the hub leaves nothing of a key that was replaced.

EV says for 90 days who has asked what, and how it ended.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from cucmd.job.failure import Failure
from cucmd.job.status import JobStatus
from cucmd.job.work import NodeResults, StartRequest
from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Job, Node, RetryRequest
from cucmd.protocol.knowledge import Cluster
from cucmd.protocol.requests import CancelRequest
from cucmd.store import StartKey

EVENTS, JOBS = "EV", "KV_jobs"
# Where a site finds the API of JetStream. nats-server itself answers under $JS.API to each account
# without JetStream.
SITE_API = "JS.API"
# The label, at the site, of the daemon's job. Its value is the id of the job at the hub.
LABEL = "hub"
# The labels, at the site, with the target to which the job is uploaded, and with how far the upload
# is. The hub shows them.
UPLOAD, UPLOAD_STATE, UPLOAD_SHA256 = "upload", "upload-state", "upload-sha256"
JOB_ID = re.compile(r"[0-9a-f]{12}")
# Seconds between two states of a site, and after how many seconds it counts as cut off.
HEARTBEAT = 10.0
CUT_OFF = 30.0
# How long a job stays at the hub after it was asked for, if it has ended.
KEEP = timedelta(days=90)
# Bytes of a message. NATS takes a megabyte, with headers.
LARGEST = 1_000_000
UNFINISHED = ("queued", "running")
# A hostile site could send nodes without end; a job of the daemon has at most so many.
_MOST_NODES = 1000
# Bytes of a state. A thousand of them fit into a reply, which may have 64 MB.
LARGEST_STATE = 60_000
_TEXT = 200  # characters of a text in EV

_DAY = 24 * 3600 * 10**9
# A subject that was not written for so long belongs to a job that the hub has forgotten.
_BUCKET = {"max_msgs_per_subject": 1, "max_age": KEEP.days * _DAY, "allow_direct": True}
# The configuration of the streams of the hub.
STREAMS: dict[str, dict[str, Any]] = {
    EVENTS: {
        "subjects": ["ev.*.*"],
        "max_msgs_per_subject": 30_000,
        "max_age": 90 * _DAY,
        # NATS has the ids of these messages in memory. A hostile site can let its jobs end again
        # and again.
        "duplicate_window": _DAY // 24,
    },
    JOBS: _BUCKET | {"subjects": ["$KV.jobs.>"]},
}


def states_of(site: str) -> tuple[str, dict[str, Any]]:
    """Returns the name and the configuration of the stream with the states of a site."""
    limits = {
        # Enough for 20,000 jobs of one node; then the oldest states go. NATS sets the space aside.
        "max_bytes": 2**26,
        # With headers. NATS would fill its memory with what a site asks for again and again.
        "max_msg_size": 2**16,
        # Otherwise NATS would keep for two minutes each id that a hostile site gives a message.
        "duplicate_window": 10**8,
    }
    return f"KV_state_{site}", _BUCKET | limits | {"subjects": [f"$KV.state_{site}.>"]}


def commands_of(site: str) -> tuple[str, dict[str, Any]]:
    """Returns the name and the configuration of the stream with the commands of a site."""
    limits = {
        # A site that is cut off for long gets no more than this of one kind of command.
        "max_msgs_per_subject": 1000,
        "discard": "new",
        "discard_new_per_subject": True,
        "duplicate_window": _DAY,
    }
    return f"CMD_{site}", limits | {"subjects": [f"cmd.{site}.*"], "retention": "workqueue"}


# The name and the configuration of the consumer of these commands.
AGENT = "agent"
CONSUMER = {
    "durable_name": AGENT,
    "ack_policy": "explicit",
    "ack_wait": 30 * 10**9,
    # Commands that cannot be carried out yet do not hold up those behind them.
    "max_ack_pending": 3000,
}


class Command(Struct, frozen=True, omit_defaults=True):
    """Holds one command for a site. One of start, retry and cancel is set.

    number   grows with each command for the same job and site: microseconds since 1970
    site     the site that must carry it out
    speaker  who has asked for it, as the site is told
    """

    number: int
    site: str
    job_id: str
    speaker: str
    start: StartRequest | None = None
    retry: RetryRequest | None = None
    cancel: CancelRequest | None = None

    @property
    def operation(self) -> str:
        return next(name for name in ("start", "retry", "cancel") if getattr(self, name))

    @property
    def message_id(self) -> str:
        return f"{self.job_id}.{self.site}.{self.number}"


class PartState(Struct, frozen=True, omit_defaults=True, tag="part"):
    """Holds the state of a job at one site.

    done          the number of the last command that was carried out or refused
    job           the job of the daemon, without its nodes; None if it was not started
    nodes         the number of its nodes
    failure       why the last command was refused. Without it and without a job, the job was
                  cancelled before its start
    """

    site: str
    job_id: str
    done: Annotated[int, Meta(ge=0)] = 0
    job: Job | None = None
    nodes: int = 0
    failure: Failure | None = None

    @property
    def subject(self) -> str:
        return f"$KV.state_{self.site}.job.{self.job_id}"

    @property
    def order(self) -> tuple[int, ...]:
        """Returns what is smaller for older states of the same subject."""
        return -1 if self.job is None else self.job.revision, self.done

    @property
    def end(self) -> tuple[JobStatus, int] | None:
        """Returns how the job has ended, and a number that differs for each end: that of the retry,
        or, if no job was started, that of the last command. Returns None if the job goes on.
        """
        if self.job is None:
            return "failed" if self.failure else "cancelled", self.done
        return None if self.job.status in UNFINISHED else (self.job.status, self.job.retries)


class Ended(Struct, frozen=True):
    """Says how a job has ended at a site, whose daemon knows it as `local_id`."""

    site: str
    job_id: str
    local_id: str | None
    status: JobStatus
    why: str | None

    @classmethod
    def of(cls, state: PartState, status: JobStatus) -> Ended:
        local_id = state.job.job_id[:_TEXT] if state.job else None
        why = state.failure.message[:_TEXT] if state.failure else None
        return cls(state.site, state.job_id, local_id, status, why)


class NodeState(Struct, frozen=True, tag="node"):
    """Holds the state of a node. `revision` is that of the job, whose state is written after it."""

    site: str
    job_id: str
    position: Annotated[int, Meta(ge=0, lt=_MOST_NODES)]
    revision: int
    node: Node

    @property
    def subject(self) -> str:
        return f"$KV.state_{self.site}.node.{self.job_id}.{self.position}"

    @property
    def order(self) -> tuple[int, ...]:
        return (self.revision,)


class Part(Struct):
    """Holds what the hub knows of a job at one site.

    commands  those that the site has not carried out yet
    state     the last one that the site has sent
    nodes     the last state of each node, by its position
    lost      what is added to the revision, so that the revision grows also if the daemon has lost
              the job
    """

    commands: list[Command] = []
    state: PartState | None = None
    nodes: dict[int, Node] = {}
    lost: int = 0

    @property
    def revision(self) -> int:
        # A job that was not started has the order -1, which is a change too.
        return self.lost + self.state.order[0] + 2 if self.state else 0

    @property
    def end(self) -> tuple[JobStatus, int] | None:
        """As in `PartState`, but None while a start or a retry is on its way to the site."""
        goes_on = self.state is None or any(one.cancel is None for one in self.commands)
        return None if goes_on or self.state is None else self.state.end

    def take(self, state: PartState | NodeState) -> None:
        if isinstance(state, NodeState):
            self.nodes[state.position] = state.node
        else:
            before, self.state = self.revision, state
            if self.revision < before:
                self.lost += before + 1 - self.revision
            self.commands[:] = [one for one in self.commands if one.number > state.done]


class Asked(Struct):
    """Holds what was asked at the hub.

    owner     the uid of the user who called the hub
    asked_by  the name on whose behalf that user called
    parts     by the name of the site
    keys      those with which it was started and retried
    """

    job_id: str
    created_at: datetime
    request: StartRequest
    owner: int
    asked_by: str | None
    parts: dict[str, Part]
    keys: tuple[StartKey, ...] = ()

    @property
    def has_ended(self) -> bool:
        return all(part.end for part in self.parts.values())

    @property
    def waiting(self) -> list[Command]:
        return [command for part in self.parts.values() for command in part.commands]

    def for_nats(self) -> bytes:
        """Returns what KV_jobs has. The nodes are in other buckets, and would be too large; so are
        the states, which are left out if they do not fit.
        """
        parts = {site: Part(part.commands, part.state) for site, part in self.parts.items()}
        data = msgspec.json.encode(replace(self, parts=parts))
        return data if len(data) <= LARGEST else self.without_states()

    def without_states(self) -> bytes:
        parts = {site: Part(part.commands) for site, part in self.parts.items()}
        return msgspec.json.encode(replace(self, parts=parts))

    @property
    def is_old(self) -> bool:
        return self.created_at < datetime.now(UTC) - KEEP


class SiteState(Struct, frozen=True, tag="site"):
    """Says that an agent runs at a site, and which clusters its daemon knows, with their nodes."""

    site: str
    clusters: tuple[Cluster, ...] = ()

    @property
    def subject(self) -> str:
        return f"$KV.state_{self.site}.site"

    @property
    def order(self) -> tuple[int, ...]:
        return ()


State: TypeAlias = PartState | NodeState | SiteState


def shortened(state: State) -> State:
    """Returns a state without what may be large: the clusters of a site, the results of a node, and
    what a job was asked to do, which the hub has itself.
    """
    if isinstance(state, SiteState):
        return SiteState(state.site)
    if isinstance(state, NodeState):
        results = dict.fromkeys(NodeResults.__struct_fields__)
        return replace(state, node=replace(state.node, **results))
    job = state.job and replace(state.job, collection=Collection(), commands=None)
    return replace(state, job=job)


_decoder = msgspec.json.Decoder[State](State)


def decode_state(subject: str, data: bytes) -> State | None:
    """Returns the state in a message. Returns None if the message holds no state, if the state
    belongs to another subject, or if it would break the clients of the hub.
    """
    try:
        state = _decoder.decode(data)
        job = state.job if isinstance(state, PartState) else None
        window = (job.collection.since, job.collection.until) if job else ()
        times = [datetime.fromisoformat(text) for text in window if text is not None]
        values = [times, msgspec.to_builtins(state, builtin_types=(datetime,))]
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    tomorrow = datetime.now(UTC).timestamp() + 24 * 3600
    if isinstance(state, PartState) and state.done > tomorrow * 1e6:
        return None  # no hub has given this number; the next ones would have to be larger
    plain = len(data) <= LARGEST_STATE and _is_plain(values)
    return state if plain and state.subject == subject else None


def _is_plain(value: Any) -> bool:
    """Returns whether clients can calculate with all numbers and times in a value."""
    match value:
        case None | str():
            return True
        case dict():
            return all(map(_is_plain, value.values()))
        case list() | tuple():
            return all(map(_is_plain, value))
        case datetime():  # not every time zone has the whole of the years 1 and 9999
            return value.tzinfo is not None and 1 < value.year < 9999
    return bool(abs(value) <= 2**53)


def by_site(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Groups names such as `berlin/cucm-pub` by their sites."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        site, _, rest = name.partition("/")
        found[site] = (*found.get(site, ()), rest)
    return found
