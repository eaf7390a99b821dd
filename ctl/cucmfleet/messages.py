"""PURE. Declares what hub and agents write into NATS, and under which subjects.

    stream    subject                                    content        written by
    CMD       cmd.SITE.OP                                `Command`      the hub
    EV        ev.SITE.OP, ev.SITE.ended                  `Happened`     the hub
    KV_jobs   $KV.jobs.JOB                               `Asked`        the hub
    KV_state  $KV.state.SITE.job.JOB                     `PartState`    the agent of the site
    KV_state  $KV.state.SITE.node.JOB.POSITION           `NodeState`    the agent of the site
    KV_state  $KV.state.SITE.site                        `SiteState`    the agent of the site

JOB is the id of a job at the hub. The part of such a job at one site is a job of the daemon there,
with an id of its own. KV_jobs and KV_state are buckets: a subject keeps its last message only.

CMD is a work queue. Each site has a durable consumer with its name, which the hub creates. The
server sends the next command only after the one before is acknowledged, so commands of a site come
in the order in which they were given. EV says for 90 days who has asked what, and how it ended.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from cucmd.job.work import StartRequest
from cucmd.protocol.jobs import Job, Node, RetryRequest
from cucmd.protocol.knowledge import Cluster
from cucmd.protocol.requests import CancelRequest

COMMANDS, EVENTS, JOBS, STATES = "CMD", "EV", "KV_jobs", "KV_state"
# The label, at the site, of the daemon's job. Its value is the id of the job at the hub.
LABEL = "hub"
# The name of a site is one word of a subject.
SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")
# Seconds between two states of a site, and after how many seconds it counts as cut off.
HEARTBEAT = 10.0
CUT_OFF = 30.0

_DAY = 24 * 3600 * 10**9


def streams(replicas: int) -> dict[str, dict[str, Any]]:
    """Returns the configuration of each stream. replicas: 3 with three NATS servers, else 1."""
    common = {"storage": "file", "num_replicas": replicas, "discard": "new"}
    bucket = common | {"max_msgs_per_subject": 1, "allow_direct": True, "allow_rollup_hdrs": True}
    return {
        COMMANDS: common
        | {
            "name": COMMANDS,
            "subjects": ["cmd.*.*"],
            "retention": "workqueue",
            # A site that is cut off for long gets no more than this of one kind of command.
            "max_msgs_per_subject": 1000,
            "discard_new_per_subject": True,
            "duplicate_window": _DAY,
        },
        EVENTS: common
        | {
            "name": EVENTS,
            "subjects": ["ev.*.*"],
            "discard": "old",
            "max_age": 90 * _DAY,
            "duplicate_window": _DAY,
        },
        JOBS: bucket | {"name": JOBS, "subjects": ["$KV.jobs.>"]},
        STATES: bucket | {"name": STATES, "subjects": ["$KV.state.>"]},
    }


def consumer(site: str) -> dict[str, Any]:
    """Returns the configuration of the consumer of a site's commands."""
    return {
        "durable_name": site,
        "filter_subject": f"cmd.{site}.>",
        "ack_policy": "explicit",
        "ack_wait": 30 * 10**9,
        "max_ack_pending": 1,  # keeps the order
        "max_deliver": -1,
    }


class Asked(msgspec.Struct, frozen=True):
    """Holds what was asked at the hub.

    owner    the uid of the user who called the hub
    asked_by the name on whose behalf that user called
    speaker  the name that the sites are told: `asked_by`, or the name of the user
    """

    job_id: str
    created_at: datetime
    request: StartRequest
    owner: int
    speaker: str
    asked_by: str | None = None

    @property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """Returns the targets of each site, without the name of the site."""
        return by_site(self.request.nodes)


def by_site(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Groups names such as `berlin/cucm-pub` by their sites."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        site, _, rest = name.partition("/")
        found[site] = (*found.get(site, ()), rest)
    return found


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds one command for a site. One of start, retry and cancel is set.

    number     grows with each command of the hub
    site       the site that must carry it out. A hostile site can get the server to send one of its
               own commands to another site, which then finds a wrong name here
    not_after  a start that arrives later is refused
    """

    number: int
    site: str
    job_id: str
    speaker: str
    start: StartRequest | None = None
    retry: RetryRequest | None = None
    cancel: CancelRequest | None = None
    not_after: datetime | None = None

    @property
    def operation(self) -> str:
        return next(name for name in ("start", "retry", "cancel") if getattr(self, name))


class Answer(msgspec.Struct, frozen=True):
    """Says that a command was refused at the site.

    number      that of the command
    error       the name of the daemon's error, or of one of the agent's own
    parameters  the fields of the error
    text        one line for a person
    """

    number: int
    error: str
    parameters: dict[str, Any]
    text: str


class PartState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds the state of a job at one site.

    site, job_id  as in the subject; the hub ignores a state in which they differ from it
    revision      a state replaces an older one only if its revision is not smaller
    done          the number of the last command that was carried out or refused
    job           the job of the daemon, without its nodes; None if it was not started
    nodes         the number of its nodes
    cancelled     the cancel came before the start, so there is no job
    answer        why the last refused command was refused
    """

    site: str
    job_id: str
    revision: int
    done: int = 0
    job: Job | None = None
    nodes: int = 0
    cancelled: bool = False
    answer: Answer | None = None


class NodeState(msgspec.Struct, frozen=True):
    """Holds the state of a node. The fields are as in `PartState`."""

    site: str
    job_id: str
    revision: int
    position: int
    node: Node


class SiteState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds the state of a site.

    agent     a random word that each agent chooses when it starts
    trouble   why the daemon of the site does not answer, or None
    clusters  the clusters that the daemon knows, with their nodes
    """

    site: str
    agent: str
    version: str
    trouble: str | None = None
    clusters: tuple[Cluster, ...] = ()


class Happened(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says what was asked for a site, or how that ended.

    speaker  who has asked, as the site is told
    owner    the uid of the user who called the hub
    nodes    the nodes that were asked for
    status   how the job ended at the site; "refused" or "cancelled" if it was not started
    local_id the id of the job at the site
    """

    job_id: str
    site: str
    speaker: str
    owner: int
    nodes: tuple[str, ...]
    status: str | None = None
    local_id: str | None = None


def command_subject(command: Command) -> str:
    return f"cmd.{command.site}.{command.operation}"


def job_subject(job_id: str) -> str:
    return f"$KV.jobs.{job_id}"


def state_subject(state: PartState | NodeState | SiteState) -> str:
    """Returns the subject under which an agent writes this state."""
    match state:
        case PartState():
            return f"$KV.state.{state.site}.job.{state.job_id}"
        case NodeState():
            return f"$KV.state.{state.site}.node.{state.job_id}.{state.position}"
        case SiteState():
            return f"$KV.state.{state.site}.site"


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "job": msgspec.json.Decoder(PartState),
    "node": msgspec.json.Decoder(NodeState),
    "site": msgspec.json.Decoder(SiteState),
}


def decode_state(subject: str, data: bytes) -> PartState | NodeState | SiteState | None:
    """Returns the state in a message, or None if this is not one, or if it belongs elsewhere."""
    words = subject.split(".")
    decoder = _DECODERS.get(words[3]) if len(words) > 3 else None
    if decoder is None:
        return None
    try:
        state: PartState | NodeState | SiteState = decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return state if state_subject(state) == subject else None
