"""`Client`: has the daemon's methods as Python methods, blocking, over its Unix socket.

What those that are `asked` take, do and raise is in `methods.py`. Each that gives an iterator has
its own connection, opened at the first step and closed with it, so that the client can be used for
other calls meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, signature
from typing import Concatenate, ParamSpec, TypeVar

from msgspec.structs import replace

from cucmctl.client import methods
from cucmctl.client.calls import Calls
from cucmctl.client.cluster import discover_first
from cucmctl.client.errors import ProtocolError
from cucmctl.client.method_call import MethodCall
from cucmctl.client.methods import UNFINISHED
from cucmctl.client.reconnect import DEFAULT, ReconnectListener, watch
from cucmctl.export.received import Export
from cucmd.job.asked import Collection, How, Login
from cucmd.job.kind import AskedWork
from cucmd.protocol import cases, jobs

P = ParamSpec("P")
T = TypeVar("T")


def _method_for(make: Callable[P, MethodCall[T]]) -> Callable[Concatenate[Calls, P], T]:
    """Makes a method that makes this call, and returns what it gives. It is documented as `make`
    is.
    """

    def method(self: Calls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.ask(make(*args, **kwargs))

    method.__name__ = make.__name__
    method.__qualname__ = f"Client.{make.__name__}"
    method.__doc__ = make.__doc__
    of = signature(make)
    itself = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    result = of.return_annotation.removeprefix("MethodCall[").removesuffix("]")
    vars(method)["__signature__"] = of.replace(
        parameters=[itself, *of.parameters.values()], return_annotation=result
    )
    return method


class Client(Calls):
    """Calls the daemon over a connection, opened by the first call and again after its restart.

    socket   its path; None: `$CUCMD_SOCKET`, the system's socket or the user's own
    timeout  seconds that one call may take; None: no limit. `watch` has its own.

    Every method raises `ClientError`: `DaemonUnavailable`, `ProtocolError`, or a `Refused` with the
    name of the daemon's error (`JobNotFound`, `InvalidRequest`, ...). A client must not be used by
    several threads at once.
    """

    start = _method_for(methods.start)
    collect = _method_for(methods.collect)
    run = _method_for(methods.run)
    check = _method_for(methods.check)
    health = _method_for(methods.health)
    capture = _method_for(methods.capture)
    follow = _method_for(methods.follow)
    discover = _method_for(methods.discover)
    retry = _method_for(methods.retry)
    status = _method_for(methods.status)
    list = _method_for(methods.list)
    list_page = _method_for(methods.list_page)
    cancel = _method_for(methods.cancel)
    stop = _method_for(methods.stop)
    label = _method_for(methods.label)
    delete = _method_for(methods.delete)
    prune = _method_for(methods.prune)
    clusters = _method_for(methods.clusters)
    profiles = _method_for(methods.profiles)
    credentials = _method_for(methods.credentials)
    host_keys = _method_for(methods.host_keys)
    add_host_key = _method_for(methods.add_host_key)
    forget_host_key = _method_for(methods.forget_host_key)
    reload = _method_for(methods.reload)

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
        how = how or How()
        discover_first(self, cluster, login=login, timeouts=how.timeouts, tell=tell)
        how = replace(how, discovered=(cluster,))
        return self.start([cluster], work, login=login, how=how)

    def watch(
        self,
        job_id: str | None = None,
        *,
        timeout: float | None = None,
        changes: bool = False,
        answer_within: float | None = None,
    ) -> Iterator[jobs.WatchReply]:
        """Yields the state now, then every change, until the job ends. All jobs: without end.

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
        first_deadline = deadline
        if answer_within is not None and (timeout is None or answer_within < timeout):
            first_deadline = now + answer_within
        yield from self._stream(methods.watch(job_id, changes=changes), deadline, first_deadline)

    def wait(
        self, job_id: str, *, timeout: float | None = None, reconnect: float | None = None
    ) -> jobs.Job:
        """Waits until the job has ended, without polling. Returns it. Raises as `watch` does.

        It goes on after a restart of the daemon, if that is back within `reconnect` seconds; None:
        60 s. 0: it raises `DaemonUnavailable` at once.
        """
        wait = DEFAULT if reconnect is None else reconnect
        job: jobs.Job | None = None
        for change in watch(self, job_id, ReconnectListener(), timeout=timeout, reconnect=wait):
            job = change.job or job
        if job is None or job.status in UNFINISHED:
            raise ProtocolError(f"the watch of job {job_id} ended before the job did")
        return job

    def files(self, job_id: str, nodes: Sequence[str] | None = None) -> Iterator[cases.File]:
        """Yields the received files of a job, or of some of its nodes, by node and path.

        Raises `JobNotFound`, `NodeNotFound`.
        """
        return self._stream(methods.files(job_id, nodes))

    def output(
        self, job_id: str, nodes: Sequence[str] | None = None, *, follow: bool = False
    ) -> Iterator[cases.CommandOutput]:
        """Yields what the ended commands of a job have printed on its nodes, or on these. Other
        commands of the same node may still run. `follow`: as it comes, until the nodes have ended.

        An output comes in pieces, the last of which has `ended` and what was `parsed`.
        Raises `JobNotFound`, `NodeNotFound`.
        """
        return self._stream(methods.output(job_id, nodes, follow=follow))

    def transcript(self, job_id: str, node: str, *, follow: bool = False) -> Iterator[str]:
        """Yields what was said on a node, in pieces. With `follow` until the node has ended.

        Raises `JobNotFound`, `NodeNotFound`.
        """
        return self._stream(methods.transcript(job_id, node, follow=follow))

    def export(
        self,
        job_id: str,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        after: str | None = None,
        suspect: Sequence[str] | None = None,
    ) -> Export:
        """Returns all of a job as one tar, as a stream of bytes: use it as a context manager, and
        `read`.

        `cucmctl.export.save.save` makes a zip or a folder of it.
        `after`: only what is behind the file of this name, up to the end of the tar.
        `suspect`: names of files that `save` found to be `Damaged`. The daemon reads them again,
        and leaves those out that are, which the summary names.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, `StorageFailed`.
        """
        call = methods.export(
            job_id, nodes=nodes, incomplete=incomplete, after=after, suspect=suspect
        )
        return Export(*self._upgraded(call))

    def verify(
        self, job_id: str, nodes: Sequence[str] | None = None
    ) -> Iterator[cases.VerifyReply]:
        """Has the daemon compare each complete file with its checksum. Gives how far it is, and
        which files are wrong since the last time. Closing the iterator ends it.

        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`.
        """
        return self._stream(methods.verify(job_id, nodes))
