"""PURE. Says what a profile is, and for how long the files of a path are written to.

Those that are built in are in `built_in.py`. A profile of the configuration that has the name of
one changes only the keys that it gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from cucmd.config import rules
from cucmd.job.duration import ALWAYS, USUAL_WRITTEN_FOR
from cucmd.toml_file import text

_Description = Annotated[str, text(rules.description)]


class Profile(Struct, frozen=True):
    """Describes a named collection. `last` ("2h") is the window if the request has none.

    written_for for how long one file of each path is written to, in their order ("1h", "always")
    products    which it fits, in the vendor's words; none: any with the same appliance shell
    leaves_out  what a person may expect in it, and where that is
    unverified  those of the paths that nodes need not have; where nothing comes of one, that is no
                note
    snapshot    commands are run at the end (`vos.SNAPSHOT`); "health": those of a look at the
                health of the node, which is judged
    """

    name: str
    description: _Description = ""
    paths: tuple[Annotated[str, text(rules.placed_path)], ...] = ()
    location: Annotated[str, text(rules.location)] = "activelog"
    match: Annotated[str, text(rules.argument, may_be_empty=True)] | None = None
    recurs: bool = False
    compress: bool = False
    last: Annotated[str, text(rules.last, may_be_empty=True)] | None = None
    written_for: tuple[Annotated[str, text(rules.written_for)], ...] = ()
    products: tuple[_Description, ...] = ()
    leaves_out: _Description = ""
    unverified: tuple[Annotated[str, text(rules.path)], ...] = ()
    snapshot: Annotated[bool | Literal["health"], Meta(description='true, false or "health"')] = (
        False
    )


# For how long one file is written to, where it is not the usual hour: section 7.2 of vos/NODES.md
# says why. Too long a time costs files that are newer than the window, too short a one can cost the
# files that were asked for.
_WRITTEN_FOR = {
    # Few files, each for days, until it is rotated.
    "syslog/messages*": ALWAYS,
    "syslog/CiscoSyslog*": ALWAYS,
    "syslog/secure*": ALWAYS,
    "syslog/sd_ntp.log*": ALWAYS,
    "audit/AuditApp": ALWAYS,
    "audit/vos": ALWAYS,
    "cm/log/informix": ALWAYS,
    "platform/log": ALWAYS,
    "platform/snmp": ALWAYS,
    "platform/drf": ALWAYS,
    "tomcat/logs": ALWAYS,
    "*": ALWAYS,  # of the location install
    # They have no time stamps that would show a missing end.
    "cm/log/ris/csv": "1d",
    "cm/log/amc/AlertLog": "1d",
    "platform/cli/*.cap*": "1d",
}


def written_for(paths: Iterable[str]) -> tuple[str, ...]:
    """Returns what the built-in profiles say of these paths of a profile."""
    return tuple(map(_written_for, paths))


def _written_for(path: str) -> str:
    """Returns that of the path, else that of its folder."""
    path = path.strip("/")
    folder = path.rpartition("/")[0]
    seldom = path.endswith("/log4j")  # of what happens seldom, until a file has its size
    usual = "1d" if seldom else USUAL_WRITTEN_FOR
    return _WRITTEN_FOR.get(path) or _WRITTEN_FOR.get(folder, usual)
