"""Makes a job of a request, and a task for each of its nodes.

Whatever can be refused is refused here, before the job exists. Passwords are put into the tasks and
nowhere else. The login of a node is that of the request, or the credential of the node's cluster,
which is not sent to a node that it may not be sent to.
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
    ClusterSettings,
    Config,
    CredentialRefused,
    InvalidValue,
    UnknownCredential,
    load_credential,
    wrong_value,
)
from cucmd.job import work_request
from cucmd.job.job import Job
from cucmd.job.kind import WorkRequest
from cucmd.job.node import Node
from cucmd.jobs.job_errors import position_of
from cucmd.node.ports import Credentials, NodeTask, Retry
from cucmd.node_name import folder_of, marked_nodes, parse_node
from cucmd.plan import labels
from cucmd.plan.resolve import check_simultaneous, planned, resolve_concurrency, resolve_timeouts
from cucmd.plan.targets import expand
from cucmd.store import StoredDiscovery

log = logging.getLogger(__name__)

# A cluster has at most 21 nodes: this is every cluster of a large company at once.
MOST_NODES = 1000
LONGEST_NAME = 64  # of a user; a platform administrator's is shorter
LONGEST_SECRET = 1024  # of a password: it is in memory until its job has ended
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
        login: work_request.Login,
        work: WorkRequest,
        how: work_request.How,
        discoveries: Sequence[StoredDiscovery] = (),
    ) -> Planned:
        """Plans the job that is asked for, and the tasks of its nodes in the order of the nodes.

        `names`: of nodes and clusters. `discoveries`: the newest first; needed where
        `needs_discoveries` says so.

        Raises `InvalidValue`, `UnknownProfile`, `UnknownCredential`, `CredentialRefused`.
        """
        now, job_id = datetime.now(UTC), secrets.token_hex(6)
        nodes = self._nodes(names, work, how, discoveries)
        whole = self._config.for_job([node.named_by or node.node for node in nodes])
        timeouts = asdict(how.timeouts or work_request.Timeouts())
        job = Job(
            job_id=job_id,
            created_at=now,
            work=planned(work, self._config, now, job_id, how.timeouts),
            timeouts=resolve_timeouts(how.timeouts, whole.timeouts),
            concurrency=resolve_concurrency(how.concurrency, whole.limits.concurrency),
            nodes=nodes,
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
        tasks = self._tasks(job, login)
        if job.work.simultaneous:
            check_simultaneous(job, tasks, self._config.limits.connections)
            job = replace(job, concurrency=len(job.nodes))
        return job, tasks

    def _nodes(
        self,
        names: Sequence[str],
        work: WorkRequest,
        how: work_request.How,
        discoveries: Sequence[StoredDiscovery],
    ) -> tuple[Node, ...]:
        """Finds the nodes that the names stand for. Raises `InvalidValue`."""
        if len(names) > MOST_NODES:
            raise InvalidValue("nodes", f"{len(names)} names; at most {MOST_NODES} in a job")
        if work.one_node:
            for member in ("discovered", "accept_nodes"):
                if getattr(how, member):
                    raise InvalidValue(member, "a discovery asks one node, which is named itself")
            clusters = self._config.clusters
            names = [f"{name}:publisher" if name in clusters else name for name in names]
        nodes = expand(self._config, discoveries, names, how.discovered or ())
        if work.one_node and len(nodes) != 1:
            raise InvalidValue("nodes", f"are {len(nodes)} nodes; one says which there are")
        if len(nodes) > MOST_NODES:
            raise InvalidValue("nodes", f"{len(nodes)} nodes; at most {MOST_NODES} in a job")
        marked = marked_nodes([node.node for node in nodes])
        return tuple(replace(node, marked=node.node in marked) for node in nodes)

    def plan_retry(
        self,
        job: Job,
        *,
        names: Sequence[str] | None,
        login: work_request.Login | None,
        try_all: bool,
    ) -> Planned:
        """Plans another try of the job, and the tasks of the nodes that are tried: those of these
        names, or all that did not succeed.

        Raises as `plan`, and `UnknownNode`.
        """
        if names is None:
            tried = {at for at, node in enumerate(job.nodes) if node.status != "succeeded"}
            if not tried:
                reason = f"those of job {job.job_id} have all succeeded"
                raise InvalidValue("nodes", f"{reason}; there is nothing to try again")
        else:
            positions = {name: position_of(job, name) for name in names}
            for name, position in positions.items():
                if job.nodes[position].status == "succeeded":
                    reason = "has succeeded; there is nothing to try again"
                    raise InvalidValue("nodes", wrong_value(name, reason))
            tried = set(positions.values())
        again = job.retry(frozenset(tried))
        login = login or work_request.Login()
        if login.password is None and login.credential is None:
            if not job.resumable:
                reason = "is missing: the password of the job was typed in, and was not kept"
                raise InvalidValue("login", reason)
            login = work_request.Login(login.username or job.username, None, job.credential)
        again = replace(
            again,
            username=login.username,
            credential=login.credential,
            resumable=login.password is None,
            try_all=try_all,
        )
        return again, self._tasks(again, login)

    def replan(self, job: Job) -> tuple[NodeTask | None, ...] | None:
        """Plans the tasks of a job that was not finished before a restart. None if it cannot go on.

        A settled node has no task. The credential that it used need not be there any more.
        """
        if not job.survives_restart:
            return None
        login = work_request.Login(username=job.username, credential=job.credential)
        try:
            return self._tasks(job, login)
        except (InvalidValue, UnknownCredential, CredentialRefused) as error:
            log.error("job %s cannot go on: %s", job.job_id, error)  # noqa: TRY400  no defect
            return None

    def _tasks(self, job: Job, login: work_request.Login) -> tuple[NodeTask | None, ...]:
        """Makes the tasks in the order of the nodes; None for one that has settled."""
        logins = Logins(self._config, self._environ, login)
        logins.check_accepted(job)
        whole = self._config.for_job([node.named_by or node.node for node in job.nodes])
        allowance = Allowance(whole.limits.job_bytes, job.quota_bytes)
        # They hold on every node; the others are those of its cluster.
        overrides = work_request.Timeouts(
            **{name: getattr(job.timeouts, name) for name in job.timeouts_asked}
        )
        retry = self._config.retry
        tasks: list[NodeTask | None] = []
        for node in job.nodes:
            if node.settled:
                tasks.append(None)
                continue
            host, port = parse_node(node.node)
            settings = self._config.for_node(node.node, node.named_by)
            own = Allowance(settings.limits.node_bytes, node.bytes_received)
            task = NodeTask(
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
                quota=Quota(own, allowance),
                asked_at=job.created_at,
                credential=(job.credential or settings.credential) if job.resumable else None,
                cluster=settings.name or None,
                may_run=node.may_run,
            )
            tasks.append(task)
        return tuple(tasks)


class Logins:
    """Finds the login for each node: that of the request, or the credential of the node's cluster.

    Raises `InvalidValue` if the request has none that could be used.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], login: work_request.Login
    ) -> None:
        self._config = config
        self._environ = environ
        self._login = login
        self._read: dict[str, work_request.Login] = {}
        if login.password is not None and login.credential is not None:
            raise InvalidValue("login", "has a password and a credential; expected one of them")
        if login.password is not None and not login.username:
            raise InvalidValue("login.username", "is missing beside the password")
        name = login.username or ""
        if len(name) > LONGEST_NAME or not name.isprintable():
            expected = f"expected at most {LONGEST_NAME} printable characters"
            raise InvalidValue("login.username", wrong_value(name, expected))
        if (password := login.password) is not None:
            if len(password) > LONGEST_SECRET:
                reason = f"has more than {LONGEST_SECRET} characters"
                raise InvalidValue("login.password", reason)
            if not password or any(character in password for character in "\r\n\0"):
                reason = "is empty or holds a line break; the value is not shown"
                raise InvalidValue("login.password", reason)

    def check_accepted(self, job: Job) -> None:
        """Raises `InvalidValue` that names the nodes to which a credential may not be sent, and
        might be if they were accepted: those that a discovery has named.
        """
        if self._login.password is not None or job.accept_nodes:
            return
        refused: dict[str, list[str]] = {}
        for node in job.nodes:
            if node.named_by is None or node.settled:
                continue
            settings = self._config.for_node(node.node, node.named_by)
            name = self._login.credential or settings.credential
            if name is None or self._config.may_send(name, node.node):
                continue
            if self._config.may_send(name, node.named_by):
                refused.setdefault(name, []).append(node.node)
        for name, nodes in refused.items():
            named = ", ".join(nodes[:MOST_NAMED])
            more = f" and {len(nodes) - MOST_NAMED} more" if nodes[MOST_NAMED:] else ""
            reason = (
                f"is tied to other nodes than {named}{more}, which a discovery has named; "
                "accept them (--accept-nodes), or put them into the configuration"
            )
            raise InvalidValue("login.credential", wrong_value(name, reason))

    def of(self, node: Node, settings: ClusterSettings, *, accepted: bool) -> Credentials:
        """Returns the login for this node. `accepted`: also for one that was named by a node to
        which the credential may be sent.

        Raises `InvalidValue`, `UnknownCredential`, `CredentialRefused`.
        """
        login = self._login
        if login.password is not None:
            return Credentials(login.username or "", login.password)
        name = login.credential or settings.credential
        if name is None:
            raise InvalidValue("login", "has neither a password nor a credential")
        takers = (node.node, node.named_by if accepted else None)
        if not any(self._config.may_send(name, taker) for taker in takers if taker):
            reason = f"is tied to other nodes than {node.node} by the configuration"
            raise InvalidValue("login.credential", wrong_value(name, reason))
        if name not in self._read:
            try:
                directory = self._config.credentials.directory
                self._read[name] = load_credential(name, directory, self._environ)
            except UnknownCredential as missing:
                cluster = (settings.name or None) if login.credential is None else None
                raise UnknownCredential(name, missing.reason, cluster) from None
        read = self._read[name]
        username = login.username or read.username
        if not username:
            raise InvalidValue("login.username", f"is missing, and credential '{name}' has none")
        assert read.password is not None, "a credential has one"
        return Credentials(username, read.password)
