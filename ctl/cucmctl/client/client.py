"""`Client`: the methods of the daemon as blocking Python methods, over its Unix socket.

Methods that are made by `_method_for` are described in `methods.py`: what they take, do and raise.
Every method that returns an iterator uses a connection of its own, opened at the first step and
closed with the iterator, so that the client can make other calls meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
from cucmd.job.kind import WorkRequest
from cucmd.job.work_request import Collection, How, Login
from cucmd.protocol import cases, jobs

P = ParamSpec("P")
T = TypeVar("T")


def _method_for(make: Callable[P, MethodCall[T]]) -> Callable[Concatenate[Calls, P], T]:
    """Returns a method of `Client` that makes the call which `make` builds, and returns the result.

    The method has the name and documentation of `make`.
    """

    def method(self: Calls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.ask(make(*args, **kwargs))

    method.__name__ = make.__name__
    method.__qualname__ = f"Client.{make.__name__}"
    method.__doc__ = make.__doc__
    vars(method)["make"] = make
    return method


class Client(Calls):
    """Calls the daemon over a connection, opened by the first call and again after its restart.

    socket   path of the socket; without it $CUCMD_SOCKET, the user's own socket, or the system's
    timeout  seconds that one call may take, or None for no limit; `watch` has another one

    Every method raises `ClientError`: `DaemonUnavailable`, `ProtocolError`, or a `Refused` with the
    name of the daemon's error (`JobNotFound`, `InvalidRequest`, ...). Threads must not share a
    client.
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
    all_logins = _method_for(methods.all_logins)
    keep_login = _method_for(methods.keep_login)
    forget_login = _method_for(methods.forget_login)
    host_keys = _method_for(methods.host_keys)
    add_host_key = _method_for(methods.add_host_key)
    forget_host_key = _method_for(methods.forget_host_key)
    figures = _method_for(methods.figures)
    reload = _method_for(methods.reload)

    def start_cluster(
        self,
        cluster: str,
        work: WorkRequest | Collection,
        *,
        login: Login,
        how: How | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> jobs.Job:
        """Asks for the nodes of a cluster, and starts a job on all of them. Blocks meanwhile.

        cluster  a cluster of the configuration, or a node of a cluster
        tell     is called with messages for people: which nodes are new or gone, and that the
                 cluster did not answer, so that the nodes of its last answer are used

        The other parameters, and the exceptions, are those of `start`, `discover` and `wait`.
        Also raises `DiscoveryFailed`.
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
        """Yields the current state, then every change, until the job ends. Without `job_id`, yields
        the states and changes of all jobs, and never ends.

        timeout        seconds for everything; then `TimeoutError` is raised, and the job goes on
        changes        after the first reply send only `change`, with the nodes that differ, and
                       not the whole job; a watch of all jobs begins with those that run or wait
        answer_within  seconds for the first reply; then `DaemonUnavailable` is raised

        `missed` of a reply counts the changes that were left out because the reader was slow. The
        state in that reply is current. Also raises `JobNotFound`.

        The iterator ends with its connection: `sequence` counts from the beginning of a connection,
        and changes while the daemon is away are not sent later. `cucmctl.client.reconnect.watch`
        goes on after a restart, with the state at that time; a `Job.revision` that has grown shows
        that changes were missed.
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
        """Waits until the job has ended, and returns it. Raises what `watch` raises.

        reconnect  seconds within which a daemon that went away must be back, 60 if None; with 0,
                   `DaemonUnavailable` is raised at once
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

        Raises `JobNotFound` and `NodeNotFound`.
        """
        return self._stream(methods.files(job_id, nodes))

    def output(
        self, job_id: str, nodes: Sequence[str] | None = None, *, follow: bool = False
    ) -> Iterator[cases.CommandOutput]:
        """Yields what the commands of a job have printed, on all of its nodes or on `nodes`.

        Only commands that have ended are included; others may still run on the same node. With
        `follow` the outputs are yielded as they come, until the nodes have ended. An output comes
        in pieces; the last piece has `ended`, and the fields that could be `parsed`.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, and `InvalidRequest` for a job without
        commands.
        """
        return self._stream(methods.output(job_id, nodes, follow=follow))

    def transcript(self, job_id: str, node: str, *, follow: bool = False) -> Iterator[str]:
        """Yields the dialogue with a node, in pieces. With `follow`, until the node has ended.

        Raises `JobNotFound` and `NodeNotFound`.
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
        found: cases.Search | None = None,
    ) -> Export:
        """Returns everything of a job as one tar, as a stream of bytes.

        Use the result as a context manager, and `read` it; or give it to
        `cucmctl.export.save.save`, which makes a zip or a folder.

        after    the name of a file of this export: only what follows this file is sent
        suspect  names of files that `save` reported as `Damaged`: the daemon reads them again, and
                 leaves out those that are damaged; the summary names them
        found    only files with a line that this finds; they are searched before this returns

        Raises `JobNotFound`, `NodeNotFound`, `InvalidRequest`, `JobBusy` and `StorageFailed`.
        """
        call = methods.export(
            job_id,
            nodes=nodes,
            incomplete=incomplete,
            after=after,
            suspect=suspect,
            found=found,
        )
        return Export(*self._upgrade(call))

    def find(
        self,
        job_id: str,
        search: cases.Search,
        *,
        nodes: Sequence[str] | None = None,
        context: int | None = None,
        files: bool = False,
    ) -> Iterator[cases.FindReply]:
        """Lets the daemon search the files of a job, or of some of its nodes.

        context  how many lines before and behind each match are wanted
        files    yield the files with the number of their matches, instead of the matches

        Yields the matches in the order of time, and how much was searched. The last reply says
        what is missing. Closing the iterator ends the search.
        Raises `JobNotFound`, `NodeNotFound`, `InvalidRequest` and `JobBusy`.
        """
        return self._stream(methods.find(job_id, search, nodes=nodes, context=context, files=files))

    def verify(
        self, job_id: str, nodes: Sequence[str] | None = None
    ) -> Iterator[cases.VerifyReply]:
        """Lets the daemon compare each complete file with its checksum.

        Yields the progress, and the files that were found to differ since the last step. Closing
        the iterator ends the comparison. Raises `JobNotFound`, `NodeNotFound` and `JobBusy`.
        """
        return self._stream(methods.verify(job_id, nodes))


def add_signatures() -> None:
    """Gives each method the signature of the function that builds its call, for `help`.

    The program `cucmctl` has no use for them, and `inspect` takes 10 ms to load.
    """
    from inspect import Parameter, signature  # noqa: PLC0415  # see above

    itself = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    for method in vars(Client).values():
        if make := getattr(method, "make", None):
            made = signature(make)
            result = made.return_annotation.removeprefix("MethodCall[").removesuffix("]")
            vars(method)["__signature__"] = made.replace(
                parameters=[itself, *made.parameters.values()], return_annotation=result
            )
