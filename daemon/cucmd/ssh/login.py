"""The login at a node's SSH server: the check of its host key, and the password.

The one rule: the password is sent only after the host key was checked, only to a prompt that does
not echo, and at most twice. This file keeps it only in the field that `forget` clears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import asyncssh
from asyncssh.saslprep import SASLPrepError, saslprep
from msgspec.structs import replace

from cucmd.failure import Code, NodeFailed, fail
from cucmd.job import Phase
from cucmd.node_name import address
from cucmd.ssh.causes import Mask, Progress, printable
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.known_line import HostKey
from cucmd.ssh.link import Opener, public_key

# A login has one or two challenges (PAM sends an empty one at the end). A server that sends more
# than ten will not accept the login.
_CHALLENGE_LIMIT = 10
# Some servers ask for the current password again before they ask for a new one.
_PASSWORD_LIMIT = 2


class Login(Opener):
    """One login. All methods but `forget` and `progress` are asyncssh's callbacks."""

    def __init__(  # noqa: PLR0917  # called in one place only, `open_shell`
        self,
        node: tuple[str, int],
        credentials: tuple[str, str],
        policy: Policy,
        known: KnownHosts,
        on_phase: Callable[[Phase], None],
        mask: Mask,
    ) -> None:
        super().__init__(_checked(node, *credentials), legacy=policy.legacy_algorithms)
        self._node = node
        self._password: str | None = credentials[1]
        self._policy = policy
        self._known = known
        self._on_phase = on_phase
        self._mask = mask
        self._key: HostKey | None = None
        self._authenticating = False
        self._tried: list[str] = []
        self._challenges = 0
        self._answered: set[str] = set()
        self._passwords_sent = 0
        self._refused = False

    def __repr__(self) -> str:
        return f"<Login of {self.username} at {address(*self._node)}>"

    def forget(self) -> None:
        """Removes the password: a connection needs it only once."""
        self._password = None

    def progress(self) -> Progress:
        return replace(
            super().progress(),
            authenticating=self._authenticating,
            refused=self._refused,
            tried=tuple(self._tried),
        )

    # Called by asyncssh.

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self._key = public_key(key)
        try:
            self._known.check(*self._node, self._key, self._policy)
        except NodeFailed as failed:
            self.verdict = failed
            return False
        return True

    def begin_auth(self, username: str) -> None:
        assert self._key is not None, "asyncssh has asked about the key, and verified its signature"
        self._authenticating = True
        try:
            self._known.accept(*self._node, self._key, self._policy)
            self._on_phase(Phase.LOGIN)
        except Exception as defect:
            self.verdict = defect  # a changed key, or an error of `on_phase`
            raise

    def password_auth_requested(self) -> str | None:
        """The password, once. The second request means that it was refused."""
        if "password" in self._tried:
            self._refused = True
            return None
        self._tried.append("password")
        return self._password

    def password_change_requested(self, prompt: str, lang: str) -> NoReturn:
        self._stop(
            f"{address(*self._node)} wants a new password for {self.username}: "
            f"{printable(self._mask(prompt.strip()), 100)}"
        )

    def kbdint_auth_requested(self) -> str | None:
        if "password" in self._tried:
            self._refused = True
        if "keyboard-interactive" in self._tried:
            self._refused = True
            return None
        self._tried.append("keyboard-interactive")
        return ""  # any submethod

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """One answer for each prompt; None gives up this method.

        A challenge without a prompt is a message, to be acknowledged. The same question again
        means that the answer was refused.
        """
        self._challenges += 1
        if self._challenges > _CHALLENGE_LIMIT or len(prompts) > _CHALLENGE_LIMIT:
            return None
        texts = {prompt.strip().lower() for prompt, _ in prompts}
        if texts & self._answered:
            self._refused = True
            return None
        self._answered |= texts
        return self._answers(prompts)

    def _answers(self, prompts: Sequence[tuple[str, bool]]) -> list[str] | None:
        answers: list[str] = []
        for prompt, echo in prompts:
            if _wants_new(prompt):
                self._stop(f"{address(*self._node)} wants a new password for {self.username}")
            if not echo:
                self._passwords_sent += 1
            answers.append(self.username if echo else self._password or "")
        return answers if self._passwords_sent <= _PASSWORD_LIMIT else None

    def _stop(self, message: str) -> NoReturn:
        """Raises, which ends the connection. To be called in a callback of asyncssh."""
        self.verdict = fail(
            Code.AUTH_FAILED,
            message,
            hint="log in once by hand and set a new password: set password user admin",
        )
        raise self.verdict


def _wants_new(prompt: str) -> bool:
    text = prompt.lower()
    return "new" in text.split() or any(word in text for word in ("retype", "re-enter", "again"))


def _checked(node: tuple[str, int], username: str, password: str) -> str:
    """The name as it is sent. What cannot be sent fails here, without being quoted."""
    try:
        prepared = saslprep(username)
        password.encode()
    except (SASLPrepError, UnicodeEncodeError):
        raise fail(
            Code.AUTH_FAILED,
            f"user name or password for {address(*node)} holds characters that SSH cannot carry",
        ) from None
    return prepared
