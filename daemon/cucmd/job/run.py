"""PURE. Declares commands whose output is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cucmd.job.kind import Kind

# The commands that may be run. Words in capitals are arguments, and brackets enclose what can be
# left out. `vos/forms.py` knows the values that each argument may have.
FORMS = (
    "show version active",
    "show version inactive",
    "show status",
    "show network cluster",
    "show network eth0 [detail]",
    "show network route",
    "show hardware",
    "show process load [noidle] [num N] [thread] [cpu|memory|time]",
    "show process using-most cpu [N]",
    "show process using-most memory [N]",
    "show perf query class Processor",
    "show perf query class Memory",
    "show memory count",
    "show memory modules",
    "show memory size",
    "show packages active NAME",
    "show timezone config",
    "show date",
    "show cert list own",
    "show cert list trust",
    "show cert own CERTIFICATE",
    "show cuc cluster status",
    "file list LOCATION PATH [detail] [reverse] [date|size]",
    "file search LOCATION PATH REGEX [reltime UNIT N] [ignorecase]",
    "utils service list",
    "utils ntp status",
    "utils ntp server list",
    "utils network host HOST [detail] [srv]",
    "utils network ping HOST [COUNT [SIZE]]",
    "utils dbreplication runtimestate",
    "utils diagnose test",
    "utils core active list",
    "utils core inactive list",
    "utils disaster_recovery history backup",
    "utils disaster_recovery status backup",
    "utils system upgrade status",
    "utils imdb_replication status",
    "utils ha status [GROUP]",
)


class Run(Kind, frozen=True, tag="run"):
    """Runs commands that only read, one after the other, and keeps what the node prints.

    commands  the lines to type, from `parse_command` of vos/forms.py
    seconds   the most time that each command may take; None for the time that its form says
    """

    title = "Commands run"
    repeatable = False  # nobody expects commands to run twice

    commands: tuple[str, ...]
    seconds: float | None = None

    @property
    def commands_kept(self) -> tuple[str, ...]:
        return self.commands

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        for command in self.commands:
            yield "Command", command
