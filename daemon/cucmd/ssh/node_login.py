"""Logs in at a node's SSH server: checks its host key, and sends the password.

The password is sent only after the host key was checked, and only to a prompt that does not echo. A
refused password is not sent a second time by another method, because three refusals may lock the
account.

How do we know whether the server refused the password, or only the method by which we sent it? A
server answers both with USERAUTH_FAILURE and a list of the methods that can continue (RFC 4252,
5.1). asyncssh then asks for each method in this list again, in our order of preference. If we have
sent the password by a method, we look for that method in the new list:

    still in the list    The method is in use, so the password was refused. We try no other method.
    not in the list      The server does not use the method, or is done with it (it has accepted the
                         password and wants a second method). We try the other method.

If a method never asked for the password, its failure says nothing about the password.

keyboard-interactive comes first, as in OpenSSH's client. Its prompt shows that the server wants the
password in this way. The method `password` has no such sign: release 15 lists this method and
always refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import asyncssh
import msgspec
from asyncssh.saslprep import SASLPrepError, saslprep
from msgspec.structs import replace

from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.node import Phase
from cucmd.node_name import address
from cucmd.ssh.causes import Mask, Progress, printable
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.known_line import PublicKey, public_key
from cucmd.ssh.link import ConnectionCallbacks

# A login has one or two challenges; PAM sends an empty one at the end. A server that sends more
# than ten is not going to accept the login.
_CHALLENGE_LIMIT = 10
# Some servers ask for the current password again before they ask for a new one.
_PASSWORD_LIMIT = 2
# Words in the prompts of usual PAM modules. The prompts of real nodes are not known (vos/NODES.md,
# section 2).
_CURRENT = re.compile(r"\b(?:current|old)\b", re.IGNORECASE)
_SECOND_FACTOR = re.compile(r"\b(?:code|passcode|pin|otp|one-time|token|factor)\b", re.IGNORECASE)
# The words of PAM modules before they ask again, such as those of `sudo` and OpenSSH.
_REFUSED = re.compile(
    r"\b(?:sorry|try again|incorrect|denied|authentication fail(?:ed|ure))\b", re.IGNORECASE
)
_PASSWORD, _INTERACTIVE = "password", "keyboard-interactive"


class Steps(msgspec.Struct, frozen=True):
    """Groups the functions that a login calls as it proceeds.

    All of them except `connected` are called on the event loop and not in the caller's task, so
    they must not block. If such a function raises, the connection is ended, and `open_shell` raises
    the same exception.

    phase: called with Phase.LOGIN when the node's host key was accepted and authentication begins.
        The caller then replaces the connect deadline by the login deadline.
    connected: called when the TCP connection is open. Must not raise.
    password: called before the password is sent for the first time on this connection. If this
        function raises, the password is not sent.
    authenticated: called when the node has accepted the login.
    """

    phase: Callable[[Phase], None]
    connected: Callable[[], None] = lambda: None
    password: Callable[[], None] = lambda: None
    authenticated: Callable[[], None] = lambda: None


class NodeLogin(ConnectionCallbacks):
    """Logs in once. All public methods except `forget` and `progress` are callbacks of asyncssh."""

    def __init__(  # noqa: PLR0917  # called in one place only, `open_shell`
        self,
        node: tuple[str, int],
        credentials: tuple[str, str],
        policy: Policy,
        known: KnownHosts,
        steps: Steps,
        mask: Mask,
    ) -> None:
        username, password = credentials
        try:
            prepared = saslprep(username)  # the form in which asyncssh sends the name
            password.encode()
        except (SASLPrepError, UnicodeEncodeError):
            text = (
                f"user name or password for {address(*node)} holds characters that SSH cannot carry"
            )
            raise fail(Code.AUTH_FAILED, text) from None
        super().__init__(prepared, legacy=policy.legacy_algorithms)
        self._node = node
        self._password: str | None = password
        self._policy = policy
        self._known = known
        self._steps = steps
        self._announced = False  # whether `Steps.password` was called
        self._mask = mask
        self._key: PublicKey | None = None
        self._authenticating = False
        self._tried: list[str] = []
        self._challenges = 0
        self._answered: set[str] = set()
        self._passwords_sent = 0
        self._sent_by: set[str] = set()  # the methods by which the password was sent
        # Whether the password was refused, or the server asked a question that the password does
        # not answer. No other method is tried.
        self._password_refused = False
        # The same, or the server has gone on to another method after it got the password.
        self._was_refused = False
        self._unanswered_prompt = ""

    def forget(self) -> None:
        """Removes the password from memory. A connection needs it only once."""
        self._password = None

    def progress(self) -> Progress:
        return replace(
            super().progress(),
            authenticating=self._authenticating,
            refused=self._was_refused,
            tried=tuple(self._tried),
            asked=self._unanswered_prompt,
        )

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self._key = public_key(key)
        try:
            self._known.check(*self._node, self._key, self._policy)
        except NodeFailed as failed:
            self.end_reason = failed
            return False
        return True

    def begin_auth(self, username: str) -> None:
        assert self._key is not None, "asyncssh asks about the key before authentication"
        self._authenticating = True
        with self._keeping_error():
            self._known.accept(*self._node, self._key, self._policy)
            self._steps.phase(Phase.LOGIN)

    def auth_completed(self) -> None:
        with self._keeping_error():
            self._steps.authenticated()

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """Stores an exception of the body as the reason for ending the connection."""
        try:
            yield
        except Exception as error:
            self.end_reason = error
            raise

    def _announce(self) -> None:
        """Calls `Steps.password` the first time. Must be called whenever the password is sent."""
        if not self._announced:
            self._announced = True
            with self._keeping_error():
                self._steps.password()

    def password_auth_requested(self) -> str | None:
        """Returns the password the first time, and None if asyncssh is to try another method."""
        if not self._start_method(_PASSWORD):
            return None
        self._announce()
        self._sent_by.add(_PASSWORD)
        return self._password

    def _start_method(self, method: str) -> bool:
        """Returns whether to use the method now, see the top of this file."""
        self._was_refused = self._was_refused or bool(self._sent_by)
        # The methods with which the server can continue. If they are not known, assume that it
        # offers both: a password that was sent then counts as refused, and is not sent twice.
        offered = {_PASSWORD, _INTERACTIVE}
        if self.connection is not None:
            offered = set(self.connection.get_server_auth_methods())
        self._password_refused = self._password_refused or bool(self._sent_by & offered)
        if self._password_refused or method in self._tried:
            return False
        self._tried.append(method)
        return True

    def password_change_requested(self, prompt: str, lang: str) -> NoReturn:
        self._end_with(
            f"{address(*self._node)} wants a new password for {self.username}: "
            f"{printable(self._mask(prompt.strip()), 100)}"
        )

    def kbdint_auth_requested(self) -> str | None:
        # An empty text accepts any submethod of the server.
        return "" if self._start_method(_INTERACTIVE) else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Returns an answer for each prompt, or None to give up this method.

        A challenge without a prompt is a message that has to be acknowledged. If the server repeats
        a question, or says words such as "Sorry, try again", it has refused the answer.
        """
        self._challenges += 1
        texts = {prompt.strip().lower() for prompt, _ in prompts}
        too_many = self._challenges > _CHALLENGE_LIMIT or len(prompts) > _CHALLENGE_LIMIT
        said = " ".join((name, instructions, *texts))
        refused = prompts and self._sent_by and _REFUSED.search(said)
        again = too_many or refused or texts & self._answered
        answers = None if again else self._answers(prompts)
        if answers is None and self._sent_by:
            self._password_refused = self._was_refused = True
        self._answered |= texts
        return answers

    def _answers(self, prompts: Sequence[tuple[str, bool]]) -> list[str] | None:
        """Returns the answers to the prompts, or None if we cannot answer all of them.

        The first prompt that does not echo gets the password, unless it asks for a second factor. A
        later prompt gets the password only if it asks for the current password. A prompt that
        echoes gets the user name.
        """
        answers: list[str] = []
        sent = self._passwords_sent
        for prompt, echo in prompts:
            if _wants_new(prompt):
                self._end_with(f"{address(*self._node)} wants a new password for {self.username}")
            again = sent and not (_CURRENT.search(prompt) and sent < _PASSWORD_LIMIT)
            if not echo and (again or _SECOND_FACTOR.search(prompt)):
                self._unanswered_prompt = printable(self._mask(prompt.strip()), 100)
                return None
            sent += not echo
            answers.append(self.username if echo else self._password or "")
        self._passwords_sent = sent
        if sent:
            self._announce()
            self._sent_by.add(_INTERACTIVE)
        return answers

    def _end_with(self, message: str) -> NoReturn:
        """Raises the failure. asyncssh then ends the connection."""
        self.end_reason = fail(
            Code.AUTH_FAILED,
            message,
            hint="log in once by hand and set a new password: set password user admin",
        )
        raise self.end_reason


def _wants_new(prompt: str) -> bool:
    text = prompt.lower().replace("try again", "")
    return "new" in text.split() or any(word in text for word in ("retype", "re-enter", "again"))
