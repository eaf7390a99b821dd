"""Declares what the work on a node needs from SSH, the receiver and the job: protocols and structs.

Most protocols have the name of the class that implements them: `Shell` in `ssh/`, `UploadTarget`
and `Receiver` in `receiver/`, `JointRun` in `jobs/`. `service/wiring.py` connects them. Tests
implement them with scripted nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import trio

from cucmd.allowance import Quota
from cucmd.job.failure import Failure
from cucmd.job.job import HostKeyPolicy
from cucmd.job.kind import Result
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.job.work import Work
from cucmd.node.file_writer import FileWriter
from cucmd.received_file import FileRead, PacketCount, ReceivedFile
from cucmd.vos.secrets import Secrets

# The nodes of a joint run begin at the latest this many seconds after the first of them is ready.
# Usually the others log in only after the login has worked on the first (jobs/login_trials.py). A
# login takes 8 to 20 s, at times more than 60 s (vos/NODES.md, section 1).
READY_WITHIN = 90.0

T = TypeVar("T")


class Shell(Protocol):
    """Carries the bytes of a login shell on a node, over SSH."""

    @property
    def local_address(self) -> str:
        """Returns our own address on the connection to the node."""

    @property
    def peer_address(self) -> str:
        """Returns the address of the node, or "" if the node has reset the connection."""

    async def receive(self) -> bytes:
        """Returns the next bytes of the node, or b"" when the node has closed.

        Raises `NodeFailed` (connection_lost) if we ended the connection.
        """

    @property
    def has_come(self) -> bool:
        """Says whether bytes wait for `receive`, even if only in the socket."""

    async def send(self, data: bytes) -> None:
        """Sends bytes, and waits while the node does not read. Raises `NodeFailed`."""

    async def aclose(self) -> None:
        """Closes the session in order, and returns when the socket is closed.

        The caller's cancel scope limits the wait for the node to close. Even if cancelled, the
        method then disconnects, and aborts the connection if disconnecting does not close it.
        """


class OpenShell(Protocol):
    async def __call__(
        self,
        task: NodeTask,
        on_connected: Callable[[], None],
        on_phase: Callable[[Phase], None],
        mask: Callable[[str], str],
        report: Report,
    ) -> Shell:
        """Connects and logs in. Raises `NodeFailed`, and the exceptions of `report.password`.

        on_connected: called when the TCP connection is open.
        on_phase: called with `Phase.LOGIN` when authentication begins.
        mask: removes secrets from the node's text before the text goes into a message.
        report: its `password` is called before the password is sent for the first time, and its
            `authenticated` when the node has accepted the login.
        """


class Postponed(Exception):
    """Says that the password must not be sent now. The work on the node starts again later."""


class UploadTarget(Protocol):
    """Receives what the node pushes during one attempt, with a login of its own.

    directory: the directory to which the node is told to upload.
    last_activity: when the last login or byte came, by trio's clock.
    logins: how often a client has logged in.
    wrong_logins: how often a client gave `username` with a wrong password.
    refused: how many connections from the node's address the receiver refused or cut before a
        login, because of its own limits.
    refused_why: the last reason for that, in a few words.
    refusal: the failure, disk_full or quota_exceeded, if an upload was refused, else None.
    """

    username: str
    password: str
    directory: str

    @property
    def files_received(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...
    @property
    def last_activity(self) -> float: ...
    @property
    def logins(self) -> int: ...
    @property
    def wrong_logins(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def refused_why(self) -> str: ...
    @property
    def refusal(self) -> Failure | None: ...
    def files(self) -> Sequence[ReceivedFile]:
        """Returns the files in the order in which they were opened."""
        ...

    async def wait_files_closed(self) -> None:
        """Waits until no file is open. Has no time limit of its own."""

    def revoke(self) -> None:
        """Refuses the login from now on and aborts its connections. Open files stay incomplete."""

    async def aclose(self) -> None:
        """Revokes the login and waits a limited time for the last write, even if cancelled.

        `files` does not change afterwards.
        """


class Receiver(Protocol):
    """Offers the parts of the daemon's SFTP receiver that the work on a node needs."""

    @property
    def port(self) -> int: ...

    def open_upload_target(self, task: NodeTask, address: str) -> UploadTarget:
        """Opens a target for uploads from the node's `address`, which is "" if unknown."""
        ...

    def shortage(self, descriptor: int) -> str | None:
        """Returns why nothing more may be written to the disk of `descriptor`, or None."""

    def room(self, descriptor: int) -> tuple[int, int]:
        """Returns how many more bytes may be written to the disk of `descriptor`, and how many
        bytes of the disk stay free besides.
        """
        ...


class Readers(Protocol):
    """Reads files of the node in processes of their own, which a cancel kills."""

    async def count_packets(
        self, folder: Path, paths: Sequence[Path], most: int
    ) -> Sequence[PacketCount]:
        """Counts the packets in each file of a capture, in the order of `paths`.

        folder: the folder of the files. most: the total number of packets at which to stop.
        """
        ...

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> Sequence[FileRead]:
        """Reads gzip files or archives, and says in their order which of them are complete.

        folder: the node's folder. announced: the bytes that the node announced for its archive.

        Raises `OSError`.
        """
        ...


class Ports(Receiver, Protocol):
    """Offers all parts of the daemon that the work on a node needs."""

    @property
    def readers(self) -> Readers: ...
    @property
    def writer(self) -> FileWriter: ...
    @property
    def open_shell(self) -> OpenShell: ...

    def knows_host_key(self, task: NodeTask) -> bool:
        """Says whether a host key of the node is known, with which a new one can be compared."""
        ...


class Credentials(msgspec.Struct, frozen=True):
    """Holds a login on a node, in memory only. The password is never stored."""

    username: str
    password: str

    def __repr__(self) -> str:  # may end up in logs and tracebacks, so it omits the password
        return f"Credentials(username={self.username!r})"


class Retry(msgspec.Struct, frozen=True):
    """Says how often to try to reach a node, and limits the delays (`retry_delay`).

    base, cap: the shortest and the longest delay, in seconds.
    """

    attempts: int
    base: float
    cap: float


class JointRun(Protocol):
    """Lets several nodes begin at the same moment, and ends all of them on one call to stop.

    stopped: whether the call to stop has come.
    """

    stopped: bool

    async def wait_for_start(self, node: str) -> bool:
        """Waits until the nodes begin. Returns False if they began without this node."""
        ...

    def preparing(self, node: str) -> AbstractContextManager[None]:
        """Opens a scope for the steps before `working`, which any call to stop cancels."""
        ...

    def working(self, node: str) -> AbstractContextManager[None]:
        """Opens a scope for the work on the node. A call to stop counts the nodes in it."""
        ...

    def until_stopped(self) -> AbstractContextManager[trio.CancelScope]:
        """Opens a scope that a call to stop cancels, even a call that came before."""
        ...


class NodeTask(msgspec.Struct, frozen=True):
    """Describes the work on one node of one job, as decided before the node is contacted.

    work: the kind of work, with its fields.
    folder: the folder with `files/` and `transcript.log`.
    advertise: the receiver's address for the node, or "" for the daemon's on the SSH connection.
    sessions: the most sessions on this node at the same time, over all jobs.
    quota: the limits for received files.
    asked_at: when the job was requested.
    joint_run: set if the nodes of the job begin and end together.
    may_run: the names of captures that began earlier in the job and may still run.
    credential: the name of the login, or None if the login came with the request or was kept.
    forget_login: forgets the kept login that this task uses; None for any other login.
    cluster: the name of the node's cluster, if it has one.
    """

    job_id: str
    node: str
    host: str
    port: int
    login: Credentials
    work: Work
    timeouts: Timeouts
    retry: Retry
    folder: Path
    first_attempt: int = 1
    advertise: str = ""
    host_keys: HostKeyPolicy = "accept-new"
    legacy_algorithms: bool = False
    sessions: int = 2
    quota: Quota = msgspec.field(default_factory=Quota)
    asked_at: datetime | None = None
    credential: str | None = None
    forget_login: Callable[[], None] | None = None
    cluster: str | None = None
    joint_run: JointRun | None = None
    may_run: tuple[str, ...] = ()

    @property
    def mask(self) -> Callable[[str], str]:
        """Returns a function that masks the password in text of the node."""
        return Secrets((self.login.password,)).mask


class Session(Protocol):
    """Tells a job about the running session on a node."""

    @property
    def last_heard(self) -> float:
        """Returns when the last bytes came, by trio's clock."""
        ...


class Report(Protocol):
    """Reports the work on a node to its job. All methods that are not async return at once."""

    def attempt(self, number: int) -> None: ...
    def phase(self, phase: Phase) -> None: ...
    def password(self) -> None:
        """Raises `NodeFailed` or `Postponed` if the password must not be sent.

        Called before the password is sent for the first time on a connection.
        """

    def authenticated(self) -> None:
        """Reports that the node has accepted the login."""

    def clock(self, zone: str | None, ahead: float) -> None:
        """Reports the name of the node's time zone, or None, and how far its clock is ahead.

        ahead: seconds, counted from our clock.
        """

    def session(self, session: Session) -> None:
        """Reports that the session is open. The job may read its properties from now on."""

    def result(self, result: Result) -> None:
        """Reports the result of the work so far. May come even after the node has settled."""

    async def wait_saved(self) -> None:
        """Waits until all reports are in the store. Raises `NodeFailed` if the store fails."""

    async def record_files(self) -> None:
        """Records the complete files in the store now, and not only at the end of the node.

        Raises `NodeFailed` if the store fails.
        """

    def upload_target(self, target: UploadTarget) -> None:
        """Reports that the target is open. The job may read its numbers from now on."""

    def report_announced(self, files: int, size: int, *, all_of_them: bool) -> None:
        """Reports the files and bytes that the node announced, over all commands so far.

        all_of_them: no other command will follow.
        """

    def report_size(self, size: int) -> None:
        """Reports the size so far, in bytes, of a file for which `add_own_file` will be called."""

    def add_own_file(self, file: ReceivedFile) -> None:
        """Reports a file that we have durably written in the node's folder ourselves."""

    def complete_files(self, files: Sequence[ReceivedFile]) -> None:
        """Reports which files are complete, after the node has said that the command has ended.

        The files that the client closed are complete. All other files of the upload target are kept
        and marked incomplete.
        """
