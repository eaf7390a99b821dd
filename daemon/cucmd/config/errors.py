"""Declares the exceptions for a request that the configuration does not allow."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_SHOWN = 80


def shortened(text: str) -> str:
    """Returns the beginning of a user's text, short enough to be repeated in an error."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class InvalidValue(Exception):
    """A parameter of a request is wrong. `parameter` is a path, such as `timeouts.command`."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}")
        self.parameter = parameter
        self.reason = reason


class UnknownProfile(Exception):
    """A request names a profile that does not exist."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = shortened(name)
        super().__init__(f"no profile {self.name!r}; there are {', '.join(known)}")


class UnknownCredential(Exception):
    """A credential does not exist.

    `cluster` is the name of the cluster whose settings name the credential, or None if the request
    names it.
    """

    def __init__(self, name: str, reason: str, cluster: str | None = None) -> None:
        of = f" of cluster {cluster!r}" if cluster is not None else ""
        self.name = shortened(name)
        super().__init__(f"no credential {self.name!r}{of}: {reason}")
        self.reason = reason
        self.cluster = cluster


class CredentialRefused(Exception):
    """A credential exists, but using it is not safe; `credentials.py` has the rules."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"credential {name!r}: {reason}")
        self.name = name
        self.reason = reason
