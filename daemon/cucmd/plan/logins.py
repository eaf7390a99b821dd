"""Says which login is sent to a node: that of the request, or the credential of the node's cluster.

A credential is not sent to a node that it may not be sent to.
"""

from __future__ import annotations

from collections.abc import Mapping

from cucmd.config import (
    ClusterSettings,
    Config,
    InvalidValue,
    UnknownCredential,
    load_credential,
    wrong_value,
)
from cucmd.job import asked
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.node.ports import Credentials

LONGEST_NAME = 64  # of a user; a platform administrator's is shorter
LONGEST_SECRET = 1024  # of a password: it is in memory until its job has ended
MOST_NAMED = 10  # nodes in a message


class Logins:
    """Finds the login for each node: that of the request, or the credential of the node's cluster.

    Raises `InvalidValue` if the request has none that could be used.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], login: asked.Login) -> None:
        self._config = config
        self._environ = environ
        self._login = login
        self._read: dict[str, asked.Login] = {}
        if login.password is not None and login.credential is not None:
            raise InvalidValue("login", "has a password and a credential; expected one of them")
        if login.password is not None and not login.username:
            raise InvalidValue("login.username", "is missing beside the password")
        name = login.username or ""
        if len(name) > LONGEST_NAME or not name.isprintable():
            expected = f"expected at most {LONGEST_NAME} printable characters"
            raise InvalidValue("login.username", wrong_value(name, expected))

    def check_accepted(self, job: Job) -> None:
        """Raises `InvalidValue` that names the nodes to which a credential may not be sent, and
        might be if they were accepted: those that a discovery has named.
        """
        if self._login.password is not None or job.accept_nodes:
            return
        refused: dict[str, list[str]] = {}
        for node in job.nodes:
            if node.named_by is None or node.settled:
                continue
            settings = self._config.for_node(node.node, node.named_by)
            name = self._login.credential or settings.credential
            if name is None or self._config.may_send(name, node.node):
                continue
            if self._config.may_send(name, node.named_by):
                refused.setdefault(name, []).append(node.node)
        for name, nodes in refused.items():
            named = ", ".join(nodes[:MOST_NAMED])
            more = f" and {len(nodes) - MOST_NAMED} more" if nodes[MOST_NAMED:] else ""
            reason = (
                f"is tied to other nodes than {named}{more}, which a discovery has named; "
                "accept them (--accept-nodes), or put them into the configuration"
            )
            raise InvalidValue("login.credential", wrong_value(name, reason))

    def of(self, node: Node, settings: ClusterSettings, *, accepted: bool) -> Credentials:
        """Returns the login for this node. `accepted`: also for one that was named by a node to
        which the credential may be sent.

        Raises `InvalidValue`, `UnknownCredential`, `CredentialRefused`.
        """
        login = self._login
        if login.password is not None:
            _check_password(login.password)
            return Credentials(login.username or "", login.password)
        name = login.credential or settings.credential
        if name is None:
            raise InvalidValue("login", "has neither a password nor a credential")
        takers = (node.node, node.named_by if accepted else None)
        if not any(self._config.may_send(name, taker) for taker in takers if taker):
            reason = f"is tied to other nodes than {node.node} by the configuration"
            raise InvalidValue("login.credential", wrong_value(name, reason))
        if name not in self._read:
            try:
                directory = self._config.credentials.directory
                self._read[name] = load_credential(name, directory, self._environ)
            except UnknownCredential as missing:
                cluster = (settings.name or None) if login.credential is None else None
                raise UnknownCredential(name, missing.reason, cluster) from None
        read = self._read[name]
        username = login.username or read.username
        if not username:
            raise InvalidValue("login.username", f"is missing, and credential '{name}' has none")
        assert read.password is not None, "a credential has one"
        return Credentials(username, read.password)


def _check_password(password: str) -> None:
    if len(password) > LONGEST_SECRET:
        raise InvalidValue("login.password", f"has more than {LONGEST_SECRET} characters")
    if not password or any(character in password for character in "\r\n\0"):
        reason = "is empty or holds a line break; the value is not shown"
        raise InvalidValue("login.password", reason)
