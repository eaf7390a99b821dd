"""What the work on a node needs of SSH, of the receiver and of the job: protocols and structs.

The one rule: no protocol is implemented here. service/wiring.py does it, and tests with scripted
nodes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from cucmd.allowance import Quota
from cucmd.failure import Failure
from cucmd.job import HostKeyPolicy, Phase, Timeouts, Work
from cucmd.received_file import ReceivedFile


class Shell(Protocol):
    """A login shell on a node, over SSH."""

    @property
    def local_address(self) -> str:
        """Our own address on the connection to the node."""

    async def receive(self) -> bytes:
        """The next bytes from the node; b"" once it has closed.

        Raises `NodeFailed` (connection_lost) where we had to cut it off.
        """

    async def send(self, data: bytes) -> None:
        """Raises `NodeFailed` (connection_lost)."""

    async def aclose(self) -> None:
        """Closes input, disconnects, waits; within the caller's scope, then cuts."""


class OpenShell(Protocol):
    async def __call__(
        self,
        task: NodeTask,
        on_connected: Callable[[], None],
        on_phase: Callable[[Phase], None],
        mask: Callable[[str], str],
    ) -> Shell:
        """Connects and logs in; calls `on_connected()` once a TCP connection stands, and
        `on_phase(Phase.LOGIN)` once authentication begins.

        `mask` takes the secrets out of what the node says, before any of it is in a message.
        Raises `NodeFailed`.
        """


class UploadTarget(Protocol):
    """Where one run of one node pushes its files, under a login of its own.

    `directory` is what the node is told; `last_activity` is in trio's time, of the last login or
    byte; `connected`: somebody has logged in at least once; `wrong_logins`: how often its name came
    with another password; `refusal` is disk_full or quota_exceeded, once an upload was refused.
    """

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def directory(self) -> str: ...
    @property
    def files_received(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...
    @property
    def last_activity(self) -> float: ...
    @property
    def connected(self) -> bool: ...
    @property
    def wrong_logins(self) -> int: ...
    @property
    def refusal(self) -> Failure | None: ...
    def files(self) -> Sequence[ReceivedFile]:
        """In the order in which they were opened. The list only ever grows at its end."""
        ...

    async def wait_files_closed(self) -> None:
        """Returns when no file is open any more. No time limit of its own."""

    def revoke(self) -> None:
        """At once: the login is refused, its connections are cut; open files are cut off."""

    async def aclose(self) -> None:
        """`revoke`, and waits for the last write, within a bound of its own, also if cancelled.
        After that `files` changes no more.
        """


class Receiver(Protocol):
    """The daemon's SFTP receiver, as far as a node's run needs it."""

    @property
    def port(self) -> int: ...

    def open_upload_target(self, task: NodeTask) -> UploadTarget: ...
    def shortage(self, descriptor: int) -> str | None:
        """Why nothing more shall be written to the disk that `descriptor` is on, or None."""


class Credentials(msgspec.Struct, frozen=True):
    """A login on a node. In memory only, never stored."""

    username: str
    password: str

    def __repr__(self) -> str:  # a repr ends up in logs and tracebacks; a password must not
        return f"Credentials(username={self.username!r})"


class Retry(msgspec.Struct, frozen=True):
    """Attempts to reach a node, and the seconds between them (doubled each time, jittered).

    How many and how long is for the configuration to say: see its `Retry`.
    """

    attempts: int
    base: float
    cap: float


class NodeTask(msgspec.Struct, frozen=True):
    """One node of one job, with everything that is decided before it is contacted.

    `work` is what to do on it; the fields that only one kind of work needs are in there.
    `folder` holds `files/` and `transcript.log`.
    `advertise` is the receiver's address that the node is given. "": ours on the SSH connection.
    `sessions` limits the sessions on this node at once, over all jobs.
    `quota` limits what may be received.
    `asked_at` is when the job was asked for.
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


class Report(Protocol):
    """How the work on a node tells its job how far it is. Synchronous: the work never waits."""

    def attempt(self, number: int) -> None: ...
    def phase(self, phase: Phase) -> None: ...
    def upload_target(self, target: UploadTarget) -> None:
        """The target is open; its figures may be read from now on."""

    def announced(self, files: int, size: int) -> None:
        """The node has announced files and bytes in all, over the commands so far."""

    def complete(self, files: Sequence[ReceivedFile]) -> None:
        """The node has said that the command which sent these is completed.

        Those of them that the client closed are complete. Everything else in the upload target is
        kept, and marked incomplete.
        """
