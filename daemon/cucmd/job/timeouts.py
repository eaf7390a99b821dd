"""PURE. Declares the deadlines of a job, in seconds."""

from __future__ import annotations

import msgspec

# A year. This is longer than any job, and short enough that no deadline overflows.
MOST_SECONDS = 31_536_000
# A stop of the daemon waits for the grace period of every node. systemd kills the daemon after 60 s
# (systemd/cucmd.service).
MOST_GRACE = 45.0


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds deadlines in seconds. All are positive, and `command` is not less than `connect`."""

    connect: float = 30.0
    login: float = 120.0
    answer: float = 60.0
    command: float = 600.0
    stall: float = 120.0
    node: float = 3600.0
    job: float = 14400.0
    grace: float = 5.0

    def problem(self) -> tuple[str, str] | None:
        """Returns (field, reason) for the first wrong field, or None if all fields are right."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value <= MOST_SECONDS:  # `not` also refuses NaN
                return name, f"{value:g} is not a positive number of seconds (at most a year)"
        if self.grace > MOST_GRACE:
            return "grace", f"{self.grace:g} s is more than {MOST_GRACE:g} s"
        if self.command < self.connect:
            return "command", f"{self.command:g} s is less than connect ({self.connect:g} s)"
        return None
