"""PURE. What the methods of a client ask about jobs, and about what the daemon knows.

Each is as the method of `Client` of its name, which says what it does. Requests and replies are
declared once, in `cucmd.job` and `cucmd.protocol`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from cucmctl.client.method_call import MethodCall, Steps, alone, itself, texts, texts_or_none
from cucmctl.lean import Later
from cucmd.job.asked import (
    Checks,
    Collection,
    Commands,
    Discovery,
    Estimate,
    Files,
    HealthChecks,
    How,
    Login,
    Timeouts,
)
from cucmd.job.kind import AskedWork
from cucmd.job.work import start_request
from cucmd.protocol import jobs

if TYPE_CHECKING:
    from cucmd.protocol import knowledge
else:
    knowledge = Later("cucmd.protocol.knowledge")

UNFINISHED: tuple[Literal["queued", "running"], ...] = ("queued", "running")
# Jobs that the daemon lists at once.
MOST_LISTED = 1000


def start(
    nodes: Sequence[str],
    work: AskedWork | Collection | None = None,
    *,
    login: Login,
    how: How | None = None,
    collection: Collection | None = None,
    timeouts: Timeouts | None = None,
    concurrency: int | None = None,
) -> MethodCall[jobs.Job]:
    given = [one for one in (work, collection) if one is not None]
    if len(given) != 1:
        raise TypeError(f"start takes one of work and collection; {len(given)} were given")
    what = Files(given[0]) if isinstance(given[0], Collection) else given[0]
    how = how or How()
    if timeouts is not None:
        how = replace(how, timeouts=timeouts)
    if concurrency is not None:
        how = replace(how, concurrency=concurrency)
    _check_texts(what, how)
    request = start_request(texts("nodes", nodes), login, what, how)
    return MethodCall("Start", request, jobs.StartReply, _started, once=True)


def run(
    nodes: Sequence[str], commands: Sequence[str], *, login: Login, how: How | None = None
) -> MethodCall[jobs.Job]:
    return start(nodes, Commands(texts("commands", commands)), login=login, how=how)


def check(
    nodes: Sequence[str], *, login: Login, receiver: bool = False, how: How | None = None
) -> MethodCall[jobs.Job]:
    return start(nodes, Checks(receiver or None), login=login, how=how)


def health(
    nodes: Sequence[str],
    *,
    login: Login,
    only: Sequence[str] | None = None,
    how: How | None = None,
) -> MethodCall[jobs.Job]:
    return start(nodes, HealthChecks(texts_or_none("only", only)), login=login, how=how)


def discover(publisher: str, *, login: Login, how: How | None = None) -> MethodCall[jobs.Job]:
    return start([publisher], Discovery(), login=login, how=how)


def retry(
    job_id: str,
    nodes: Sequence[str] | None = None,
    *,
    login: Login | None = None,
    request_id: str | None = None,
    start_key: str | None = None,
    try_all: bool = False,
) -> MethodCall[jobs.Job]:
    chosen = texts_or_none("nodes", nodes)
    request = jobs.RetryRequest(job_id, chosen, login, request_id, start_key, try_all or None)
    return MethodCall("Retry", request, jobs.StartReply, _started, once=True)


def status(job_id: str) -> MethodCall[jobs.Job]:
    return MethodCall("Status", jobs.StatusRequest(job_id), jobs.JobReply, _job)


def list_page(request: jobs.ListRequest) -> MethodCall[jobs.ListReply]:
    return MethodCall("List", request, jobs.ListReply, itself)


def list(
    *,
    status: jobs.JobStatus | None = None,
    limit: int | None = None,
    labels: Mapping[str, str] | None = None,
    target: str | None = None,
    since: str | None = None,
    before: str | None = None,
    kind: str | None = None,
) -> MethodCall[tuple[jobs.JobSummary, ...]]:
    chosen = None if labels is None else dict(labels)
    request = jobs.ListRequest(status, limit, chosen, target, since, before, kind)
    return MethodCall("List", request, jobs.ListReply, lambda reply: reply.jobs)


def cancel(
    job_id: str, nodes: Sequence[str] | None = None, *, request_id: str | None = None
) -> MethodCall[jobs.CancelReply]:
    request = jobs.CancelRequest(job_id, texts_or_none("nodes", nodes), request_id)
    return MethodCall("Cancel", request, jobs.CancelReply, itself)


def stop(job_id: str, *, request_id: str | None = None) -> MethodCall[jobs.StopReply]:
    return MethodCall("Stop", jobs.StopRequest(job_id, request_id), jobs.StopReply, itself)


def label(job_id: str, labels: Mapping[str, str]) -> MethodCall[jobs.Job]:
    return MethodCall("Label", jobs.LabelRequest(job_id, dict(labels)), jobs.JobReply, _job)


def watch(
    job_id: str | None = None, *, changes: bool = False
) -> MethodCall[tuple[jobs.WatchReply]]:
    return MethodCall("Watch", jobs.WatchRequest(job_id, changes or None), jobs.WatchReply, alone)


def clusters(name: str | None = None) -> Steps[knowledge.Cluster]:
    after: str | None = None
    while True:
        request = knowledge.ClustersRequest(name, after)
        reply = yield MethodCall("Clusters", request, knowledge.ClustersReply, itself)
        yield from reply.clusters
        after = reply.next
        if after is None:
            return


def profiles(name: str | None = None) -> MethodCall[tuple[knowledge.Profile, ...]]:
    request = knowledge.ProfilesRequest(name)
    return MethodCall("Profiles", request, knowledge.ProfilesReply, lambda reply: reply.profiles)


def credentials() -> MethodCall[tuple[knowledge.Credential, ...]]:
    reply = knowledge.CredentialsReply
    return MethodCall("Credentials", {}, reply, lambda reply: reply.credentials)


def host_keys() -> MethodCall[tuple[knowledge.HostKey, ...]]:
    reply = knowledge.ListHostKeysReply
    return MethodCall("ListHostKeys", {}, reply, lambda reply: reply.host_keys)


def add_host_key(node: str, key: str | None = None) -> MethodCall[tuple[knowledge.HostKey, ...]]:
    request = knowledge.AddHostKeyRequest(node, key)
    reply = knowledge.HostKeysReply
    return MethodCall("AddHostKey", request, reply, lambda reply: reply.host_keys)


def forget_host_key(node: str) -> MethodCall[knowledge.ForgetHostKeyReply]:
    request = knowledge.ForgetHostKeyRequest(node)
    return MethodCall("ForgetHostKey", request, knowledge.ForgetHostKeyReply, itself)


def configuration() -> MethodCall[knowledge.ConfigurationReply]:
    return MethodCall("Configuration", {}, knowledge.ConfigurationReply, itself)


def reload() -> MethodCall[knowledge.ReloadReply]:
    return MethodCall("Reload", {}, knowledge.ReloadReply, itself)


def _started(reply: jobs.StartReply) -> jobs.Job:
    return reply.job


def _job(reply: jobs.JobReply) -> jobs.Job:
    return reply.job


def _check_texts(what: AskedWork, how: How) -> None:
    """Raises `TypeError` for one text where several are expected, and for what is no work."""
    if not isinstance(what, AskedWork):
        raise TypeError(f"start takes a kind of work; {what!r} is none")
    several: dict[str, Sequence[str] | None] = {"discovered": how.discovered}
    if isinstance(what, Commands):
        several["lines"] = what.lines
    if isinstance(what, Files | Estimate):
        several["collection.paths"] = what.collection.paths
        several |= {"only": what.only, "added_paths": what.added_paths}
    for name, values in several.items():
        texts_or_none(name, values)
