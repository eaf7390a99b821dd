"""Sends the daemon the requests of the process that serves one connection.

The daemon checks the login that the client has sent, and then opens files for that login and no
other. Every request waits for its answer, because the process has nothing else to do.
"""

from __future__ import annotations

import logging
import os
import time

import msgspec

from cucmd.failure import Code
from cucmd.receiver import messages
from cucmd.receiver.limits import RequestRefused, Status
from cucmd.worker.forked import Channel

# Seconds between two reports that something was received.
_PROGRESS_EVERY = 0.2

_ANSWER = msgspec.msgpack.Decoder(messages.ToProcess)

_log = logging.getLogger(__name__)


class DaemonClient:
    """Sends requests to the daemon. Only `log_in` and `log_once` may be called before a login.

    name: a job and a node, for messages, or "" before a login was admitted.
    refusal: why uploads are refused from now on, or "" if they are not.
    """

    def __init__(self, channel: Channel) -> None:
        self.name = ""
        self.refusal = ""
        self._channel = channel
        self._credit = 0  # bytes that may be written without asking again
        self._received = 0
        self._next_progress = 0.0
        self._said: set[str] = set()

    def log_in(self, username: str, password: str) -> messages.LogInAnswer:
        """Presents a login, and returns the daemon's answer."""
        answer = self._ask(messages.LogIn(username, password))
        if isinstance(answer, messages.Admitted):
            self.name = answer.name
        assert isinstance(answer, messages.LogInAnswer)
        return answer

    def open(self, what: messages.OpenKind, path: str) -> tuple[int, int | None]:
        """Returns a descriptor, and the number of a new file.

        Raises OSError with the daemon's errno, and RequestRefused if a limit is reached.
        """
        if what != "folder":
            self.check_accepting()
        answer = self._ask(messages.Open(what, path))
        if isinstance(answer, messages.LimitReached):
            raise self._refused(answer.message)
        if isinstance(answer, messages.OpenFailed):
            raise OSError(answer.error, os.strerror(answer.error))
        assert isinstance(answer, messages.Opened)
        return self._channel.receive_descriptor(), answer.number

    def check_accepting(self) -> None:
        """Raises RequestRefused if uploads are refused."""
        if self.refusal:
            raise RequestRefused(Status.FAILURE, self.refusal)

    def reserve_bytes(self, count: int) -> None:
        """Reserves bytes of the quota. Call this before the bytes are written.

        Raises RequestRefused if the daemon grants no more.
        """
        self.check_accepting()
        if self._credit < count:
            answer = self._ask(messages.AskBytes(count - self._credit))
            if isinstance(answer, messages.LimitReached):
                raise self._refused(answer.message)
            assert isinstance(answer, messages.BytesGranted)
            self._credit += answer.size
        self._credit -= count

    def count_bytes(self, count: int) -> None:
        """Counts bytes that were written, for the next report."""
        self._received += count

    def report_closed(self, number: int, size: int, sha256: str, *, closed: bool) -> None:
        """Reports that a file is no longer open. Call this before the client gets its reply."""
        self._ask(messages.BytesReceived(self._received))
        self._ask(messages.FileClosed(number=number, size=size, sha256=sha256, closed=closed))

    def report_time(self, number: int, seconds: int) -> None:
        self._ask(messages.TimeSet(number, seconds))

    def report_activity(self) -> None:
        """Reports that the client has sent something, five times a second at most."""
        if (now := time.monotonic()) >= self._next_progress:
            self._next_progress = now + _PROGRESS_EVERY
            self._ask(messages.BytesReceived(self._received))

    def stop_uploads(self, code: Code, message: str, hint: str | None = None) -> RequestRefused:
        """Refuses uploads from now on, and returns the exception to raise."""
        if not self.refusal:
            self._ask(messages.UploadsRefused(code, message, hint))
        return self._refused(message)

    def log_once(self, what: str, reason: object, level: int = logging.WARNING) -> None:
        """Logs the first reason of each kind, so that a node cannot fill the log."""
        if what not in self._said:
            self._said.add(what)
            _log.log(level, "%s: %s: %s", self.name, what, reason)

    def _refused(self, message: str) -> RequestRefused:
        self.refusal = self.refusal or message
        return RequestRefused(Status.FAILURE, message)

    def _ask(self, request: messages.FromProcess) -> messages.ToProcess:
        self._channel.send(request)
        return self._channel.receive(_ANSWER)
