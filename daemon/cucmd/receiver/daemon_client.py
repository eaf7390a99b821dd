"""Asks the daemon, for the process that serves one connection: for a login, files, and bytes.

The process knows no login. It presents what its client sends, and the daemon opens files for that
login and no other. All questions wait for their answers: the process has nothing else to do.
"""

from __future__ import annotations

import logging
import os
import time

import msgspec

from cucmd.failure import Code
from cucmd.receiver.limits import RequestRefused, Status
from cucmd.receiver.messages import (
    Admitted,
    AskBytes,
    BytesGranted,
    BytesReceived,
    FileClosed,
    FromProcess,
    LimitReached,
    LogIn,
    Open,
    Opened,
    OpenFailed,
    OpenKind,
    TimeSet,
    TooManyConnections,
    ToProcess,
    UploadsRefused,
    WrongLogin,
)
from cucmd.worker.forked import Channel

# Seconds between two words of what has come.
_PROGRESS_EVERY = 0.2

_ANSWER = msgspec.msgpack.Decoder(ToProcess)

_log = logging.getLogger(__name__)


class DaemonClient:
    """The login of this connection, which the daemon has to admit before anything else is asked.

    name: a job and a node, for messages; "" until a login was admitted.
    refusal: why no more files and bytes are taken; "" while they are.
    """

    def __init__(self, channel: Channel) -> None:
        self.name = ""
        self.refusal = ""
        self._channel = channel
        self._credit = 0  # bytes that may be written without asking
        self._received = 0
        self._next_progress = 0.0
        self._said: set[str] = set()

    def log_in(self, username: str, password: str) -> Admitted | WrongLogin | TooManyConnections:
        """Presents a login. Returns whether the daemon admits it, and if not, why."""
        answer = self._ask(LogIn(username, password))
        if isinstance(answer, Admitted):
            self.name = answer.name
        assert isinstance(answer, Admitted | WrongLogin | TooManyConnections)
        return answer

    def open(self, what: OpenKind, path: str) -> tuple[int, int | None]:
        """Returns a descriptor, and for a new file its number.

        Raises OSError with the daemon's errno, and RequestRefused where a limit is reached.
        """
        if what != "folder":
            self.check_accepting()
        answer = self._ask(Open(what, path))
        if isinstance(answer, LimitReached):
            raise self._refused(answer.message)
        if isinstance(answer, OpenFailed):
            raise OSError(answer.error, os.strerror(answer.error))
        assert isinstance(answer, Opened)
        return self._channel.receive_descriptor(), answer.number

    def check_accepting(self) -> None:
        """Raises RequestRefused once nothing more is taken."""
        if self.refusal:
            raise RequestRefused(Status.FAILURE, self.refusal)

    def reserve_bytes(self, count: int) -> None:
        """Takes bytes before they are written, so that a quota is never passed, only reached.

        Raises RequestRefused where the daemon grants no more.
        """
        self.check_accepting()
        if self._credit < count:
            answer = self._ask(AskBytes(count - self._credit))
            if isinstance(answer, LimitReached):
                raise self._refused(answer.message)
            assert isinstance(answer, BytesGranted)
            self._credit += answer.size
        self._credit -= count

    def count_bytes(self, count: int) -> None:
        """Counts bytes that were written."""
        self._received += count

    def report_closed(self, number: int, size: int, sha256: str, *, closed: bool) -> None:
        """Tells the daemon of the end of a file, before the client learns of it."""
        self._ask(BytesReceived(self._received))
        self._ask(FileClosed(number=number, size=size, sha256=sha256, closed=closed))

    def report_time(self, number: int, seconds: int) -> None:
        self._ask(TimeSet(number, seconds))

    def report_activity(self) -> None:
        """Tells the daemon, a few times a second at most, that the client sends something."""
        if (now := time.monotonic()) >= self._next_progress:
            self._next_progress = now + _PROGRESS_EVERY
            self._ask(BytesReceived(self._received))

    def stop_uploads(self, code: Code, message: str, hint: str | None = None) -> RequestRefused:
        """Takes nothing more from now on. Returns the exception to raise."""
        if not self.refusal:
            self._ask(UploadsRefused(code, message, hint))
        return self._refused(message)

    def log_once(self, what: str, reason: object, level: int = logging.WARNING) -> None:
        """Logs the first of each kind: no node decides how many lines it gets."""
        if what not in self._said:
            self._said.add(what)
            _log.log(level, "%s: %s: %s", self.name, what, reason)

    def _refused(self, message: str) -> RequestRefused:
        self.refusal = self.refusal or message
        return RequestRefused(Status.FAILURE, message)

    def _ask(self, asked: FromProcess) -> ToProcess:
        self._channel.send(asked)
        return self._channel.receive(_ANSWER)
