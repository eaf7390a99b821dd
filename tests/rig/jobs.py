"""Starts jobs, and waits for their states without polling."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from cucmctl import Client
from cucmd.job.work_request import Collection, How, Login, Timeouts
from cucmd.protocol.jobs import Job, Node
from rig.lab import Lab

SDL = "cm/trace/ccm/sdl"


def start(
    client: Client,
    lab: Lab,
    nodes: Sequence[str] | None = None,
    *,
    paths: Sequence[str] = (SDL,),
    last: str | None = "2h",
    compress: bool = False,
    recurs: bool = False,
    concurrency: int | None = None,
    password: str | None = None,
    credential: str | None = None,
    request_id: str | None = None,
    try_all: bool = False,
    **timeouts: float,
) -> Job:
    """Starts a collection with the login of the lab, or with the credential that is named."""
    if credential is None:
        login = Login(lab.username, password or lab.password)
    else:
        login = Login(credential=credential)
    return client.start(
        lab.nodes if nodes is None else nodes,
        login=login,
        work=Collection(paths=tuple(paths), last=last, compress=compress, recurs=recurs),
        how=How(
            timeouts=Timeouts(**timeouts),
            concurrency=concurrency,
            request_id=request_id,
            try_all=try_all,
        ),
    )


def until(client: Client, job_id: str, reached: Callable[[Job], bool], within: float = 60) -> Job:
    """Waits for the first state of the job for which `reached` holds, and returns it."""
    seen = None
    for change in client.watch(job_id, timeout=within):
        seen = change.job or seen
        if seen is not None and reached(seen):
            return seen
    raise AssertionError(f"the job ended before that: {seen}")


def in_phase(*phases: str) -> Callable[[Job], bool]:
    """Returns a condition: every node that has not ended is in one of these phases."""
    return lambda job: all(
        node.phase in phases for node in job.nodes if node.status in ("pending", "running")
    )


def as_ended(job: Job) -> Job:
    """Returns the job without the fields that change after its end.

    These are `closed`, the revision, and what the files of its nodes cover.
    """
    nodes = tuple(replace(one, coverage=None, gaps=None, logs=None) for one in job.nodes)
    return replace(job, closed=None, revision=None, coverage_pending=None, nodes=nodes)


def node(job: Job, position: int) -> Node:
    return job.nodes[position]


def statuses(job: Job) -> list[str]:
    return [one.status for one in job.nodes]
