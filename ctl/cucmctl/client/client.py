"""`Client`: the daemon's methods as Python methods, blocking, over its Unix socket.

The one rule: requests and replies are defined once, in `cucmd.protocol.structs`. Nothing is renamed
here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from cucmctl.client.calls import dict_or_none, texts, texts_or_none
from cucmctl.client.case_calls import CaseCalls
from cucmctl.client.check_calls import CheckCalls
from cucmctl.client.cluster import discover_first
from cucmctl.client.cluster_calls import ClusterCalls
from cucmctl.client.command_calls import CommandCalls
from cucmctl.client.errors import ProtocolError
from cucmd.protocol import structs


class Client(CaseCalls, CheckCalls, CommandCalls, ClusterCalls):
    """A connection to the daemon, opened by the first call and again after a restart of the daemon.

    socket   its path; None: `$CUCMD_SOCKET`, the system's socket or the user's own
    timeout  seconds that one call may take; None: no limit. `watch` has its own.

    Every method raises `ClientError`: `DaemonUnavailable`, `ProtocolError`, or a `Refused` with the
    name of the daemon's error (`JobNotFound`, `InvalidRequest`, ...). A client must not be used by
    several threads at once.
    """

    def start(
        self,
        nodes: Sequence[str],
        *,
        login: structs.Login,
        collection: structs.Collection,
        timeouts: structs.Timeouts | None = None,
        concurrency: int | None = None,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        start_key: str | None = None,
        try_all: bool = False,
        discovered: Sequence[str] | None = None,
        accept_nodes: bool = False,
        only: Sequence[str] | None = None,
        added_paths: Sequence[str] | None = None,
        snapshot: bool | None = None,
        dry_run: bool = False,
        written_for: str | None = None,
    ) -> structs.Job:
        """Starts a job. Returns once the daemon has it on disk; its nodes run on.

        If the connection breaks meanwhile, it is asked for again within `timeout` of the client:
        that makes no second job.
        `request_id`: a text of yours for tracing; the daemon logs it and keeps it with the job.
        `labels`: to find the job by. `start_key`: a call with a key of an earlier one of this user
        gives the job that was started then; without it the call has a key of its own.
        `try_all`: a login that two nodes have refused is tried on the others too.
        `discovered`: those of `nodes`, clusters or nodes that were asked, that stand for what the
        last discovery has found too. `accept_nodes`: a tied credential may be sent to what a node
        has named to which it may be sent.
        `only`: names of paths of the profile, such as "sdl"; the others are left out.
        `added_paths`: collected beside those of the profile. A path may begin with its location, as
        in "activelog/cm/trace".
        `snapshot`: some commands are run at the end; `output` has what they print. None: as the
        profile says.
        `dry_run`: the nodes are asked for the `sizes`, and nothing is collected.
        `written_for`: for how long one file of a path is written to, "6h" or "always": files that
        have changed so long after the window are collected too. None: as the profile says of each
        path, else an hour.
        Raises `InvalidRequest`, `ProfileNotFound`, `CredentialNotFound`, `LimitReached`,
        `ShuttingDown`; `TypeError` for a text where several are expected.
        """
        chosen = texts("nodes", nodes)
        if collection.paths is not None:
            texts("collection.paths", collection.paths)
        request = structs.StartRequest(
            chosen,
            login,
            collection,
            timeouts,
            concurrency,
            request_id,
            dict_or_none(labels),
            start_key,
            try_all or None,
            texts_or_none("discovered", discovered),
            accept_nodes or None,
            texts_or_none("only", only),
            texts_or_none("added_paths", added_paths),
            snapshot,
            dry_run or None,
            written_for,
        )
        return self._ask_once("Start", request)

    def start_cluster(
        self,
        cluster: str,
        *,
        login: structs.Login,
        collection: structs.Collection,
        timeouts: structs.Timeouts | None = None,
        concurrency: int | None = None,
        labels: Mapping[str, str] | None = None,
        accept_nodes: bool = False,
        only: Sequence[str] | None = None,
        added_paths: Sequence[str] | None = None,
        snapshot: bool | None = None,
        dry_run: bool = False,
        written_for: str | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> structs.Job:
        """Asks a cluster of the configuration, or a node, for the nodes of its cluster, and starts
        a job on all of them: `discover`, `wait` and `start`. Blocks until the node has answered.

        If it does not answer, the nodes are those that were named last. `tell` is called with that,
        and with which nodes are new or gone. The others: as for `start`.
        Raises as these do, and `DiscoveryFailed`.
        """
        discover_first(self, cluster, login=login, timeouts=timeouts, tell=tell)
        return self.start(
            [cluster],
            login=login,
            collection=collection,
            timeouts=timeouts,
            concurrency=concurrency,
            labels=labels,
            discovered=[cluster],
            accept_nodes=accept_nodes,
            only=only,
            added_paths=added_paths,
            snapshot=snapshot,
            dry_run=dry_run,
            written_for=written_for,
        )

    def run_cluster(
        self,
        cluster: str,
        commands: Sequence[str],
        *,
        login: structs.Login,
        timeouts: structs.Timeouts | None = None,
        concurrency: int | None = None,
        labels: Mapping[str, str] | None = None,
        try_all: bool = False,
        accept_nodes: bool = False,
        tell: Callable[[str], None] = lambda text: None,
    ) -> structs.Job:
        """As `start_cluster`, for commands: `discover`, `wait` and `run`."""
        discover_first(self, cluster, login=login, timeouts=timeouts, tell=tell)
        return self.run(
            [cluster],
            commands,
            login=login,
            timeouts=timeouts,
            concurrency=concurrency,
            labels=labels,
            try_all=try_all,
            discovered=[cluster],
            accept_nodes=accept_nodes,
        )

    def retry(
        self,
        job_id: str,
        nodes: Sequence[str] | None = None,
        *,
        login: structs.Login | None = None,
        request_id: str | None = None,
        start_key: str | None = None,
        try_all: bool = False,
    ) -> structs.Job:
        """Tries nodes of a closed job again, in the same job: `nodes`, or all that have not
        succeeded. Returns once that is on disk; they run on.

        `login`: needed if `Job.resumable` is false, since a typed password is not kept.
        The others: as for `start`, and it is asked for again in the same way.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, and as `start` does.
        """
        chosen = texts_or_none("nodes", nodes)
        request = structs.RetryRequest(
            job_id, chosen, login, request_id, start_key, try_all or None
        )
        return self._ask_once("Retry", request)

    def status(self, job_id: str) -> structs.Job:
        """The job as it is now. `job_id` may be any unambiguous prefix of 4 characters or more.

        Raises `JobNotFound`.
        """
        return self.call("Status", structs.StatusRequest(job_id), structs.JobReply).job

    def list(
        self,
        *,
        status: structs.JobStatus | None = None,
        limit: int | None = None,
        labels: Mapping[str, str] | None = None,
        target: str | None = None,
        since: str | None = None,
        before: str | None = None,
        kind: str | None = None,
    ) -> tuple[structs.JobSummary, ...]:
        """The newest jobs, newest first; only those that fit everything given.

        `labels`: all of them. `target`: a name that the job was started with, or a node.
        `since`: created then or later, RFC 3339. `before`: older than the job of this id.
        `kind`: what they do, such as "collect".
        """
        request = structs.ListRequest(
            status, limit, dict_or_none(labels), target, since, before, kind
        )
        return self.list_page(request).jobs

    def list_page(self, request: structs.ListRequest) -> structs.ListReply:
        """As `list`, with how many older jobs there are."""
        return self.call("List", request, structs.ListReply)

    def cancel(
        self, job_id: str, nodes: Sequence[str] | None = None, *, request_id: str | None = None
    ) -> structs.CancelReply:
        """Cancels a job, or only `nodes` of it. Returns once the cancel has happened and is on
        disk.

        `request_id`: as for `start`; the reply carries it.
        Idempotent. A job that has ended stays as it is; the reply's `message` says so.
        Raises `JobNotFound`, `NodeNotFound`; `TypeError` for a text where several are expected.
        """
        chosen = texts_or_none("nodes", nodes)
        request = structs.CancelRequest(job_id, chosen, request_id)
        return self.call("Cancel", request, structs.CancelReply)

    def label(self, job_id: str, labels: Mapping[str, str]) -> structs.Job:
        """Adds labels to a job, or changes them; an empty value removes one. Returns the job.

        Raises `JobNotFound`, `InvalidRequest`.
        """
        return self.call("Label", structs.LabelRequest(job_id, dict(labels)), structs.JobReply).job

    def delete(self, job_id: str, *, files_only: bool = False) -> structs.DeleteReply:
        """Deletes a closed job with everything that it collected; with `files_only` its record
        stays. Returns once that is done, however long it takes. The reply has the job as it was.

        Raises `JobNotFound`, `JobBusy`, `StorageFailed`.
        """
        request = structs.DeleteRequest(job_id, files_only or None)
        return self._call("Delete", request, structs.DeleteReply, None)

    def prune(
        self,
        *,
        older_than: str | None = None,
        keep: int | None = None,
        larger_than: int | None = None,
        labels: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> structs.PruneReply:
        """Deletes closed jobs of which all that is given is true, but none with the label `keep`.

        They ended longer ago than `older_than` ("30d"); `keep` newer ones with these labels stay;
        their files take more bytes than `larger_than`; they have all of `labels`.
        The reply has the jobs, the first thousand of them; with `dry_run` they are not deleted.
        Raises `InvalidRequest`.
        """
        chosen = dict_or_none(labels)
        request = structs.PruneRequest(older_than, keep, larger_than, chosen, dry_run or None)
        return self._call("Prune", request, structs.PruneReply, None)

    def watch(
        self,
        job_id: str | None = None,
        *,
        timeout: float | None = None,
        changes: bool = False,
        answer_within: float | None = None,
    ) -> Iterator[structs.WatchReply]:
        """The state as it is now, then every change, until the job ends. All jobs: without end.

        With `changes` the replies after the first have `change`, the nodes that differ, and not the
        whole job; and all jobs begin with those that run or wait.

        It has its own connection, opened at the first step and closed with the iterator. So the
        client can be used for other calls meanwhile. `missed` of a change is how many changes were
        left out because the reader was slow; the state in it is current.
        Raises `JobNotFound`, and `TimeoutError` after `timeout` seconds; the job goes on.
        `answer_within`: seconds for the first step; then it raises `DaemonUnavailable`.
        It ends with its connection, since `sequence` counts from the beginning of a connection and
        what changed while the daemon was away is not told. `cucmctl.client.reconnect.watch` goes on
        after a restart, with the state as it is then; `Job.revision` says what was missed.
        """
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        first = deadline
        if answer_within is not None and (timeout is None or answer_within < timeout):
            first = now + answer_within
        request = structs.WatchRequest(job_id, changes or None)
        yield from self._replies("Watch", request, structs.WatchReply, deadline, first)

    def wait(
        self, job_id: str, *, timeout: float | None = None, reconnect: float | None = None
    ) -> structs.Job:
        """Waits until the job has ended, without polling. Returns it. Raises as `watch` does.

        It goes on after a restart of the daemon, if that is back within `reconnect` seconds; None:
        60 s. 0: it raises `DaemonUnavailable` at once.
        """
        from cucmctl.client.reconnect import DEFAULT, Told, watch  # noqa: PLC0415  # only to wait

        wait = DEFAULT if reconnect is None else reconnect
        job: structs.Job | None = None
        for change in watch(self, job_id, Told(), timeout=timeout, reconnect=wait):
            job = change.job or job
        if job is None or job.status in ("queued", "running"):
            raise ProtocolError(f"the watch of job {job_id} ended before the job did")
        return job

    def host_keys(self) -> tuple[structs.HostKey, ...]:
        """The host keys of nodes that the daemon knows."""
        return self.call("ListHostKeys", {}, structs.ListHostKeysReply).host_keys

    def add_host_key(self, node: str, key: str | None = None) -> tuple[structs.HostKey, ...]:
        """Adds a host key of `node`, as `ssh-rsa AAAA...`; without `key`, those that it shows now.

        Returns all known keys of the node. Raises `InvalidRequest`, `ScanFailed`.
        """
        request = structs.AddHostKeyRequest(node, key)
        return self.call("AddHostKey", request, structs.HostKeysReply).host_keys

    def forget_host_key(self, node: str) -> structs.ForgetHostKeyReply:
        """Removes the host keys of `node`. The reply says how many there were."""
        request = structs.ForgetHostKeyRequest(node)
        return self.call("ForgetHostKey", request, structs.ForgetHostKeyReply)

    def reload(self) -> structs.ReloadReply:
        """Has the daemon read its configuration and the known host keys again.

        The reply names the changed settings that only a restart applies. Raises `ReloadFailed`.
        """
        return self.call("Reload", {}, structs.ReloadReply)
