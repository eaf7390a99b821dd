"""Logs in at a node's SSH server: checks its host key, and sends the password.

The password is sent only after the host key was checked and only to a prompt that does not echo.
One that was refused is not sent again in another way, because three refusals may lock the account.
This file keeps the password only in the field that `forget` clears.

What tells a refused password from a method that is not to be used? A server answers both with
USERAUTH_FAILURE, and adds the methods that can continue (RFC 4252, 5.1). asyncssh then asks for
each of these again, in our order of preference. So, of a method by which the password was sent:

    still in the list    it is in use: the password was refused. No other method is tried.
    not in the list      it is not to be used, or is done with (the server wants a second one, and
                         has accepted the first). The other method is tried.

A method by which no password was sent, since it asked nothing, has judged none.

keyboard-interactive comes first. A server that offers it says by its question that it wants the
password in this way; a server that lists `password` and refuses it always says nothing of the
kind, and release 15 refuses it. OpenSSH's client has the same order.
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

# A login has one or two challenges (PAM sends an empty one at the end). A server that sends more
# than ten will not accept the login.
_CHALLENGE_LIMIT = 10
# Some servers ask for the current password again before they ask for a new one.
_PASSWORD_LIMIT = 2
# The words of usual PAM modules. Those of real nodes are unknown (vos/NODES.md, section 2).
_CURRENT = re.compile(r"\b(?:current|old)\b", re.IGNORECASE)
_SECOND_FACTOR = re.compile(r"\b(?:code|passcode|pin|otp|one-time|token|factor)\b", re.IGNORECASE)
# What they say before they ask again; so `sudo`, and OpenSSH.
_REFUSED = re.compile(
    r"\b(?:sorry|try again|incorrect|denied|authentication fail(?:ed|ure))\b", re.IGNORECASE
)
_PASSWORD, _INTERACTIVE = "password", "keyboard-interactive"


class Steps(msgspec.Struct, frozen=True):
    """Is called as a login comes further. But for `connected` it runs on the event loop, not
    in the caller's task, so it must not block; what it raises ends the connection, and is raised by
    `open_shell`.

    phase: with Phase.LOGIN, when the node's host key has been accepted and authentication begins:
        the caller replaces the connect deadline by the login deadline.
    connected: the TCP connection is open, and nothing is known of the peer. Must not raise.
    password: the password is about to be sent first on this connection. If it raises, it is not.
    authenticated: the node has accepted the login.
    """

    phase: Callable[[Phase], None]
    connected: Callable[[], None] = lambda: None
    password: Callable[[], None] = lambda: None
    authenticated: Callable[[], None] = lambda: None


class NodeLogin(ConnectionCallbacks):
    """Logs in once. All methods but `forget` and `progress` are asyncssh's callbacks."""

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
            prepared = saslprep(username)  # as it is sent
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
        self._announced = False  # that the password is sent
        self._mask = mask
        self._key: PublicKey | None = None
        self._authenticating = False
        self._tried: list[str] = []
        self._challenges = 0
        self._answered: set[str] = set()
        self._passwords_sent = 0
        self._sent_by: set[str] = set()  # methods by which the password was sent
        self._password_refused = (
            False  # it was refused, or a question followed that it does not answer
        )
        self._was_refused = False  # as `_password_refused`, or the server wants another method
        self._unanswered_prompt = ""  # the question that followed

    def forget(self) -> None:
        """Removes the password: a connection needs it only once."""
        self._password = None

    def progress(self) -> Progress:
        return replace(
            super().progress(),
            authenticating=self._authenticating,
            refused=self._was_refused,
            tried=tuple(self._tried),
            asked=self._unanswered_prompt,
        )

    # Called by asyncssh.

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
        assert self._key is not None, "asyncssh has asked about the key, and verified its signature"
        self._authenticating = True
        with self._keeping_error():
            self._known.accept(*self._node, self._key, self._policy)
            self._steps.phase(Phase.LOGIN)

    def auth_completed(self) -> None:
        with self._keeping_error():
            self._steps.authenticated()

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """Keeps what is raised in the body as the end_reason: why this side ends the connection."""
        try:
            yield
        except Exception as error:
            self.end_reason = error
            raise

    def _announce(self) -> None:
        """Is to be called before the password is given to asyncssh."""
        if not self._announced:
            self._announced = True
            with self._keeping_error():
                self._steps.password()

    def password_auth_requested(self) -> str | None:
        """Returns the password, once. None: another method is to be tried, if any is left."""
        if not self._start_method(_PASSWORD):
            return None
        self._announce()
        self._sent_by.add(_PASSWORD)
        return self._password

    def _start_method(self, method: str) -> bool:
        """Says whether to use `method` now: see the top of this file."""
        self._was_refused = self._was_refused or bool(self._sent_by)
        # The methods that the server can continue with, without those that were given up. Both if
        # that is not known, because a second attempt would be worse than none.
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
        return "" if self._start_method(_INTERACTIVE) else None  # "": any submethod

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Returns one answer for each prompt; None gives up this method.

        A challenge without a prompt is a message, to be acknowledged. The same question again, or
        one with words such as "Sorry, try again", means that the answer was refused.
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
        """Gives the password for the first prompt that does not echo, unless that asks for a second
        factor; for a later one only if it asks for the current password. None if there is a prompt
        that has no answer.
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
        """Raises, which ends the connection. To be called in a callback of asyncssh."""
        self.end_reason = fail(
            Code.AUTH_FAILED,
            message,
            hint="log in once by hand and set a new password: set password user admin",
        )
        raise self.end_reason


def _wants_new(prompt: str) -> bool:
    text = prompt.lower().replace("try again", "")
    return "new" in text.split() or any(word in text for word in ("retype", "re-enter", "again"))
