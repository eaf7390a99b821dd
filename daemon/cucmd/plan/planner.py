"""From a request to a job, and to a task for each of its nodes.

The one rule: whatever can be refused is refused here, before the job exists. Passwords are put
into the tasks and nowhere else.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import asdict, replace

from cucmd.allowance import Allowance, Quota
from cucmd.config import (
    Config,
    Credential,
    CredentialRefused,
    InvalidValue,
    NodeSettings,
    UnknownCredential,
    load_credential,
)
from cucmd.config.errors import found
from cucmd.job import Check, Discover, DryRun, Job, Node, Run, Work
from cucmd.node.ports import NodeTask, Retry
from cucmd.node_name import InvalidNode, folder_of, marked_nodes, parse_node
from cucmd.plan import labels
from cucmd.plan.again import asked_timeouts, tried_again, with_hours
from cucmd.plan.logins import Logins
from cucmd.plan.resolve import (
    resolve_collection,
    resolve_commands,
    resolve_concurrency,
    resolve_timeouts,
)
from cucmd.plan.resolve_capture import check_together, resolve_capture
from cucmd.plan.targets import Target, expand
from cucmd.protocol import structs
from cucmd.protocol.structs_check import CheckRequest
from cucmd.protocol.structs_clusters import DiscoverRequest
from cucmd.protocol.structs_commands import CaptureRequest, RunRequest
from cucmd.store import Discovery
from cucmd.vos import capture

log = logging.getLogger(__name__)

# A cluster has at most 21 nodes: this is every cluster of a large company at once.
MOST_NODES = 1000
MOST_NAMED = 10  # nodes in a message
# The requests for a job on nodes and clusters that are named.
OnNodes: TypeAlias = structs.StartRequest | RunRequest | CheckRequest | CaptureRequest
# A job, and the tasks of its nodes in the order of the nodes. None: the node has settled.
Planned: TypeAlias = tuple[Job, tuple[NodeTask | None, ...]]


class Planner:
    """Plans jobs with one configuration. A reload makes a new planner.

    `environ` and `directory` (the folder of a job) are those of the daemon.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], directory: Callable[[str], Path]
    ) -> None:
        self._config = config
        self._environ = environ
        self._directory = directory

    def plan(self, request: structs.StartRequest, discoveries: Sequence[Discovery] = ()) -> Planned:
        """The job of a request, and the tasks of its nodes in the order of the nodes.

        `discoveries`: the newest first; needed where `needs_discoveries` says so.

        Raises `InvalidValue`, `UnknownProfile`, `UnknownCredential`, `CredentialRefused`.
        """
        now = datetime.now(UTC)
        nodes = self._expanded(request, discoveries)
        work = resolve_collection(
            request.collection,
            self._config,
            now,
            only=request.only,
            added=request.added_paths,
            snapshot=request.snapshot,
            written_for=request.written_for,
        )
        work = with_hours(work, now)
        return self._on_nodes(request, nodes, DryRun(work) if request.dry_run else work, now)

    def plan_run(self, request: RunRequest, discoveries: Sequence[Discovery] = ()) -> Planned:
        """The job that runs commands. Raises as `plan`, and `InvalidValue` for a command that is
        not one of the forms.
        """
        seconds = None if request.timeouts is None else request.timeouts.command
        work = Run(resolve_commands(request.commands), seconds)
        nodes = self._expanded(request, discoveries)
        return self._on_nodes(request, nodes, work, datetime.now(UTC))

    def plan_check(self, request: CheckRequest, discoveries: Sequence[Discovery] = ()) -> Planned:
        """The job that checks nodes. Raises as `plan`."""
        nodes = self._expanded(request, discoveries)
        return self._on_nodes(request, nodes, Check(bool(request.receiver)), datetime.now(UTC))

    def plan_capture(
        self, request: CaptureRequest, discoveries: Sequence[Discovery] = ()
    ) -> Planned:
        """The job that captures packets on all nodes at once. Raises as `plan`, and `InvalidValue`
        for more nodes than may run at once, or a duration that ends after a deadline.
        """
        job_id = _new_id()
        work = resolve_capture(request, f"{capture.PREFIX}{job_id}")
        nodes = self._expanded(request, discoveries)
        job, tasks = self._on_nodes(request, nodes, work, datetime.now(UTC), job_id=job_id)
        check_together(job, tasks, self._config.limits.connections)
        return replace(job, concurrency=len(job.nodes)), tasks

    def _on_nodes(
        self,
        request: OnNodes,
        nodes: Sequence[Target],
        work: Work,
        now: datetime,
        *,
        job_id: str | None = None,
    ) -> Planned:
        job = self._job(request, request.nodes, nodes, work, now, job_id=job_id)
        job = replace(
            job,
            concurrency=resolve_concurrency(request.concurrency, job.concurrency),
            try_all=bool(request.try_all),
            accept_nodes=bool(request.accept_nodes),
        )
        return job, self._tasks(job, Logins(self, request.login))

    def _expanded(self, request: OnNodes, discoveries: Sequence[Discovery]) -> Sequence[Target]:
        """The nodes of a request. Raises `InvalidValue`."""
        if len(request.nodes) > MOST_NODES:
            raise InvalidValue(
                "nodes", f"{len(request.nodes)} names; at most {MOST_NODES} in a job"
            )
        nodes = expand(self._config, discoveries, request.nodes, request.discovered or ())
        if len(nodes) > MOST_NODES:
            raise InvalidValue("nodes", f"{len(nodes)} nodes; at most {MOST_NODES} in a job")
        return nodes

    def plan_discovery(self, request: DiscoverRequest) -> Planned:
        """The job that asks one node for its cluster: the publisher, where a cluster is named.

        Raises as `plan`.
        """
        nodes = (Target(self._publisher(request.publisher)),)
        job = self._job(request, (request.publisher,), nodes, Discover(), datetime.now(UTC))
        return job, self._tasks(job, Logins(self, request.login))

    def _publisher(self, name: str) -> str:
        cluster = self._config.clusters.get(name)
        if cluster is not None and cluster.publisher is None:
            reason = "the cluster has no publisher in the configuration; name one of its nodes"
            raise InvalidValue("publisher", found(name, reason))
        node = name if cluster is None else cluster.publisher or name
        try:
            parse_node(node)
        except InvalidNode as error:
            raise InvalidValue("publisher", found(name, str(error))) from None
        return node

    def _job(
        self,
        request: OnNodes | DiscoverRequest,
        targets: Sequence[str],
        nodes: Sequence[Target],
        work: Work,
        now: datetime,
        *,
        job_id: str | None = None,
    ) -> Job:
        """`targets`: the names of the request. `nodes`: what they stand for. `job_id`: as the work
        has it already; None: a new one.
        """
        whole = self._config.for_job([one.named_by or one.node for one in nodes])
        marked = marked_nodes([one.node for one in nodes])
        asked = asdict(request.timeouts or structs.Timeouts())
        return Job(
            job_id=job_id or _new_id(),
            created_at=now,
            work=work,
            timeouts=resolve_timeouts(request.timeouts, whole.timeouts),
            concurrency=whole.limits.concurrency,
            nodes=tuple(
                Node(one.node, marked=one.node in marked, named_by=one.named_by) for one in nodes
            ),
            username=request.login.username,
            credential=request.login.credential,
            resumable=request.login.password is None,
            timeouts_asked=tuple(name for name, value in asked.items() if value is not None),
            request_id=request.request_id,
            targets=tuple(dict.fromkeys(targets)),
            labels=labels.checked(request.labels or {}),
        )

    def plan_retry(self, job: Job, *, request: structs.RetryRequest) -> Planned:
        """The job of a request to try it again, and the tasks of the nodes that are tried.

        Raises as `plan`, and `UnknownNode`.
        """
        again = job.retry(tried_again(job, request.nodes))
        login = request.login or structs.Login()
        if login.password is None and login.credential is None:
            if not job.resumable:
                reason = "is missing: the password of the job was typed in, and was not kept"
                raise InvalidValue("login", reason)
            login = structs.Login(login.username or job.username, None, job.credential)
        again = replace(
            again,
            username=login.username,
            credential=login.credential,
            resumable=login.password is None,
            try_all=bool(request.try_all),
        )
        return again, self._tasks(again, Logins(self, login))

    def replan(self, job: Job) -> tuple[NodeTask | None, ...] | None:
        """The tasks of a job that was not finished before a restart. None if it cannot go on.

        A settled node has no task. The credential that it used need not be there any more.
        """
        if not job.goes_on:
            return None
        logins = Logins(self, structs.Login(username=job.username, credential=job.credential))
        try:
            return self._tasks(job, logins)
        except (InvalidValue, UnknownCredential, CredentialRefused) as error:
            log.error("job %s cannot go on: %s", job.job_id, error)  # noqa: TRY400  no defect
            return None

    def credential(self, name: str) -> Credential:
        return load_credential(name, self._config.credentials.directory, self._environ)

    def may_send(self, credential: str, node: Node, *, accepted: bool) -> bool:
        """`accepted`: also to a node that was named by one to which it may be sent."""
        named_by = node.named_by if accepted else None
        names = (node.node,) if named_by is None else (node.node, named_by)
        return any(self._config.may_send(credential, *parse_node(name)) for name in names)

    def _settings(self, node: Node) -> NodeSettings:
        """Those of the configuration; of a node that is not in it, those of the one that has named
        it.
        """
        own = self._config.for_node(*parse_node(node.node))
        if own.cluster is not None or node.named_by is None:
            return own
        return self._config.for_node(*parse_node(node.named_by))

    def _tasks(self, job: Job, logins: Logins) -> tuple[NodeTask | None, ...]:
        """The tasks in the order of the nodes; None for one that has settled."""
        self._check_accepted(job, logins)
        whole = self._config.for_job([node.named_by or node.node for node in job.nodes])
        allowance = Allowance(whole.limits.job_bytes, job.bytes_counted)
        overrides = asked_timeouts(job, whole.timeouts)
        return tuple(
            None if node.settled else self._task(job, node, logins, overrides, allowance)
            for node in job.nodes
        )

    def _check_accepted(self, job: Job, logins: Logins) -> None:
        """Raises `InvalidValue` that names the nodes to which a credential may not be sent, and
        might be if they were accepted.
        """
        for name, nodes in self._by_credential(job, logins).items():
            refused = [
                node.node
                for node in nodes
                if not self.may_send(name, node, accepted=job.accept_nodes)
                and self.may_send(name, node, accepted=True)
            ]
            if refused:
                named = ", ".join(refused[:MOST_NAMED])
                more = f" and {len(refused) - MOST_NAMED} more" if refused[MOST_NAMED:] else ""
                reason = (
                    f"is tied to other nodes than {named}{more}, which a discovery has named; "
                    "accept them (--accept-nodes), or put them into the configuration"
                )
                raise InvalidValue("login.credential", found(name, reason))

    def _by_credential(self, job: Job, logins: Logins) -> dict[str, list[Node]]:
        """The nodes that a discovery has named, by the credential that is sent to them."""
        nodes: dict[str, list[Node]] = {}
        for node in job.nodes:
            if node.named_by is None or node.settled:
                continue
            if (name := logins.credential_for(self._settings(node))) is not None:
                nodes.setdefault(name, []).append(node)
        return nodes

    def _task(
        self,
        job: Job,
        node: Node,
        logins: Logins,
        overrides: structs.Timeouts,
        allowance: Allowance,
    ) -> NodeTask:
        host, port = parse_node(node.node)
        settings = self._settings(node)
        retry = self._config.retry
        return NodeTask(
            job_id=job.job_id,
            node=node.node,
            host=host,
            port=port,
            login=logins.of(node, settings, accepted=job.accept_nodes),
            work=job.work,
            timeouts=resolve_timeouts(overrides, settings.timeouts),
            retry=Retry(retry.attempts, retry.base, retry.cap),
            folder=self._directory(job.job_id) / folder_of(node.node, marked=node.marked),
            first_attempt=node.attempt + 1,
            advertise=self._config.receiver.advertise,
            host_keys=settings.ssh.host_keys,
            legacy_algorithms=settings.ssh.legacy_algorithms,
            sessions=settings.limits.sessions_per_node,
            quota=Quota(Allowance(settings.limits.node_bytes, node.bytes_received), allowance),
            asked_at=job.created_at,
            credential=(job.credential or settings.credential) if job.resumable else None,
            cluster=settings.cluster,
            may_run=node.captures_before,
        )


def _new_id() -> str:
    return secrets.token_hex(6)
