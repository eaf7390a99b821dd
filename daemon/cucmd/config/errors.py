"""Says what can be wrong with a request that is checked against the configuration."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_SHOWN = 80


def shortened(text: str) -> str:
    """Cuts a text that somebody sent to what an error may repeat: its beginning, if it is long."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class InvalidValue(Exception):
    """A parameter of a request cannot be accepted; the path is as in `timeouts.command`."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}")
        self.parameter = parameter
        self.reason = reason


class UnknownProfile(Exception):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = shortened(name)
        super().__init__(f"no profile {self.name!r}; there are {', '.join(known)}")


class UnknownCredential(Exception):
    """`cluster` has its name if the credential is that of a cluster, not one of the request."""

    def __init__(self, name: str, reason: str, cluster: str | None = None) -> None:
        of = f" of cluster {cluster!r}" if cluster is not None else ""
        self.name = shortened(name)
        super().__init__(f"no credential {self.name!r}{of}: {reason}")
        self.reason = reason
        self.cluster = cluster


class CredentialRefused(Exception):
    """The credential exists, but is not safe to use: see `credentials.py`."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"credential {name!r}: {reason}")
        self.name = name
        self.reason = reason
