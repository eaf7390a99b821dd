"""PURE. Declares the messages between the daemon and a process that serves one connection.

The daemon sends `Begin` first. After that, the daemon only answers the requests of the process,
which waits for each answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cucmd.failure import Code

# Characters of a line for the log.
MAX_LOG_LINE = 2000


class Begin(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Begins the work. The descriptor of the connection to serve follows.

    host_keys: the receiver's own keys, in OpenSSH's format.
    limits: the fields of `ReceiverLimits`.
    legacy_algorithms: whether to offer SHA-1 and CBC too.
    """

    host_keys: tuple[bytes, ...]
    limits: dict[str, int | float]
    legacy_algorithms: bool


# Requests of the process. All except `LogIn`, `LogLine` and `ConnectionEnded` need an admitted
# login.


class LogIn(msgspec.Struct, frozen=True, tag=True):
    """Presents the name and password that the client has sent.

    Answered by `Admitted`, `WrongLogin` or `TooManyConnections`.
    """

    username: str
    password: str

    # Without the password, which would otherwise be in the log with the traceback of a defect.
    def __repr__(self) -> str:
        return f"LogIn(username={self.username!r})"


OpenKind = Literal["new file", "new folder", "folder"]


class Open(msgspec.Struct, frozen=True, tag=True):
    """Asks for a descriptor of a file or folder in the folder of the login.

    what: whether to make a new file or folder, or to open an existing folder.
    path: the path below the login's folder. "" is that folder itself, which is made if it is
        missing.

    Answered by `Opened`, `OpenFailed` or `LimitReached`.
    """

    what: OpenKind
    path: str


class AskBytes(msgspec.Struct, frozen=True, tag=True):
    """Asks for at least `size` bytes. Answered by `BytesGranted` or `LimitReached`."""

    size: int


class BytesReceived(msgspec.Struct, frozen=True, tag=True):
    """Reports that the client has sent something.

    received: the bytes of files that this connection has received since its beginning.
    """

    received: int


class TimeSet(msgspec.Struct, frozen=True, tag=True):
    """Reports the time stamp that the client has given a file, in seconds since 1970."""

    number: int
    modified: int


class FileClosed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Reports that a file is no longer open.

    closed: whether the client has closed it, and its bytes and name are durable.
    """

    number: int
    size: int
    sha256: str
    closed: bool


class UploadsRefused(msgspec.Struct, frozen=True, tag=True):
    """Reports why uploads are refused from now on. code: disk_full or quota_exceeded."""

    code: Code
    message: str
    hint: str | None = None


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """Gives the daemon a line for its log. level: a level of `logging`."""

    level: int
    text: Annotated[str, msgspec.Meta(max_length=MAX_LOG_LINE)]


class ConnectionEnded(msgspec.Struct, frozen=True, tag=True):
    """Reports that the connection has ended, and that the process ends now. Not answered."""


# Answers of the daemon. `Done` answers every request that names no other answer.


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class Admitted(msgspec.Struct, frozen=True, tag=True):
    """Admits the login. name: a job and a node, for messages."""

    name: str


class WrongLogin(msgspec.Struct, frozen=True, tag=True):
    pass


class TooManyConnections(msgspec.Struct, frozen=True, tag=True):
    """Refuses a right login, which already has as many connections as it may have."""


LogInAnswer = Admitted | WrongLogin | TooManyConnections


class Opened(msgspec.Struct, frozen=True, tag=True):
    """Says that the descriptor follows. number: identifies a new file in later requests."""

    number: int | None


class OpenFailed(msgspec.Struct, frozen=True, tag=True):
    """Reports an error of the system. error: an errno."""

    error: int


class BytesGranted(msgspec.Struct, frozen=True, tag=True):
    """Allows the process to write `size` more bytes."""

    size: int


class LimitReached(msgspec.Struct, frozen=True, tag=True):
    """Refuses to open or write anything more, and says why."""

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
