"""Declares what the work on a node needs of SSH, the receiver and the job: protocols and structs.

No protocol is implemented here. One has the name of the class that does: `Shell` of `ssh/`,
`UploadTarget` and `Receiver` of `receiver/`, `Together` of `jobs/`.
`service/wiring.py` connects them; tests implement them with scripted nodes.
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

# Seconds after the first node was ready at which nodes that begin together do so at the latest.
# Mostly the others log in only once the login has worked on the first (jobs/hold_back.py), and a
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
        """Returns the address of the node; "" where it has reset the connection."""

    async def receive(self) -> bytes:
        """Waits for the next bytes from the node; b"" once it has closed.

        Raises `NodeFailed` (connection_lost) if this side ended the connection.
        """

    @property
    def has_come(self) -> bool:
        """Says whether there is more than `receive` has returned, read by the loop or not."""

    async def send(self, data: bytes) -> None:
        """Waits while the node does not read. Raises `NodeFailed` (connection_lost)."""

    async def aclose(self) -> None:
        """Closes the session in order, and returns when the socket is closed.

        The wait for the node to close its side ends with the caller's scope. After that, also if
        cancelled, the connection is disconnected, and aborted if that does not close it.
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
        """Connects and logs in. Raises `NodeFailed`, and what `report.password` raises.

        on_connected: called once the TCP connection is open.
        on_phase: called with `Phase.LOGIN` once authentication begins.
        mask: removes secrets from the node's text before it is used in a message.
        report: `password` is called before the password is sent first, and `authenticated` once the
            node has accepted the login.
        """


class Postponed(Exception):
    """The password must not be sent now: the work on the node begins again, once it may be."""


class UploadTarget(Protocol):
    """Receives what the node pushes during one attempt, with a login of its own.

    directory: the directory that the node is given for its uploads.
    last_activity: when the last login or byte came, by trio's clock.
    logins: how often a client has logged in.
    wrong_logins: how often `username` came with a wrong password.
    refused: connections from the node's address that the receiver refused or cut before a login,
        for a limit of its own; refused_why: the last reason, in a few words.
    refusal: disk_full or quota_exceeded, once an upload was refused.
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
        """Returns the files in the order in which they were opened. New ones come at the end."""
        ...

    async def wait_files_closed(self) -> None:
        """Returns when no file is open. Has no time limit of its own."""

    def revoke(self) -> None:
        """Refuses the login from now on and aborts its connections. Open files stay incomplete."""

    async def aclose(self) -> None:
        """Revokes the login and waits for the last write, for a limited time, also if cancelled.

        `files` does not change after that.
        """


class Receiver(Protocol):
    """Is the daemon's SFTP receiver, as far as a node's run needs it."""

    @property
    def port(self) -> int: ...

    def open_upload_target(self, task: NodeTask, address: str) -> UploadTarget:
        """Opens a target for uploads expected from the node's `address`; "": it is unknown."""
        ...

    def shortage(self, descriptor: int) -> str | None:
        """Says why no more may be written to the disk that `descriptor` is on; None: it may."""

    def room(self, descriptor: int) -> int:
        """Returns how many bytes more may be written to the disk that `descriptor` is on."""
        ...


class Readers(Protocol):
    """Has processes read what the node has made. A cancel kills them."""

    async def count_packets(
        self, folder: Path, paths: Sequence[Path], most: int
    ) -> Sequence[PacketCount]:
        """Counts the packets in each file of a capture, in their order.

        folder: that they are in. most: packets that are counted, of all files together.
        """
        ...

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> Sequence[FileRead]:
        """Reads gzip files, or archives, and says in their order which are whole. Raises `OSError`.

        folder: of the node. announced: bytes that the node has said it would pack.
        """
        ...


class Ports(Receiver, Protocol):
    """Has all that the daemon offers to the work on a node."""

    @property
    def readers(self) -> Readers: ...
    @property
    def writer(self) -> FileWriter: ...
    @property
    def open_shell(self) -> OpenShell: ...

    def knows_host_key(self, task: NodeTask) -> bool:
        """Says whether a host key of the node is known by now, so that it can be compared."""
        ...


class Credentials(msgspec.Struct, frozen=True):
    """Holds a login on a node, in memory only: it is never stored."""

    username: str
    password: str

    def __repr__(self) -> str:  # a repr ends up in logs and tracebacks; a password must not
        return f"Credentials(username={self.username!r})"


class Retry(msgspec.Struct, frozen=True):
    """Says how often to try to reach a node, and how long to wait in between.

    The delay begins at `base` seconds and doubles up to `cap` seconds, with a random part. The
    defaults are in the configuration (`RetrySettings`).
    """

    attempts: int
    base: float
    cap: float


class Together(Protocol):
    """Lets nodes work together: they begin at the same moment, and one call ends all.

    stopped: that call has come.
    spread: how many nodes have begun so far, and the seconds between the first and the last.
    """

    stopped: bool

    @property
    def spread(self) -> tuple[int, float]: ...
    async def begin(self, node: str) -> bool:
        """Returns when the nodes begin. False: they have begun before; the node is late."""
        ...

    def started(self, at: float) -> None:
        """The work on a node began at that time, by trio's clock."""

    def until_begun(self, node: str) -> AbstractContextManager[None]:
        """Covers what is done before `at_it`: the call cancels it, also one that came before."""
        ...

    def at_it(self, node: str) -> AbstractContextManager[None]:
        """While the work is begun on the node, runs or is ended: the call counts it."""
        ...

    def until_stopped(self) -> AbstractContextManager[trio.CancelScope]:
        """Opens a scope that is cancelled by that call, also by one that came before."""
        ...


class NodeTask(msgspec.Struct, frozen=True):
    """Describes one node of one job, with everything that is decided before it is contacted.

    work: what to do on the node, with the fields that only this kind of work needs.
    folder: has `files/` and `transcript.log`.
    advertise: the receiver's address that the node is given. "": ours on the SSH connection.
    sessions: the most sessions on this node at once, over all jobs.
    quota: the limits for what may be received.
    asked_at: when the job was requested.
    together: with the other nodes, where they work together.
    may_run: names of what was begun there earlier in the job and may still run.
    credential: the name of the login; None: it came with the request. cluster: the node's, if any.
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
    cluster: str | None = None
    together: Together | None = None
    may_run: tuple[str, ...] = ()

    @property
    def mask(self) -> Callable[[str], str]:
        """Returns what removes the password from the node's text, before it is shown or kept."""
        return Secrets((self.login.password,)).mask


class Session(Protocol):
    """Is a session on a node, as far as its job looks at it.

    last_heard: when the last bytes came, by trio's clock.
    """

    @property
    def last_heard(self) -> float: ...


class Report(Protocol):
    """Takes what the work on a node reports to its job. It waits only in `saved` and `filed`."""

    def attempt(self, number: int) -> None: ...
    def phase(self, phase: Phase) -> None: ...
    def password(self) -> None:
        """The password is to be sent, for the first time on this connection.

        Raises `NodeFailed` or `Postponed` if it must not be: nothing is sent then.
        """

    def authenticated(self) -> None:
        """The node has accepted the login."""

    def clock(self, zone: str | None, ahead: float) -> None:
        """Reports what the node says about its clock: the name of its zone, None where it is not
        known, and how many seconds it is ahead of ours.
        """

    def session(self, session: Session) -> None:
        """The session is open. The job may ask it from now on."""

    def result(self, result: Result) -> None:
        """Reports what the work has given for the node so far; also once the node has settled."""

    async def saved(self) -> None:
        """Returns once what was reported is in the store. Raises `NodeFailed`: it takes nothing."""

    async def filed(self) -> None:
        """Puts the files on record that are complete; without this that is done at the end of the
        node. Raises `NodeFailed`.
        """

    def upload_target(self, target: UploadTarget) -> None:
        """The target is open. The job may read its figures from now on."""

    def announced(self, files: int, size: int, *, all_of_them: bool) -> None:
        """Notes how many files and bytes the node has announced, over all commands so far.

        all_of_them: no other command will follow.
        """

    def growing(self, size: int) -> None:
        """A file that we write ourselves, and that `kept` will name, has so many bytes by now."""

    def kept(self, file: ReceivedFile) -> None:
        """We have written a file ourselves in the node's folder, durably."""

    def complete(self, files: Sequence[ReceivedFile]) -> None:
        """The node has reported the end of the command that sent these files.

        Those that the client closed are complete. All other files of the upload target are kept
        and marked incomplete.
        """
