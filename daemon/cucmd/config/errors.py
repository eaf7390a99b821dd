"""Says what can be wrong with a configuration, and with a request that is checked against it.

Every error says which key or parameter, what was found and what was expected. A value that may be a
secret is never repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

ENVIRONMENT = "environment"

_LONGEST_SHOWN = 80
# A file that was given by mistake can have ten thousands of problems, with keys of any length.
_MOST_IN_A_LINE = 10
_LONGEST_LINE = 4000


class Problem(Struct, frozen=True):
    """Says one thing that is wrong. `line` is None outside of the file, as in the environment."""

    file: str
    line: int | None
    key: str
    reason: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.reason) if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    def in_one_line(self) -> str:
        """Names the first problems and how many more there are: for a status or a log line."""
        first = "; ".join(map(str, self.problems[:_MOST_IN_A_LINE]))
        if len(first) > _LONGEST_LINE:
            first = f"{first[:_LONGEST_LINE]}..."
        more = len(self.problems) - _MOST_IN_A_LINE
        return f"{first}; and {more} more, see `cucmd check`" if more > 0 else first


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


def wrong_value(value: object, reason: str) -> str:
    """Puts the value before what is wrong with it: `"abc": expected a number`."""
    return f"{_shown(value)}: {reason}"


def _shown(value: object) -> str:
    """Shows a value as a message may: on one line, short, and without the content of tables."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = ascii(value[:_LONGEST_SHOWN])
            return text if len(value) <= _LONGEST_SHOWN else f"{text}..."
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)[:_LONGEST_SHOWN]
