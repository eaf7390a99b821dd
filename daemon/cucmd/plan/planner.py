"""Makes a job from a request, and a task for each of its nodes.

Whatever can be refused is refused here, before the job exists. Passwords are put into the tasks and
nowhere else. The login of a node comes from the request, or is kept for the user who makes it
(`kept_logins.py`), or is the credential of the node's cluster. A credential is only sent to the
nodes that the configuration allows for it, a kept login only to the nodes for which it is kept.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
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
from cucmd.plan.kept_logins import Kept, KeptLogin, find_kept
from cucmd.plan.known_clusters import describe_nodes
from cucmd.plan.resolve import (
    check_simultaneous,
    resolve_concurrency,
    resolve_timeouts,
    resolve_work,
)
from cucmd.plan.targets import expand_names
from cucmd.store import StoredDiscovery

log = logging.getLogger(__name__)

# The most nodes of a job. A cluster has at most 21 nodes, so this is enough for all clusters of a
# large company.
MOST_NODES = 1000
LONGEST_NAME = 64  # characters of a username; that of a platform administrator is shorter
LONGEST_SECRET = 1024  # characters of a password, which is in memory until its job has ended
MOST_NAMED = 10  # nodes that a message names
# A job, and a task for each of its nodes. The task is None for a node that has settled.
Planned: TypeAlias = tuple[Job, tuple[NodeTask | None, ...]]
NOTHING_KEPT: Kept = MappingProxyType({})


class Planner:
    """Plans jobs with one configuration. A reload makes a new planner.

    environ    the environment of the daemon, which names the folder with credentials
    directory  returns the folder of the job with this id
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
        *,
        kept: Kept = NOTHING_KEPT,
    ) -> Planned:
        """Plans a job and the tasks of its nodes.

        names        names of nodes and clusters
        discoveries  the newest first
        kept         the logins that are kept for the user

        Raises `InvalidValue`, `UnknownProfile`, `UnknownCredential`, `CredentialRefused`.
        """
        now, job_id = datetime.now(UTC), secrets.token_hex(6)
        nodes = self._nodes(names, work, how, discoveries)
        whole = self._config.for_job([node.named_by or node.node for node in nodes])
        timeouts = asdict(how.timeouts or work_request.Timeouts())
        job = Job(
            job_id=job_id,
            created_at=now,
            work=resolve_work(work, self._config, now, job_id, how.timeouts),
            timeouts=resolve_timeouts(how.timeouts, whole.timeouts),
            concurrency=resolve_concurrency(how.concurrency, whole.limits.concurrency),
            nodes=nodes,
            timeouts_asked=tuple(name for name, value in timeouts.items() if value is not None),
            request_id=how.request_id,
            targets=tuple(dict.fromkeys(names)),
            labels=labels.check_labels(how.labels or {}),
            try_all=bool(how.try_all),
            accept_nodes=bool(how.accept_nodes),
        )
        job, tasks = self._plan_tasks(job, login, kept)
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
        """Returns the nodes for which the names stand. Raises `InvalidValue`."""
        if len(names) > MOST_NODES:
            reason = f"{len(names)} names were given; a job has at most {MOST_NODES} nodes"
            raise InvalidValue("nodes", reason)
        if work.one_node:
            for member in ("discovered", "accept_nodes"):
                if getattr(how, member):
                    raise InvalidValue(
                        member, "has no meaning for a discovery, which asks one node"
                    )
            clusters = self._config.clusters
            names = [f"{name}:publisher" if name in clusters else name for name in names]
        nodes = expand_names(self._config, discoveries, names, how.discovered or ())
        if work.one_node and len(nodes) != 1:
            raise InvalidValue("nodes", f"a discovery asks one node; {len(nodes)} were given")
        if len(nodes) > MOST_NODES:
            raise InvalidValue("nodes", f"{len(nodes)} nodes; a job has at most {MOST_NODES}")
        marked = marked_nodes([node.node for node in nodes])
        nodes = describe_nodes(self._config, discoveries, nodes)
        return tuple(replace(node, marked=node.node in marked) for node in nodes)

    def plan_retry(
        self,
        job: Job,
        *,
        names: Sequence[str] | None,
        login: work_request.Login | None,
        try_all: bool,
        kept: Kept = NOTHING_KEPT,
    ) -> Planned:
        """Plans another try of a job, and the tasks of the nodes that are tried again.

        These are the nodes with these names, or all nodes that did not succeed.
        Raises what `plan` raises, and `UnknownNode`.
        """
        if names is None:
            tried = {at for at, node in enumerate(job.nodes) if node.status != "succeeded"}
            if not tried:
                reason = f"all nodes of job {job.job_id} have succeeded"
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
            # Do not send a credential in place of a password that was typed in.
            only_kept = login.kept or not job.resumable
            credential = None if only_kept else job.credential
            username = login.username or job.username
            login = work_request.Login(username, None, credential, only_kept or None)
        return self._plan_tasks(replace(again, try_all=try_all), login, kept)

    def replan(self, job: Job) -> tuple[NodeTask | None, ...] | None:
        """Plans the tasks of a job that was not finished before a restart.

        Returns None if the job cannot go on. Settled nodes need no credential any more. The task is
        also None for a node whose login is not available, since the others can go on: the node may
        have left the configuration.
        """
        if not job.survives_restart:
            return None
        login = work_request.Login(username=job.username, credential=job.credential)
        try:
            tasks = self._plan_tasks(job, login, resuming=True)[1]
        except (InvalidValue, UnknownCredential, CredentialRefused) as error:
            log.error("job %s cannot go on: %s", job.job_id, error)  # noqa: TRY400  no defect
            return None
        return tasks if any(tasks) else None

    def _plan_tasks(
        self,
        job: Job,
        login: work_request.Login,
        kept: Kept = NOTHING_KEPT,
        *,
        resuming: bool = False,
    ) -> Planned:
        """Makes the tasks of the nodes, and notes in the job which login they have."""
        logins = Logins(self._config, self._environ, login)
        logins.choose(job, kept)
        job = replace(
            job,
            username=logins.username,
            credential=login.credential,
            resumable=logins.can_be_read_again,
        )
        whole = self._config.for_job([node.named_by or node.node for node in job.nodes])
        of_job = Allowance(whole.limits.job_bytes, job.quota_bytes)
        # The timeouts of the request apply to every node. The others come from its cluster.
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
            try:
                found = logins.find(node, settings, accepted=job.accept_nodes)
            except (InvalidValue, UnknownCredential, CredentialRefused) as error:
                if not resuming:
                    raise
                text = "job %s: the work on node %s cannot go on: %s"
                log.error(text, job.job_id, node.node, error)  # noqa: TRY400  no defect
                tasks.append(None)
                continue
            of_node = Allowance(settings.limits.node_bytes, node.bytes_received)
            task = NodeTask(
                job_id=job.job_id,
                node=node.node,
                host=host,
                port=port,
                login=found,
                forget_login=logins.forget_of(node),
                work=job.work,
                timeouts=resolve_timeouts(overrides, settings.timeouts),
                retry=Retry(retry.attempts, retry.base, retry.cap),
                folder=self._directory(job.job_id) / folder_of(node.node, marked=node.marked),
                first_attempt=node.attempt + 1,
                advertise=self._config.receiver.advertise,
                host_keys=settings.ssh.host_keys,
                legacy_algorithms=settings.ssh.legacy_algorithms,
                sessions=settings.limits.sessions_per_node,
                quota=Quota(of_node, of_job),
                asked_at=job.created_at,
                credential=(job.credential or settings.credential) if job.resumable else None,
                cluster=settings.name or None,
                may_run=node.may_run,
            )
            tasks.append(task)
        return job, tuple(tasks)


def check_login(login: work_request.Login) -> None:
    """Raises `InvalidValue` if the login of a request cannot be one."""
    if login.password is not None and login.credential is not None:
        raise InvalidValue("login", "has a password and a credential; give one of them")
    if login.password is not None and not login.username:
        raise InvalidValue("login.username", "is missing; a password needs a username")
    name = login.username or ""
    if len(name) > LONGEST_NAME or not name.isprintable():
        expected = f"expected at most {LONGEST_NAME} printable characters"
        raise InvalidValue("login.username", wrong_value(name, expected))
    if (password := login.password) is not None:
        if len(password) > LONGEST_SECRET:
            reason = f"has more than {LONGEST_SECRET} characters"
            raise InvalidValue("login.password", reason)
        if not password or any(character in password for character in "\r\n\0"):
            reason = "is empty or contains a line break; the value is not shown"
            raise InvalidValue("login.password", reason)


class Logins:
    """Finds the login for each node: from the request, a kept login, or the credential of the
    node's cluster. Call `choose` first.

    Raises `InvalidValue` if the login of the request is wrong.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], login: work_request.Login
    ) -> None:
        self._config = config
        self._environ = environ
        self._login = login
        self._read: dict[str, work_request.Login] = {}
        self._kept: dict[str, KeptLogin] = {}  # by the names of nodes
        self._missing = ("login", "has no password and no credential; give one of them")
        check_login(login)

    @property
    def username(self) -> str | None:
        """Returns the username of the request, or that of the only login that is kept."""
        names = {kept.login.username for kept in self._kept.values()}
        return names.pop() if len(names) == 1 else self._login.username

    @property
    def can_be_read_again(self) -> bool:
        """Says whether every password comes from a credential."""
        return self._login.password is None and not self._kept

    def choose(self, job: Job, kept: Kept) -> None:
        """Chooses the kept logins if the request has no other login, and they cover all nodes of
        the job. Otherwise none of them is used. Raises `InvalidValue`.
        """
        login = self._login
        if login.password is None and login.credential is None:
            nodes = [node for node in job.nodes if not node.settled]
            for node in nodes:
                found = find_kept(
                    self._config, kept, node, login.username, accepted=job.accept_nodes
                )
                if found is not None:
                    self._kept[node.node] = found
            outside = [node.node for node in nodes if node.node not in self._kept]
            if not outside:
                return
            if self._kept:
                reason = f"is not kept for {_listed(outside)}"
                if any(node.named_by for node in nodes):
                    reason += "; for nodes that a discovery has named, give --accept-nodes"
                self._missing = ("login.kept", reason)
            if login.kept:
                raise InvalidValue(*self._missing)
            self._kept = {}
        self._check_accepted(job)

    def forget_of(self, node: Node) -> Callable[[], None] | None:
        """Returns the function that forgets the kept login of this node, if it has one."""
        return self._kept[node.node].forget if node.node in self._kept else None

    def _check_accepted(self, job: Job) -> None:
        """Raises `InvalidValue` if a credential would be sent to nodes that a discovery has named,
        and the request does not accept such nodes. The error names these nodes.
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
            reason = (
                f"may not be sent to {_listed(nodes)}, which a discovery has named; "
                "accept them (--accept-nodes), or add them to the configuration"
            )
            raise InvalidValue("login.credential", wrong_value(name, reason))

    def find(self, node: Node, settings: ClusterSettings, *, accepted: bool) -> Credentials:
        """Returns the login for this node.

        With `accepted`, a credential that may be sent to a node may also be sent to the nodes that
        this node has named. Raises `InvalidValue`, `UnknownCredential`, `CredentialRefused`.
        """
        login = self._login
        if login.password is not None:
            return Credentials(login.username or "", login.password)
        if self._kept:
            return self._kept[node.node].login
        name = login.credential or settings.credential
        if name is None:
            raise InvalidValue(*self._missing)
        allowed_by = (node.node, node.named_by if accepted else None)
        if not any(self._config.may_send(name, allowed) for allowed in allowed_by if allowed):
            reason = f"may not be sent to {node.node}; the configuration ties it to other nodes"
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
            raise InvalidValue("login.username", f"is missing; credential '{name}' has none either")
        assert read.password is not None, "every credential has a password"
        return Credentials(username, read.password)


def _listed(nodes: Sequence[str]) -> str:
    """Returns the first nodes, and how many more there are."""
    named = ", ".join(nodes[:MOST_NAMED])
    return f"{named} and {len(nodes) - MOST_NAMED} more" if nodes[MOST_NAMED:] else named
