"""Merges the timeouts of file and environment, and checks the rules between them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from cucmd.job.timeouts import MOST_SECONDS, Timeouts
from cucmd.toml_file import ConfigError, KeyPath, TomlFile, wrong_value

ENVIRONMENT = "environment"
# Other programs set two of the timeouts with these variables (tests/system/test_be020.py).
VARIABLES = {
    "connect": "JOB_CONNECT_TIMEOUT_SEC",
    "command": "JOB_COMMAND_TIMEOUT_SEC",
}
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{0,12})?")


def timeouts_from_environment(environ: Mapping[str, str]) -> dict[str, float]:
    """Returns the timeouts that environment variables set, in seconds. Raises `ConfigError`."""
    timeouts: dict[str, float] = {}
    for field, variable in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:  # Environment= in a unit can empty a variable, but not unset it
            continue
        seconds = float(text) if _NUMBER.fullmatch(text) else 0.0
        if not 0 < seconds <= MOST_SECONDS:
            reason = wrong_value(text, "expected a positive number of seconds (at most a year)")
            raise ConfigError(ENVIRONMENT, reason, variable)
        timeouts[field] = seconds
    return timeouts


def merge_timeouts(
    file: TomlFile,
    place: KeyPath,
    base: Timeouts,
    own: Mapping[str, float],
    variables: Mapping[str, float],
) -> Timeouts:
    """Returns `base` with the timeouts of the table at `place`. Raises `ConfigError`.

    own        the timeouts in the table
    variables  the timeouts of the environment, which override those of every table
    """
    for field, value in variables.items():
        if own.get(field, value) != value:
            reason = f"is overridden by ${VARIABLES[field]}"
            file.notice((*place, field), reason)
    timeouts = replace(base, **{**own, **variables})
    problem = timeouts.problem()
    if problem is None:
        return timeouts
    field, reason = problem
    if field in variables:
        raise ConfigError(ENVIRONMENT, reason, VARIABLES[field])
    raise file.error((*place, field), reason)
