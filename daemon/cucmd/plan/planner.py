"""From a request to a job, and to a task for each of its nodes.

Whatever can be refused is refused here, before the job exists. Passwords are put into the tasks and
nowhere else.
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
    CredentialRefused,
    InvalidValue,
    NodeSettings,
    UnknownCredential,
    load_credential,
)
from cucmd.config.errors import found
from cucmd.job import asked
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.work import Work
from cucmd.node.ports import NodeTask, Retry
from cucmd.node_name import InvalidNode, folder_of, marked_nodes, parse_node
from cucmd.plan import labels
from cucmd.plan.again import asked_timeouts, tried_again
from cucmd.plan.logins import Logins
from cucmd.plan.resolve import (
    check_together,
    planned,
    resolve_concurrency,
    resolve_timeouts,
)
from cucmd.plan.targets import Target, expand
from cucmd.store import Discovery

log = logging.getLogger(__name__)

# A cluster has at most 21 nodes: this is every cluster of a large company at once.
MOST_NODES = 1000
MOST_NAMED = 10  # nodes in a message
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

    def plan(
        self,
        names: Sequence[str],
        login: asked.Login,
        work: asked.Asked,
        how: asked.How,
        discoveries: Sequence[Discovery] = (),
    ) -> Planned:
        """The job that is asked for, and the tasks of its nodes in the order of the nodes.

        `names`: of nodes and clusters. `discoveries`: the newest first; needed where
        `needs_discoveries` says so.

        Raises `InvalidValue`, `UnknownProfile`, `UnknownCredential`, `CredentialRefused`.
        """
        now, job_id = datetime.now(UTC), secrets.token_hex(6)
        if isinstance(work, asked.Discovery):
            _check_named_itself(how)
            nodes: Sequence[Target] = (Target(self._publisher(names)),)
        else:
            nodes = self._expanded(names, how.discovered or (), discoveries)
        what = planned(work, self._config, now, job_id, how.timeouts)
        job = self._job(job_id, names, nodes, login=login, work=what, how=how, now=now)
        tasks = self._tasks(job, Logins(self, login))
        if what.together:
            check_together(job, tasks, self._config.limits.connections)
            job = replace(job, concurrency=len(job.nodes))
        return job, tasks

    def _expanded(
        self, names: Sequence[str], discovered: Sequence[str], discoveries: Sequence[Discovery]
    ) -> Sequence[Target]:
        """The nodes that the names stand for. Raises `InvalidValue`."""
        if len(names) > MOST_NODES:
            raise InvalidValue("nodes", f"{len(names)} names; at most {MOST_NODES} in a job")
        nodes = expand(self._config, discoveries, names, discovered)
        if len(nodes) > MOST_NODES:
            raise InvalidValue("nodes", f"{len(nodes)} nodes; at most {MOST_NODES} in a job")
        return nodes

    def _publisher(self, names: Sequence[str]) -> str:
        """The one node that is asked for its cluster: the publisher, where a cluster is named."""
        if len(names) != 1:
            raise InvalidValue("nodes", f"has {len(names)} names; one node says which there are")
        name = names[0]
        cluster = self._config.clusters.get(name)
        if cluster is not None and cluster.publisher is None:
            reason = "the cluster has no publisher in the configuration; name one of its nodes"
            raise InvalidValue("nodes[0]", found(name, reason))
        node = name if cluster is None else cluster.publisher or name
        try:
            parse_node(node)
        except InvalidNode as error:
            raise InvalidValue("nodes[0]", found(name, str(error))) from None
        return node

    def _job(
        self,
        job_id: str,
        names: Sequence[str],
        nodes: Sequence[Target],
        *,
        login: asked.Login,
        work: Work,
        how: asked.How,
        now: datetime,
    ) -> Job:
        """`names`: of the request. `nodes`: what they stand for."""
        whole = self._config.for_job([one.named_by or one.node for one in nodes])
        marked = marked_nodes([one.node for one in nodes])
        timeouts = asdict(how.timeouts or asked.Timeouts())
        return Job(
            job_id=job_id,
            created_at=now,
            work=work,
            timeouts=resolve_timeouts(how.timeouts, whole.timeouts),
            concurrency=resolve_concurrency(how.concurrency, whole.limits.concurrency),
            nodes=tuple(
                Node(one.node, marked=one.node in marked, named_by=one.named_by) for one in nodes
            ),
            username=login.username,
            credential=login.credential,
            resumable=login.password is None,
            timeouts_asked=tuple(name for name, value in timeouts.items() if value is not None),
            request_id=how.request_id,
            targets=tuple(dict.fromkeys(names)),
            labels=labels.checked(how.labels or {}),
            try_all=bool(how.try_all),
            accept_nodes=bool(how.accept_nodes),
        )

    def plan_retry(
        self,
        job: Job,
        *,
        names: Sequence[str] | None,
        login: asked.Login | None,
        try_all: bool,
    ) -> Planned:
        """The job, tried again, and the tasks of the nodes that are tried: those of these names, or
        all that did not succeed.

        Raises as `plan`, and `UnknownNode`.
        """
        again = job.retry(tried_again(job, names))
        login = login or asked.Login()
        if login.password is None and login.credential is None:
            if not job.resumable:
                reason = "is missing: the password of the job was typed in, and was not kept"
                raise InvalidValue("login", reason)
            login = asked.Login(login.username or job.username, None, job.credential)
        again = replace(
            again,
            username=login.username,
            credential=login.credential,
            resumable=login.password is None,
            try_all=try_all,
        )
        return again, self._tasks(again, Logins(self, login))

    def replan(self, job: Job) -> tuple[NodeTask | None, ...] | None:
        """The tasks of a job that was not finished before a restart. None if it cannot go on.

        A settled node has no task. The credential that it used need not be there any more.
        """
        if not job.goes_on:
            return None
        logins = Logins(self, asked.Login(username=job.username, credential=job.credential))
        try:
            return self._tasks(job, logins)
        except (InvalidValue, UnknownCredential, CredentialRefused) as error:
            log.error("job %s cannot go on: %s", job.job_id, error)  # noqa: TRY400  no defect
            return None

    def credential(self, name: str) -> asked.Login:
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
        overrides: asked.Timeouts,
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
            may_run=node.may_run,
        )


def _check_named_itself(how: asked.How) -> None:
    """Of a discovery. Raises `InvalidValue`."""
    for name in ("discovered", "accept_nodes"):
        if getattr(how, name):
            raise InvalidValue(name, "a discovery asks one node, which is named itself")
