"""Which login is sent to a node: that of the request, or the credential of the node's cluster.

A credential is not sent to a node that it may not be sent to.
"""

from __future__ import annotations

from typing import Protocol

from cucmd.config import InvalidValue, NodeSettings, UnknownCredential
from cucmd.config.errors import found
from cucmd.job import asked
from cucmd.job.node import Node
from cucmd.node.ports import Credentials

LONGEST_NAME = 64  # of a user; a platform administrator's is shorter
LONGEST_SECRET = 1024  # of a password: it is in memory until its job has ended


class CredentialSource(Protocol):
    """What is known of credentials."""

    def credential(self, name: str) -> asked.Login:
        """Raises `UnknownCredential`, `CredentialRefused`."""
        ...

    def may_send(self, credential: str, node: Node, *, accepted: bool) -> bool:
        """`accepted`: also to a node that was named by one to which it may be sent."""
        ...


class Logins:
    """The login for each node: that of the request, or the credential of the node's cluster.

    Raises `InvalidValue` if the request has none that could be used.
    """

    def __init__(self, source: CredentialSource, login: asked.Login) -> None:
        self._source = source
        self._login = login
        self._read: dict[str, asked.Login] = {}
        if login.password is not None and login.credential is not None:
            raise InvalidValue("login", "has a password and a credential; expected one of them")
        if login.password is not None and not login.username:
            raise InvalidValue("login.username", "is missing beside the password")
        name = login.username or ""
        if len(name) > LONGEST_NAME or not name.isprintable():
            expected = f"expected at most {LONGEST_NAME} printable characters"
            raise InvalidValue("login.username", found(name, expected))

    def credential_for(self, settings: NodeSettings) -> str | None:
        """Its name; None: a password was given, or nothing."""
        login = self._login
        return None if login.password is not None else login.credential or settings.credential

    def of(self, node: Node, settings: NodeSettings, *, accepted: bool) -> Credentials:
        """The login for this node. `accepted`: as for `may_send`.

        Raises `InvalidValue`, `UnknownCredential`, `CredentialRefused`.
        """
        login = self._login
        if login.password is not None:
            _check_secret("login.password", login.password)
            return Credentials(login.username or "", login.password)
        name = self.credential_for(settings)
        if name is None:
            raise InvalidValue("login", "has neither a password nor a credential")
        if not self._source.may_send(name, node, accepted=accepted):
            reason = f"is tied to other nodes than {node.node} by the configuration"
            raise InvalidValue("login.credential", found(name, reason))
        try:
            credential = self._credential(name)
        except UnknownCredential as missing:
            cluster = settings.cluster if login.credential is None else None
            raise UnknownCredential(name, missing.reason, cluster) from None
        username = login.username or credential.username
        if not username:
            raise InvalidValue("login.username", f"is missing, and credential '{name}' has none")
        assert credential.password is not None, "a credential has one"
        return Credentials(username, credential.password)

    def _credential(self, name: str) -> asked.Login:
        if name not in self._read:
            self._read[name] = self._source.credential(name)
        return self._read[name]


def _check_secret(parameter: str, secret: str) -> None:
    if len(secret) > LONGEST_SECRET:
        raise InvalidValue(parameter, f"has more than {LONGEST_SECRET} characters")
    if not secret or any(character in secret for character in "\r\n\0"):
        raise InvalidValue(parameter, "is empty or holds a line break; the value is not shown")
