"""The timeouts of file and environment, and the rule that holds between them.

A broken rule is reported for a value that was given, never for a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec.structs import replace

from cucmd.config import rules
from cucmd.config.errors import ENVIRONMENT
from cucmd.config.keys import seconds
from cucmd.config.lines import KeyPath
from cucmd.config.reading import Reader
from cucmd.job.timeouts import Timeouts

# The environment's names for two of the timeouts (tests/system/test_be020.py).
VARIABLES = {
    "connect": "JOB_CONNECT_TIMEOUT_SEC",
    "command": "JOB_COMMAND_TIMEOUT_SEC",
}
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{0,12})?")

# Where a value was given: a key of the file, or a variable.
_Place: TypeAlias = KeyPath | str


class TimeoutMerger:
    """Merges timeouts. Those of the environment override those of every table."""

    def __init__(self, reader: Reader, environ: Mapping[str, str]) -> None:
        self._reader = reader
        self._given = dict(self._read(environ))

    def _read(self, environ: Mapping[str, str]) -> list[tuple[str, float]]:
        given: list[tuple[str, float]] = []
        for field, variable in VARIABLES.items():
            text = environ.get(variable, "").strip()
            if not text:  # a unit file can only empty a variable, not unset it
                continue
            try:
                given.append((field, seconds(float(text) if _NUMBER.fullmatch(text) else text)))
            except ValueError as error:
                self._reader.note_elsewhere(ENVIRONMENT, variable, text, str(error))
        return given

    def general(self, own: Mapping[str, Any]) -> Timeouts:
        """The timeouts of `[timeouts]`, whose values are `own`."""
        return self._over(Timeouts(), ("timeouts",), own, VARIABLES)

    def of_cluster(self, base: Timeouts, table: KeyPath, own: Mapping[str, Any]) -> Timeouts:
        """The timeouts of a cluster's table."""
        # A variable that conflicts with the defaults was reported before, by `general`.
        return self._over(base, table, own, {})

    def _over(
        self,
        base: Timeouts,
        table: KeyPath,
        own: Mapping[str, Any],
        variables: Mapping[str, str],
    ) -> Timeouts:
        overruled = {
            field for field, value in self._given.items() if own.get(field, value) != value
        }
        for field in sorted(overruled):
            self._reader.overridden_by((*table, field), f"${VARIABLES[field]}")
        timeouts = replace(base, **{**own, **self._given})
        places: dict[str, _Place] = {field: (*table, field) for field in own}
        for field in self._given:
            places.pop(field, None)
            if field in variables:
                places[field] = variables[field]
        if not self._in_doubt(table):
            self._check(timeouts, places)
        return timeouts

    def _in_doubt(self, table: KeyPath) -> bool:
        """Whether one of the two timeouts to compare was refused, here or in `[timeouts]`."""
        return any(
            not self._reader.intact((*place, field))
            for place in (("timeouts",), table)
            for field in VARIABLES
        )

    def _check(self, timeouts: Timeouts, places: Mapping[str, _Place]) -> None:
        wrong = rules.wrong_timeout(timeouts, places)
        if wrong is None:
            return
        field, reason = wrong
        place = places.get(field)
        if isinstance(place, str):
            self._reader.note_elsewhere(ENVIRONMENT, place, getattr(timeouts, field), reason)
        elif place is not None:
            self._reader.note(place, reason)
