"""PURE. Jobs and their nodes: what a job does, its states, their transitions, and its outcome.

The one rule: a state is a type with exactly the fields that exist in it, a transition is a method
that returns a new job, and an impossible transition raises `ImpossibleTransition`.

    node   pending -> running -> succeeded | failed | cancelled
    job    queued  -> running -> ended, with an outcome: succeeded, partial, failed, cancelled

A node is *settled* once it has succeeded, failed or was cancelled. A settled node never changes
its state again; so a task of a node that was cancelled at the same moment has no effect. A job
ends when its last node settles, in the same transition. After a restart a job is queued again
and its unsettled nodes are pending again; both keep the time at which they first began.

Times are of the wall clock and in UTC. If the clock is set back, nothing ends before it began.

    job.py       a job, its states and its outcome
    node.py      a node of a job, and its states
    work.py      what a job does on each node, as a tagged union
    check.py     what a check asks for and sees, which is one of it
    duration.py  durations as they are written in a request
    timeouts.py  its deadlines
"""

from cucmd.job.check import Check, Checked
from cucmd.job.job import (
    HostKeyPolicy,
    Job,
    JobEnded,
    JobQueued,
    JobRunning,
    JobState,
    JobStatus,
    Outcome,
    outcome,
)
from cucmd.job.node import (
    SETTLED,
    Cancelled,
    Covered,
    Failed,
    Gap,
    ImpossibleTransition,
    Node,
    NodeState,
    NodeStatus,
    Pending,
    Phase,
    Running,
    Succeeded,
)
from cucmd.job.timeouts import MOST_GRACE, MOST_SECONDS, Timeouts
from cucmd.job.work import (
    OUTPUT,
    READY_WITHIN,
    Capture,
    Captured,
    Collect,
    Discover,
    DryRun,
    Found,
    Member,
    PathSize,
    Run,
    Sizes,
    Work,
    commands_of,
)

__all__ = [
    "MOST_GRACE",
    "MOST_SECONDS",
    "OUTPUT",
    "READY_WITHIN",
    "SETTLED",
    "Cancelled",
    "Capture",
    "Captured",
    "Check",
    "Checked",
    "Collect",
    "Covered",
    "Discover",
    "DryRun",
    "Failed",
    "Found",
    "Gap",
    "HostKeyPolicy",
    "ImpossibleTransition",
    "Job",
    "JobEnded",
    "JobQueued",
    "JobRunning",
    "JobState",
    "JobStatus",
    "Member",
    "Node",
    "NodeState",
    "NodeStatus",
    "Outcome",
    "PathSize",
    "Pending",
    "Phase",
    "Run",
    "Running",
    "Sizes",
    "Succeeded",
    "Timeouts",
    "Work",
    "commands_of",
    "outcome",
]
