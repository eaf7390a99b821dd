"""PURE. Builds the calls for the methods of a client.

Each function is described as the method that a client makes from it. Requests and replies are
declared once, in `cucmd.job` and `cucmd.protocol`. A function without a description belongs to a
method that returns a stream; the client describes that method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from cucmctl.client.method_call import MethodCall, one_item, texts, texts_or_none, whole_reply
from cucmd.job import work_request
from cucmd.job.kind import WorkRequest
from cucmd.job.status import JobStatus
from cucmd.job.work import make_start_request
from cucmd.job.work_request import Collection, How, Login, Packets, Tail
from cucmd.protocol import cases, jobs, knowledge, requests
from cucmd.protocol.figures import FiguresReply, FiguresRequest

UNFINISHED: tuple[Literal["queued", "running"], ...] = ("queued", "running")
# The largest number of jobs that the daemon lists in one reply.
MOST_LISTED = 1000


def start(
    nodes: Sequence[str],
    work: WorkRequest | Collection,
    *,
    login: Login,
    how: How | None = None,
) -> MethodCall[jobs.Job]:
    """Starts a job. Returns once the daemon has stored it; the nodes go on.

    work   what to do on the nodes: a `Collection`, `Files`, `Estimate`, `Commands`, `Checks`,
           `HealthChecks`, `Packets`, `Tail` or `Discovery`
    how    timeouts, labels and other settings of the job

    If the connection breaks, the client asks again within its `timeout`. This never makes a second
    job. Raises `InvalidRequest`, `ProfileNotFound`, `CredentialNotFound`, `LimitReached`,
    `StorageFailed`, `ShuttingDown`, and `TypeError` for a single text where several are expected.
    """
    what = work_request.Files(work) if isinstance(work, work_request.Collection) else work
    how = how or work_request.How()
    _check_texts(what, how)
    request = make_start_request(texts("nodes", nodes), login, what, how)
    return MethodCall("Start", request, jobs.StartReply, _started, keyed=True)


def collect(
    nodes: Sequence[str], collection: Collection, *, login: Login, how: How | None = None
) -> MethodCall[jobs.Job]:
    """Collects files from nodes. See `start`."""
    return start(nodes, collection, login=login, how=how)


def run(
    nodes: Sequence[str], commands: Sequence[str], *, login: Login, how: How | None = None
) -> MethodCall[jobs.Job]:
    """Runs commands that only read, such as "show status". `output` returns what they print."""
    return start(nodes, work_request.Commands(texts("commands", commands)), login=login, how=how)


def check(
    nodes: Sequence[str], *, login: Login, receiver: bool = False, how: How | None = None
) -> MethodCall[jobs.Job]:
    """Checks whether a collection can be expected to work; see `checked` of each node."""
    return start(nodes, work_request.Checks(receiver or None), login=login, how=how)


def health(
    nodes: Sequence[str],
    *,
    login: Login,
    only: Sequence[str] | None = None,
    how: How | None = None,
) -> MethodCall[jobs.Job]:
    """Checks whether nodes are well; see `health` of each node. `only` has names of checks."""
    return start(
        nodes, work_request.HealthChecks(texts_or_none("only", only)), login=login, how=how
    )


def capture(
    nodes: Sequence[str],
    packets: Packets | None = None,
    *,
    login: Login,
    how: How | None = None,
) -> MethodCall[jobs.Job]:
    """Captures packets on all nodes at the same time. `stop` ends the capture early."""
    return start(nodes, packets or work_request.Packets(), login=login, how=how)


def follow(
    nodes: Sequence[str], tail: Tail, *, login: Login, how: How | None = None
) -> MethodCall[jobs.Job]:
    """Follows a file on all nodes. `output` yields its lines as they come; `stop` ends the job."""
    return start(nodes, tail, login=login, how=how)


def discover(publisher: str, *, login: Login, how: How | None = None) -> MethodCall[jobs.Job]:
    """Asks a node, or the publisher of a cluster, for the nodes of its cluster: see `found`."""
    return start([publisher], work_request.Discovery(), login=login, how=how)


def retry(
    job_id: str,
    nodes: Sequence[str] | None = None,
    *,
    login: Login | None = None,
    request_id: str | None = None,
    start_key: str | None = None,
    try_all: bool = False,
) -> MethodCall[jobs.Job]:
    """Tries nodes of a closed job again, in the same job: `nodes`, or all that did not succeed.

    Returns once the daemon has stored it; the nodes go on. `login` is needed if `Job.resumable` is
    false, because a typed password is not kept. If the connection breaks, the client asks again, as
    for `start`. Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, and what `start` raises.
    """
    chosen = texts_or_none("nodes", nodes)
    request = jobs.RetryRequest(job_id, chosen, login, request_id, start_key, try_all or None)
    return MethodCall("Retry", request, jobs.StartReply, _started, keyed=True)


def status(job_id: str) -> MethodCall[jobs.Job]:
    """Returns the job as it is now. `job_id` may be any unambiguous prefix of 4 characters or more.

    Raises `JobNotFound`, and `InvalidRequest` if several jobs begin with `job_id`.
    """
    return MethodCall("Status", requests.StatusRequest(job_id), jobs.JobReply, _job)


def list_page(request: requests.ListRequest) -> MethodCall[jobs.ListReply]:
    """Lists jobs as `list` does. The reply also has the number of older jobs."""
    return MethodCall("List", request, jobs.ListReply, whole_reply)


def list(
    *,
    status: JobStatus | None = None,
    limit: int | None = None,
    labels: Mapping[str, str] | None = None,
    target: str | None = None,
    since: str | None = None,
    before: str | None = None,
    kind: str | None = None,
) -> MethodCall[tuple[jobs.JobSummary, ...]]:
    """Returns the newest jobs, newest first; only jobs that match every given argument.

    labels  the job has all of these
    target  a name that the job was started with, or one of its nodes
    since   the job was created at this time or later (RFC 3339)
    before  the job is older than the job with this id
    kind    what the job does, such as "collect"
    """
    chosen = None if labels is None else dict(labels)
    request = requests.ListRequest(status, limit, chosen, target, since, before, kind)
    return MethodCall("List", request, jobs.ListReply, lambda reply: reply.jobs)


def cancel(
    job_id: str, nodes: Sequence[str] | None = None, *, request_id: str | None = None
) -> MethodCall[requests.CancelReply]:
    """Cancels a job, or only `nodes` of it. Returns once the cancel has happened and is stored.

    The reply carries the `request_id`. Cancelling again does no harm: a job that has ended stays as
    it is, and the reply's `message` says so. Raises `JobNotFound`, `NodeNotFound`, `StorageFailed`,
    `ShuttingDown`, and `TypeError` for a single text where several are expected.
    """
    request = requests.CancelRequest(job_id, texts_or_none("nodes", nodes), request_id)
    return MethodCall("Cancel", request, requests.CancelReply, whole_reply)


def stop(job_id: str, *, request_id: str | None = None) -> MethodCall[jobs.StopReply]:
    """Ends the packet capture of a job on all of its nodes, and lets the job collect the files.

    Also ends a job of `follow`. Raises `JobNotFound`, and `InvalidRequest` for `job_id` if the job
    is of another kind or has not begun.
    """
    return MethodCall("Stop", requests.StopRequest(job_id, request_id), jobs.StopReply, whole_reply)


def label(job_id: str, labels: Mapping[str, str]) -> MethodCall[jobs.Job]:
    """Adds or changes labels of a job; an empty value removes a label. Returns the job.

    Raises `JobNotFound`, `InvalidRequest`, and `JobBusy` while the job is deleted.
    """
    return MethodCall("Label", requests.LabelRequest(job_id, dict(labels)), jobs.JobReply, _job)


def watch(
    job_id: str | None = None, *, changes: bool = False
) -> MethodCall[tuple[jobs.WatchReply]]:
    return MethodCall(
        "Watch", requests.WatchRequest(job_id, changes or None), jobs.WatchReply, one_item
    )


def files(job_id: str, nodes: Sequence[str] | None = None) -> MethodCall[tuple[cases.File, ...]]:
    request = cases.FilesRequest(job_id, texts_or_none("nodes", nodes))
    return MethodCall("Files", request, cases.FilesReply, lambda reply: reply.files)


def output(
    job_id: str, nodes: Sequence[str] | None = None, *, follow: bool = False
) -> MethodCall[tuple[cases.CommandOutput, ...]]:
    request = cases.OutputRequest(job_id, texts_or_none("nodes", nodes), follow or None)
    return MethodCall("Output", request, cases.OutputReply, _outputs)


def _outputs(reply: cases.OutputReply) -> tuple[cases.CommandOutput, ...]:
    return () if reply.output is None else (reply.output,)


def transcript(job_id: str, node: str, *, follow: bool = False) -> MethodCall[tuple[str]]:
    request = cases.TranscriptRequest(job_id, node, follow or None)
    return MethodCall("Transcript", request, cases.TranscriptReply, lambda reply: (reply.text,))


def export(
    job_id: str,
    *,
    nodes: Sequence[str] | None = None,
    incomplete: bool = False,
    after: str | None = None,
    suspect: Sequence[str] | None = None,
    found: cases.Search | None = None,
) -> MethodCall[cases.ExportReply]:
    request = cases.ExportRequest(
        job_id,
        texts_or_none("nodes", nodes),
        incomplete or None,
        after,
        texts_or_none("suspect", suspect),
        found,
    )
    return MethodCall("Export", request, cases.ExportReply, whole_reply)


def verify(job_id: str, nodes: Sequence[str] | None = None) -> MethodCall[tuple[cases.VerifyReply]]:
    request = cases.VerifyRequest(job_id, texts_or_none("nodes", nodes))
    return MethodCall("Verify", request, cases.VerifyReply, one_item)


def find(
    job_id: str,
    search: cases.Search,
    *,
    nodes: Sequence[str] | None = None,
    context: int | None = None,
    files: bool = False,
) -> MethodCall[tuple[cases.FindReply]]:
    chosen = texts_or_none("nodes", nodes)
    request = cases.FindRequest(job_id, search, chosen, context, files or None)
    return MethodCall("Find", request, cases.FindReply, one_item)


def delete(job_id: str, *, files_only: bool = False) -> MethodCall[cases.DeleteReply]:
    """Deletes a closed job and all of its files; with `files_only` the record of the job stays.

    Returns once everything is deleted, however long that takes. The reply has the job as it was.
    Raises `JobNotFound`, `JobBusy` and `StorageFailed`.
    """
    request = cases.DeleteRequest(job_id, files_only or None)
    return MethodCall("Delete", request, cases.DeleteReply, whole_reply, has_deadline=False)


def prune(
    *,
    older_than: str | None = None,
    keep: int | None = None,
    larger_than: int | None = None,
    labels: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> MethodCall[cases.PruneReply]:
    """Deletes closed jobs that match every given argument. Jobs with the label `keep` always stay.

    older_than   the job ended longer ago than this, such as "30d"
    keep         how many of the newest jobs of each kind with these labels are not deleted
    larger_than  the files of the job have more bytes than this
    labels       the job has all of these
    dry_run      only list the jobs

    The reply has at most the first thousand jobs. Raises `InvalidRequest`.
    """
    chosen = None if labels is None else dict(labels)
    request = cases.PruneRequest(older_than, keep, larger_than, chosen, dry_run or None)
    return MethodCall("Prune", request, cases.PruneReply, whole_reply, has_deadline=False)


def clusters(name: str | None = None) -> MethodCall[tuple[knowledge.Cluster, ...]]:
    """Returns the clusters that the daemon knows from the configuration or from a discovery.

    `name` selects clusters by their name or by a node; the reply then includes their nodes.
    """
    request = knowledge.ClustersRequest(name)
    return MethodCall("Clusters", request, knowledge.ClustersReply, lambda reply: reply.clusters)


def profiles(name: str | None = None) -> MethodCall[tuple[knowledge.Profile, ...]]:
    """Returns all profiles, or the profile of that name. Raises `ProfileNotFound`."""
    request = knowledge.ProfilesRequest(name)
    return MethodCall("Profiles", request, knowledge.ProfilesReply, lambda reply: reply.profiles)


def credentials() -> MethodCall[tuple[knowledge.Credential, ...]]:
    """Returns the credentials that the daemon was given, by name. Only operators may ask."""
    request, reply = knowledge.CredentialsRequest(), knowledge.CredentialsReply
    return MethodCall("Credentials", request, reply, lambda reply: reply.credentials)


def all_logins() -> MethodCall[knowledge.CredentialsReply]:
    """Returns the credentials, and the logins that are kept for this user, without passwords."""
    return MethodCall(
        "Credentials", knowledge.CredentialsRequest(), knowledge.CredentialsReply, whole_reply
    )


def keep_login(
    nodes: Sequence[str],
    *,
    login: Login,
    duration: float | None = None,
    accept_nodes: bool = False,
) -> MethodCall[tuple[knowledge.KeptLogin, ...]]:
    """Lets the daemon keep a login in memory, for calls of this user without a password.

    nodes         the nodes and clusters to which it may be sent
    duration      seconds; 30 minutes if None, at most 12 hours
    accept_nodes  it may also be sent to nodes that these nodes have named in a discovery

    The login is not tried. Returns all logins that are kept for this user. Raises `InvalidRequest`.
    """
    request = knowledge.KeepLoginRequest(
        texts("nodes", nodes), login, duration, accept_nodes or None
    )
    return MethodCall("KeepLogin", request, knowledge.KeepLoginReply, lambda reply: reply.logins)


def forget_login(nodes: Sequence[str] | None = None) -> MethodCall[knowledge.ForgetLoginReply]:
    """Lets the daemon forget the logins that are kept for `nodes`, or all logins of this user.

    The reply says how many there were. A job that runs goes on with its login.
    """
    request = knowledge.ForgetLoginRequest(texts_or_none("nodes", nodes))
    return MethodCall("ForgetLogin", request, knowledge.ForgetLoginReply, whole_reply)


def host_keys() -> MethodCall[tuple[knowledge.HostKey, ...]]:
    """Returns the host keys of nodes that the daemon knows."""
    reply = knowledge.ListHostKeysReply
    return MethodCall(
        "ListHostKeys", knowledge.ListHostKeysRequest(), reply, lambda reply: reply.host_keys
    )


def add_host_key(node: str, key: str | None = None) -> MethodCall[tuple[knowledge.HostKey, ...]]:
    """Adds `key`, such as `ssh-rsa AAAA...`, for a node. Without it, adds what the node shows now.

    Returns all known keys of the node. Raises `InvalidRequest` and `ScanFailed`.
    """
    request = knowledge.AddHostKeyRequest(node, key)
    reply = knowledge.HostKeysReply
    return MethodCall("AddHostKey", request, reply, lambda reply: reply.host_keys)


def forget_host_key(node: str) -> MethodCall[knowledge.ForgetHostKeyReply]:
    """Removes the host keys of `node`. The reply says how many there were."""
    request = knowledge.ForgetHostKeyRequest(node)
    return MethodCall("ForgetHostKey", request, knowledge.ForgetHostKeyReply, whole_reply)


def figures(*, per_node: bool = False) -> MethodCall[FiguresReply]:
    """Returns figures about the daemon for monitoring. Counts begin when the daemon starts.

    per_node  `nodes_ended` has the names of nodes
    """
    return MethodCall("Figures", FiguresRequest(per_node or None), FiguresReply, whole_reply)


def reload() -> MethodCall[knowledge.ReloadReply]:
    """Lets the daemon read its configuration and the known host keys again.

    The reply names the changed settings that only a restart applies. Raises `ReloadFailed`.
    """
    return MethodCall("Reload", knowledge.ReloadRequest(), knowledge.ReloadReply, whole_reply)


def _started(reply: jobs.StartReply) -> jobs.Job:
    return reply.job


def _job(reply: jobs.JobReply) -> jobs.Job:
    return reply.job


def _check_texts(what: WorkRequest, how: How) -> None:
    """Raises `TypeError` for a single text where several are expected, and for an unknown work."""
    if not isinstance(what, WorkRequest):
        raise TypeError(f"work: {what!r} is no kind of work; expected one such as Collection")
    several: dict[str, Sequence[str] | None] = {"discovered": how.discovered}
    if isinstance(what, work_request.Commands):
        several["lines"] = what.lines
    if isinstance(what, work_request.Files | work_request.Estimate):
        several["collection.paths"] = what.collection.paths
        several |= {"only": what.only, "added_paths": what.added_paths}
    for name, values in several.items():
        texts_or_none(name, values)
