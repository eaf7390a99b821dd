"""Merges the timeouts of file and environment, by the rule that holds between them.

A broken rule is reported for a value that was given, never for a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from cucmd.config import rules
from cucmd.job.timeouts import MOST_SECONDS, Timeouts
from cucmd.toml_file import ConfigError, KeyPath, TomlFile, wrong_value

ENVIRONMENT = "environment"
# The environment's names for two of the timeouts (tests/system/test_be020.py).
VARIABLES = {
    "connect": "JOB_CONNECT_TIMEOUT_SEC",
    "command": "JOB_COMMAND_TIMEOUT_SEC",
}
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{0,12})?")


def timeouts_from_environment(environ: Mapping[str, str]) -> dict[str, float]:
    """Returns the timeouts that variables set. Raises `ConfigError`."""
    given: dict[str, float] = {}
    for field, variable in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:  # a unit file can only empty a variable, not unset it
            continue
        seconds = float(text) if _NUMBER.fullmatch(text) else 0.0
        if not 0 < seconds <= MOST_SECONDS:
            reason = wrong_value(text, "expected a positive number of seconds (at most a year)")
            raise ConfigError(ENVIRONMENT, reason, variable)
        given[field] = seconds
    return given


def merge_timeouts(
    file: TomlFile,
    place: KeyPath,
    base: Timeouts,
    own: Mapping[str, float],
    variables: Mapping[str, float],
) -> Timeouts:
    """Merges the timeouts of the table at that place over `base`. Raises `ConfigError`.

    own        what the table has
    variables  what the environment has, which overrides that of every table
    """
    for field, value in variables.items():
        if own.get(field, value) != value:
            reason = f"is overridden by ${VARIABLES[field]}"
            file.notice((*place, field), reason)
    timeouts = replace(base, **{**own, **variables})
    # A variable that conflicts with the defaults is reported for [timeouts], not for each cluster.
    given = own.keys() - variables.keys() | (variables.keys() if place == ("timeouts",) else set())
    wrong = rules.wrong_timeout(timeouts, given)
    if wrong is None:
        return timeouts
    field, reason = wrong
    if field in variables:
        raise ConfigError(ENVIRONMENT, reason, VARIABLES[field])
    raise file.error((*place, field), reason)
