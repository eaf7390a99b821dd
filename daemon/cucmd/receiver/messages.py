"""PURE. Declares what the daemon and a process that serves one connection say to each other.

The daemon begins with `Begin`. From then on the process asks, and waits for the answer before it
does anything else: the daemon never speaks first. So what a client has been told, the daemon knows.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cucmd.failure import Code

# Characters of a line for the log.
MAX_LOG_LINE = 2000


class Begin(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Comes first; then the descriptor of the connection that the process is to serve is given.

    host_keys: the receiver's own, as OpenSSH stores them. limits: `ReceiverLimits`.
    """

    host_keys: tuple[bytes, ...]
    limits: dict[str, int | float]
    legacy_algorithms: bool


# What the process asks. All but `LogIn`, `LogLine` and `ConnectionEnded` need a login that was admitted.


class LogIn(msgspec.Struct, frozen=True, tag=True):
    """Presents what the client has sent. Answered by `Admitted`, `WrongLogin` or `TooManyConnections`."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"LogIn(username={self.username!r})"


OpenKind = Literal["new file", "new folder", "folder"]


class Open(msgspec.Struct, frozen=True, tag=True):
    """Asks for a descriptor of something in the folder of the login.

    Answered by `Opened`, after which the descriptor is given, by `OpenFailed` or by `LimitReached`. what:
    the first two are made. path: below the login's folder; "" is that folder, which is made if it
    is missing.
    """

    what: OpenKind
    path: str


class AskBytes(msgspec.Struct, frozen=True, tag=True):
    """Asks for leave to write at least so many bytes. Answered by `BytesGranted` or `LimitReached`."""

    size: int


class BytesReceived(msgspec.Struct, frozen=True, tag=True):
    """Something has come from the client. received: bytes of files, of this connection so far."""

    received: int


class TimeSet(msgspec.Struct, frozen=True, tag=True):
    """The client has given a file a time stamp, in seconds since 1970."""

    number: int
    modified: int


class FileClosed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The file is no longer open. closed: its client closed it, and bytes and name are durable."""

    number: int
    size: int
    sha256: str
    closed: bool


class UploadsRefused(msgspec.Struct, frozen=True, tag=True):
    """Says why nothing more is taken. code: disk_full or quota_exceeded."""

    code: Code
    message: str
    hint: str | None = None


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """Carries a line for the log, of a level of `logging`."""

    level: int
    text: Annotated[str, msgspec.Meta(max_length=MAX_LOG_LINE)]


class ConnectionEnded(msgspec.Struct, frozen=True, tag=True):
    """The connection has ended, and the process ends. Not answered."""


# What the daemon answers. `Done` is the answer wherever nothing else is said above.


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class Admitted(msgspec.Struct, frozen=True, tag=True):
    """name: a job and a node, for messages."""

    name: str


class WrongLogin(msgspec.Struct, frozen=True, tag=True):
    pass


class TooManyConnections(msgspec.Struct, frozen=True, tag=True):
    """The login is right, and has as many connections as it may have."""


class Opened(msgspec.Struct, frozen=True, tag=True):
    """Comes before the descriptor. number: by which a new file is named from now on."""

    number: int | None


class OpenFailed(msgspec.Struct, frozen=True, tag=True):
    """error: an errno."""

    error: int


class BytesGranted(msgspec.Struct, frozen=True, tag=True):
    size: int


class LimitReached(msgspec.Struct, frozen=True, tag=True):
    """Nothing more may be opened or written, and why."""

    message: str


FromProcess = (
    LogIn
    | Open
    | AskBytes
    | BytesReceived
    | TimeSet
    | FileClosed
    | UploadsRefused
    | LogLine
    | ConnectionEnded
)
ToProcess = (
    Done
    | Admitted
    | WrongLogin
    | TooManyConnections
    | Opened
    | OpenFailed
    | BytesGranted
    | LimitReached
)
