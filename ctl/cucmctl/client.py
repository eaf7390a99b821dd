"""`Client`: the daemon's methods as Python methods, blocking, over its Unix socket.

The one rule: requests and replies are defined once, in `cucmd.api.structs`. Nothing is renamed
here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from cucmctl.errors import DaemonUnavailable, ProtocolError, refusal
from cucmctl.wire import Call, Connection, Reply
from cucmd.api import structs
from cucmd.paths import socket_to_call

if TYPE_CHECKING:
    from types import TracebackType

R = TypeVar("R", bound=msgspec.Struct)

# Seconds. The daemon answers within milliseconds, but not if the host swaps or a disk is full.
CALL_TIMEOUT = 60.0
# Seconds without an answer after which systemd is asked whether the service has failed, each time.
# A call waits at the socket while the service starts, which takes one.
ASK_EVERY = 1.5


class Client:
    """A connection to the daemon, opened by the first call and again after a restart of the daemon.

    socket   its path; None: `$CUCMD_SOCKET`, the system's socket or the user's own
    timeout  seconds that one call may take; None: no limit. `watch` has its own.

    Every method raises `ClientError`: `DaemonUnavailable`, `ProtocolError`, or a `Refused` with the
    name of the daemon's error (`JobNotFound`, `InvalidRequest`, ...). A client must not be used by
    several threads at once.
    """

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, *, timeout: float | None = CALL_TIMEOUT
    ) -> None:
        found = socket_to_call(os.environ, os.getuid()) if socket is None else socket
        self._chosen = socket is not None or bool(os.environ.get("CUCMD_SOCKET"))
        self.socket = os.fspath(found)
        self.timeout = timeout
        self._connection: Connection | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection. Jobs go on. A later call opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def connect(self) -> None:
        """Opens the connection now, which shows whether there is a daemon. Raises `ClientError`."""
        self._connected(self._deadline())

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
    ) -> structs.Job:
        """Starts a job. Returns once the daemon has it on disk; its nodes run on.

        `request_id`: a text of yours for tracing; the daemon logs it and keeps it with the job.
        `labels`: to find the job by. `start_key`: a call with a key of an earlier one of this user
        gives the job that was started then.
        Raises `InvalidRequest`, `ProfileNotFound`, `CredentialNotFound`, `LimitReached`,
        `ShuttingDown`; `TypeError` for a text where several are expected.
        """
        chosen = _texts("nodes", nodes)
        if collection.paths is not None:
            _texts("collection.paths", collection.paths)
        request = structs.StartRequest(
            chosen,
            login,
            collection,
            timeouts,
            concurrency,
            request_id,
            None if labels is None else dict(labels),
            start_key,
        )
        return self.call("Start", request, structs.StartReply).job

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
    ) -> tuple[structs.JobSummary, ...]:
        """The newest jobs, newest first; only those that fit everything given.

        `labels`: all of them. `target`: a name that the job was started with, or a node.
        `since`: created then or later, RFC 3339. `before`: older than the job of this id.
        """
        request = structs.ListRequest(
            status, limit, None if labels is None else dict(labels), target, since, before
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
        chosen = None if nodes is None else _texts("nodes", nodes)
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
        The reply has the jobs; with `dry_run` they are not deleted. Raises `InvalidRequest`.
        """
        chosen = None if labels is None else dict(labels)
        request = structs.PruneRequest(older_than, keep, larger_than, chosen, dry_run or None)
        return self._call("Prune", request, structs.PruneReply, None)

    def files(self, job_id: str, nodes: Sequence[str] | None = None) -> Iterator[structs.File]:
        """The received files of a job, or of some of its nodes, by node and path.

        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        chosen = None if nodes is None else _texts("nodes", nodes)
        request = structs.FilesRequest(job_id, chosen)
        for reply in self._replies("Files", request, structs.FilesReply, None):
            yield from reply.files

    def verify(
        self, job_id: str, nodes: Sequence[str] | None = None
    ) -> Iterator[structs.VerifyReply]:
        """Has the daemon compare each complete file with its checksum. Gives how far it is, and
        which files are wrong since the last time. Closing the iterator ends it.

        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`, `JobBusy`.
        """
        chosen = None if nodes is None else _texts("nodes", nodes)
        request = structs.VerifyRequest(job_id, chosen)
        yield from self._replies("Verify", request, structs.VerifyReply, None)

    def transcript(self, job_id: str, node: str, *, follow: bool = False) -> Iterator[str]:
        """What was said on a node, in pieces. With `follow` until the node has ended.

        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        request = structs.TranscriptRequest(job_id, node, follow or None)
        for reply in self._replies("Transcript", request, structs.TranscriptReply, None):
            yield reply.text

    def export(
        self, job_id: str, *, nodes: Sequence[str] | None = None, incomplete: bool = False
    ) -> Export:
        """All of a job as one tar, as a stream of bytes: use it as a context manager, and `read`.

        It has its own connection. `cucmctl.export` makes a zip or a folder of it.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, `StorageFailed`.
        """
        chosen = None if nodes is None else _texts("nodes", nodes)
        request = structs.ExportRequest(job_id, chosen, incomplete or None)
        connection = self._opened(self._deadline())
        try:
            # No deadline: the daemon looks at every file before it answers.
            connection.send(Call(_full("Export"), request, upgrade=True), self._deadline())
            return Export(connection, _decoded(connection.receive(None), structs.ExportReply))
        except BaseException:
            connection.close()
            raise

    def watch(
        self, job_id: str | None = None, *, timeout: float | None = None, changes: bool = False
    ) -> Iterator[structs.WatchReply]:
        """The state as it is now, then every change, until the job ends. All jobs: without end.

        With `changes` the replies after the first have `change`, the nodes that differ, and not the
        whole job; and all jobs begin with those that run or wait.

        It has its own connection, opened at the first step and closed with the iterator. So the
        client can be used for other calls meanwhile. `missed` of a change is how many changes were
        left out because the reader was slow; the state in it is current.
        Raises `JobNotFound`, and `TimeoutError` after `timeout` seconds; the job goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        request = structs.WatchRequest(job_id, changes or None)
        yield from self._replies("Watch", request, structs.WatchReply, deadline)

    def _replies(
        self, method: str, request: object, reply: type[R], deadline: float | None
    ) -> Iterator[R]:
        """The replies to a call with `more`, on a connection of its own."""
        connection = self._opened(deadline)
        try:
            connection.send(Call(_full(method), request, more=True), deadline)
            answer = self._first_reply(connection, deadline)
            yield _decoded(answer, reply)
            while answer.continues:
                answer = connection.receive(deadline)
                yield _decoded(answer, reply)
        finally:
            connection.close()

    def wait(self, job_id: str, *, timeout: float | None = None) -> structs.Job:
        """Waits until the job has ended, without polling. Returns it. Raises as `watch` does."""
        job: structs.Job | None = None
        for change in self.watch(job_id, timeout=timeout):
            job = change.job or job
        if job is None or job.status in ("queued", "running"):
            raise ProtocolError(f"the watch of job {job_id} ended before the job did")
        return job

    def host_keys(self) -> tuple[structs.HostKey, ...]:
        """The host keys of nodes that the daemon knows."""
        return self.call("ListHostKeys", {}, structs.ListHostKeysReply).host_keys

    def add_host_key(self, node: str, key: str | None = None) -> tuple[structs.HostKey, ...]:
        """Adds a host key of `node`, as `ssh-rsa AAAA...`, or without `key` those that it shows
        now.

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

    def call(self, method: str, request: object, reply: type[R]) -> R:
        """Calls any method that has one reply. Sends `request` as JSON, returns a struct `reply`.

        `method` is a name within `io.cucmd.Jobs`, or a full one (`org.varlink.service.GetInfo`).
        """
        return self._call(method, request, reply, self._deadline())

    def _call(self, method: str, request: object, reply: type[R], deadline: float | None) -> R:
        try:
            connection = self._connected(deadline)
            connection.send(Call(_full(method), request), deadline)
            answer = self._first_reply(connection, deadline)
        except BaseException as error:  # a late reply must not be taken for that of the next call
            self.close()
            if isinstance(error, TimeoutError):
                text = f"the daemon at {self.socket} did not answer within {self.timeout:g} s"
                raise DaemonUnavailable(text) from error
            raise
        return _decoded(answer, reply)

    def _deadline(self) -> float | None:
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _connected(self, deadline: float | None) -> Connection:
        if self._connection is not None and self._connection.gone:
            self.close()
        if self._connection is None:
            self._connection = self._opened(deadline)
        return self._connection

    def _opened(self, deadline: float | None) -> Connection:
        try:
            return Connection(self.socket, deadline)
        except DaemonUnavailable as error:
            self._raise_if_it_does_not_start(error)
            raise

    def _first_reply(self, connection: Connection, deadline: float | None) -> Reply:
        """As `Connection.receive`, but does not wait for a service that has failed."""
        while True:
            ask = time.monotonic() + ASK_EVERY
            ask = ask if deadline is None else min(ask, deadline)
            try:
                return connection.receive(ask)
            except TimeoutError as error:
                self._raise_if_it_does_not_start(error)
                if ask == deadline:
                    raise
            except DaemonUnavailable as error:
                self._raise_if_it_does_not_start(error)
                raise

    def _raise_if_it_does_not_start(self, error: Exception) -> None:
        from cucmctl.service import why_it_does_not_start  # noqa: PLC0415  # seldom needed

        if why := why_it_does_not_start(self.socket, chosen=self._chosen):
            raise DaemonUnavailable(why) from error


class Export:
    """The bytes of a job's tar. `reply` says how many there are, and of what.

    Every method raises `DaemonUnavailable` if the daemon goes away, or is silent for `SILENCE`
    seconds: then the tar is not whole.
    """

    SILENCE = 60.0

    def __init__(self, connection: Connection, reply: structs.ExportReply) -> None:
        self.reply = reply
        self.left = reply.length
        self._connection = connection

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, and b"" at the end of the tar only."""
        if not self.left or not size:
            return b""
        deadline = time.monotonic() + self.SILENCE
        try:
            data = self._connection.receive_bytes(min(size, self.left), deadline)
        except TimeoutError as error:
            text = f"the daemon sent nothing for {self.SILENCE:g} s; {self.left} bytes are missing"
            raise DaemonUnavailable(text) from error
        except DaemonUnavailable as error:
            text = (
                f"the export was cut off, {self.left} bytes are missing; the daemon's log has why"
            )
            raise DaemonUnavailable(text) from error
        self.left -= len(data)
        return data


def _texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Refuses one text, which is a sequence too: "berlin" would be the nodes b, e, r, l, i, n."""
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name}: {values!r} is a single text; expected several, as in [{values!r}]"
        )
    return tuple(values)


def _full(method: str) -> str:
    return method if "." in method else f"{structs.INTERFACE}.{method}"


def _decoded(reply: Reply, kind: type[R]) -> R:
    if reply.error is not None:
        raise refusal(reply.error, reply.parameters)
    try:
        return msgspec.json.decode(reply.parameters, type=kind)
    except msgspec.MsgspecError as error:
        text = f"the daemon's reply is not as agreed, is its version another? {error}"
        raise ProtocolError(text) from error
