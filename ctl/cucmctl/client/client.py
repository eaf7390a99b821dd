"""`Client`: the daemon's methods as Python methods, blocking, over its Unix socket.

What each asks is in `methods.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cucmctl.client import methods
from cucmctl.client.cases import CaseCalls
from cucmctl.client.errors import ProtocolError
from cucmctl.client.method_call import answered
from cucmctl.client.methods import UNFINISHED
from cucmd.job.asked import Collection, How, Login, Packets, Tail, Timeouts
from cucmd.job.kind import AskedWork
from cucmd.protocol import jobs

if TYPE_CHECKING:
    from cucmd.protocol import knowledge


class Client(CaseCalls):
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
        work: AskedWork | Collection | None = None,
        *,
        login: Login,
        how: How | None = None,
        collection: Collection | None = None,
        timeouts: Timeouts | None = None,
        concurrency: int | None = None,
    ) -> jobs.Job:
        """Starts a job. Returns once the daemon has it on disk; its nodes run on.

        work   what is done on the nodes: a `Collection`, `Files`, `Estimate`, `Commands`, `Checks`,
               `Packets` or `Discovery`
        how    its timeouts, labels and so on
        collection, timeouts, concurrency  as version 0.1.0 had them, in place of `work` and `how`

        If the connection breaks meanwhile, it is asked for again within `timeout` of the client:
        that makes no second job.
        Raises `InvalidRequest`, `ProfileNotFound`, `CredentialNotFound`, `LimitReached`,
        `ShuttingDown`; `TypeError` for a text where several are expected.
        """
        return self.ask(
            methods.start(
                nodes,
                work,
                login=login,
                how=how,
                collection=collection,
                timeouts=timeouts,
                concurrency=concurrency,
            )
        )

    def start_cluster(
        self,
        cluster: str,
        work: AskedWork | Collection,
        *,
        login: Login,
        how: How | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> jobs.Job:
        """Asks a cluster of the configuration, or a node, for the nodes of its cluster, and starts
        a job on all of them: `discover`, `wait` and `start`. Blocks until the node has answered.

        If it does not answer, the nodes are those that were named last. `tell` is called with that,
        and with which nodes are new or gone. The others: as for `start`.
        Raises as these do, and `DiscoveryFailed`.
        """
        from cucmctl.client.cluster import discover_first  # noqa: PLC0415  # only for clusters

        how = how or How()
        discover_first(self, cluster, login=login, timeouts=how.timeouts, tell=tell)
        how = replace(how, discovered=(cluster,))
        return self.start([cluster], work, login=login, how=how)

    def collect(
        self, nodes: Sequence[str], collection: Collection, *, login: Login, how: How | None = None
    ) -> jobs.Job:
        """Collects files."""
        return self.start(nodes, collection, login=login, how=how)

    def run(
        self, nodes: Sequence[str], commands: Sequence[str], *, login: Login, how: How | None = None
    ) -> jobs.Job:
        """Runs commands that only read, such as "show status"; `output` has what they print."""
        return self.ask(methods.run(nodes, commands, login=login, how=how))

    def check(
        self,
        nodes: Sequence[str],
        *,
        login: Login,
        receiver: bool = False,
        how: How | None = None,
    ) -> jobs.Job:
        """Looks whether a collection can be expected to work; each node has what was `checked`."""
        return self.ask(methods.check(nodes, login=login, receiver=receiver, how=how))

    def health(
        self,
        nodes: Sequence[str],
        *,
        login: Login,
        only: Sequence[str] | None = None,
        how: How | None = None,
    ) -> jobs.Job:
        """Looks whether nodes are well; each has its `health`. `only`: the names of checks."""
        return self.ask(methods.health(nodes, login=login, only=only, how=how))

    def capture(
        self,
        nodes: Sequence[str],
        packets: Packets | None = None,
        *,
        login: Login,
        how: How | None = None,
    ) -> jobs.Job:
        """Captures packets on all nodes at the same time; `stop` ends it early."""
        return self.start(nodes, packets or Packets(), login=login, how=how)

    def follow(
        self, nodes: Sequence[str], tail: Tail, *, login: Login, how: How | None = None
    ) -> jobs.Job:
        """Follows a file on all nodes. `output` has its lines as they come; `stop` ends it."""
        return self.start(nodes, tail, login=login, how=how)

    def discover(self, publisher: str, *, login: Login, how: How | None = None) -> jobs.Job:
        """Asks a node, or the publisher of a cluster, which nodes it has: `found` of the node."""
        return self.ask(methods.discover(publisher, login=login, how=how))

    def retry(
        self,
        job_id: str,
        nodes: Sequence[str] | None = None,
        *,
        login: Login | None = None,
        request_id: str | None = None,
        start_key: str | None = None,
        try_all: bool = False,
    ) -> jobs.Job:
        """Tries nodes of a closed job again, in the same job: `nodes`, or all that have not
        succeeded. Returns once that is on disk; they run on.

        `login`: needed if `Job.resumable` is false, since a typed password is not kept.
        The others: as for `start`, and it is asked for again in the same way.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, and as `start` does.
        """
        return self.ask(
            methods.retry(
                job_id,
                nodes,
                login=login,
                request_id=request_id,
                start_key=start_key,
                try_all=try_all,
            )
        )

    def status(self, job_id: str) -> jobs.Job:
        """The job as it is now. `job_id` may be any unambiguous prefix of 4 characters or more.

        Raises `JobNotFound`.
        """
        return self.ask(methods.status(job_id))

    def list(
        self,
        *,
        status: jobs.JobStatus | None = None,
        limit: int | None = None,
        labels: Mapping[str, str] | None = None,
        target: str | None = None,
        since: str | None = None,
        before: str | None = None,
        kind: str | None = None,
    ) -> tuple[jobs.JobSummary, ...]:
        """The newest jobs, newest first; only those that fit everything given.

        `labels`: all of them. `target`: a name that the job was started with, or a node.
        `since`: created then or later, RFC 3339. `before`: older than the job of this id.
        `kind`: what they do, such as "collect".
        """
        return self.ask(
            methods.list(
                status=status,
                limit=limit,
                labels=labels,
                target=target,
                since=since,
                before=before,
                kind=kind,
            )
        )

    def list_page(self, request: jobs.ListRequest) -> jobs.ListReply:
        """As `list`, with how many older jobs there are."""
        return self.ask(methods.list_page(request))

    def cancel(
        self, job_id: str, nodes: Sequence[str] | None = None, *, request_id: str | None = None
    ) -> jobs.CancelReply:
        """Cancels a job, or only `nodes` of it. Returns once the cancel has happened and is on
        disk.

        `request_id`: as for `start`; the reply carries it.
        Idempotent. A job that has ended stays as it is; the reply's `message` says so.
        Raises `JobNotFound`, `NodeNotFound`; `TypeError` for a text where several are expected.
        """
        return self.ask(methods.cancel(job_id, nodes, request_id=request_id))

    def stop(self, job_id: str, *, request_id: str | None = None) -> jobs.StopReply:
        """Ends the packet capture of a job on all of its nodes now; its files are collected then.
        Or a job of `follow`.

        Raises `JobNotFound`; `InvalidRequest` of `job_id` if it is neither, or not begun.
        """
        return self.ask(methods.stop(job_id, request_id=request_id))

    def label(self, job_id: str, labels: Mapping[str, str]) -> jobs.Job:
        """Adds labels to a job, or changes them; an empty value removes one. Returns the job.

        Raises `JobNotFound`, `InvalidRequest`.
        """
        return self.ask(methods.label(job_id, labels))

    def watch(
        self,
        job_id: str | None = None,
        *,
        timeout: float | None = None,
        changes: bool = False,
        answer_within: float | None = None,
    ) -> Iterator[jobs.WatchReply]:
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
        yield from self._items(methods.watch(job_id, changes=changes), deadline, first)

    def wait(
        self, job_id: str, *, timeout: float | None = None, reconnect: float | None = None
    ) -> jobs.Job:
        """Waits until the job has ended, without polling. Returns it. Raises as `watch` does.

        It goes on after a restart of the daemon, if that is back within `reconnect` seconds; None:
        60 s. 0: it raises `DaemonUnavailable` at once.
        """
        from cucmctl.client.reconnect import DEFAULT, Told, watch  # noqa: PLC0415  # only to wait

        wait = DEFAULT if reconnect is None else reconnect
        job: jobs.Job | None = None
        for change in watch(self, job_id, Told(), timeout=timeout, reconnect=wait):
            job = change.job or job
        if job is None or job.status in UNFINISHED:
            raise ProtocolError(f"the watch of job {job_id} ended before the job did")
        return job

    def clusters(self, name: str | None = None) -> tuple[knowledge.Cluster, ...]:
        """The clusters that the daemon knows, by the configuration or by a discovery.

        With a `name`, of a cluster or of a node, those that it fits, with their nodes.
        """
        return tuple(answered(methods.clusters(name), self.ask))

    def profiles(self, name: str | None = None) -> tuple[knowledge.Profile, ...]:
        """The profiles, or the one of that name. Raises `ProfileNotFound`."""
        return self.ask(methods.profiles(name))

    def credentials(self) -> tuple[knowledge.Credential, ...]:
        """The names of the logins that the daemon was given. For operators."""
        return self.ask(methods.credentials())

    def host_keys(self) -> tuple[knowledge.HostKey, ...]:
        """The host keys of nodes that the daemon knows."""
        return self.ask(methods.host_keys())

    def add_host_key(self, node: str, key: str | None = None) -> tuple[knowledge.HostKey, ...]:
        """Adds a host key of `node`, as `ssh-rsa AAAA...`; without `key`, those that it shows now.

        Returns all known keys of the node. Raises `InvalidRequest`, `ScanFailed`.
        """
        return self.ask(methods.add_host_key(node, key))

    def forget_host_key(self, node: str) -> knowledge.ForgetHostKeyReply:
        """Removes the host keys of `node`. The reply says how many there were."""
        return self.ask(methods.forget_host_key(node))

    def configuration(self) -> knowledge.ConfigurationReply:
        """What the daemon runs with, and how its file differs from that now. For operators.

        Raises `MethodNotFound` if the daemon is older.
        """
        return self.ask(methods.configuration())

    def reload(self) -> knowledge.ReloadReply:
        """Has the daemon read its configuration and the known host keys again.

        The reply names the changed settings that only a restart applies. Raises `ReloadFailed`.
        """
        return self.ask(methods.reload())
