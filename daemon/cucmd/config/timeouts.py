"""Merges the timeouts of file and environment, by the rule that holds between them.

A broken rule is reported for a value that was given, never for a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from msgspec.structs import replace

from cucmd.config import rules
from cucmd.config.errors import ENVIRONMENT
from cucmd.config.model import SECTIONS
from cucmd.config.reading import KeyPath, Reader
from cucmd.job.timeouts import Timeouts

# The environment's names for two of the timeouts (tests/system/test_be020.py).
VARIABLES = {
    "connect": "JOB_CONNECT_TIMEOUT_SEC",
    "command": "JOB_COMMAND_TIMEOUT_SEC",
}
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{0,12})?")


class TimeoutMerger:
    """Merges timeouts. Those of the environment override those of every table."""

    def __init__(self, reader: Reader, environ: Mapping[str, str]) -> None:
        self._reader = reader
        self._given: dict[str, Any] = {}
        for field, variable in VARIABLES.items():
            text = environ.get(variable, "").strip()
            if not text:  # a unit file can only empty a variable, not unset it
                continue
            accept = SECTIONS["timeouts"][1][field]
            try:
                self._given[field] = accept(float(text) if _NUMBER.fullmatch(text) else text)
            except ValueError as error:
                reader.note_elsewhere(ENVIRONMENT, variable, text, str(error))

    def general(self, own: Mapping[str, Any]) -> Timeouts:
        """Merges the timeouts of `[timeouts]`, whose values are `own`."""
        return self._over(Timeouts(), ("timeouts",), own, self._given.keys())

    def of_cluster(self, base: Timeouts, table: KeyPath, own: Mapping[str, Any]) -> Timeouts:
        """Merges the timeouts of a cluster's table."""
        # A variable that conflicts with the defaults was reported before, by `general`.
        return self._over(base, table, own, frozenset())

    def _over(
        self, base: Timeouts, table: KeyPath, own: Mapping[str, Any], variables: Set[str]
    ) -> Timeouts:
        """Merges timeouts over `base`; reports a wrong variable if its field is in `variables`."""
        for field, value in self._given.items():
            if own.get(field, value) != value:
                self._reader.notice((*table, field), f"is overridden by ${VARIABLES[field]}")
        timeouts = replace(base, **{**own, **self._given})
        # Whether one of the two that are compared was refused, here or in [timeouts].
        doubtful = any(
            not self._reader.intact((*place, field))
            for place in (("timeouts",), table)
            for field in VARIABLES
        )
        own_fields = own.keys() - self._given.keys()
        wrong = None if doubtful else rules.wrong_timeout(timeouts, own_fields | variables)
        if wrong is not None:
            field, reason = wrong
            if field in own_fields:
                self._reader.note((*table, field), reason)
            elif field in variables:
                value = getattr(timeouts, field)
                self._reader.note_elsewhere(ENVIRONMENT, VARIABLES[field], value, reason)
        return timeouts
