"""PURE. Says how what runs differs from the file, and what brings that of the file in.

A reload takes all of a new configuration. The settings that `service` reads only when it starts
stay as they were then, until a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from cucmd.config.model import Config, Daemon
from cucmd.config.toml import OF_CLUSTERS, Tables, dotted, inline, tables, value

Needs: TypeAlias = Literal["reload", "restart"]
# (name, what brings the file's value in, the value that runs, that of the file), the values as
# TOML; None: there is none.
Differing: TypeAlias = tuple[str, Needs, str | None, str | None]

_AT_START: dict[tuple[str, ...], tuple[str, ...]] = {
    ("daemon",): Daemon.__struct_fields__,
    ("receiver",): ("listen", "processes"),
    ("limits",): (
        "free_space_percent",
        "free_space_bytes",
        "connections_per_uid",
        "requests_per_uid",
        "watchers_per_uid",
    ),
}
# The daemon accepts their members after a reload, but the socket's file is made for the old groups.
_GROUPS_OF_SOCKET = ("operate_group", "view_group")


def running(at_start: Config, now: Config) -> Tables:
    """Returns what runs: `now`, which was read last, with what was read when the daemon started."""
    begun, made = tables(at_start), tables(now)
    for path, keys in _AT_START.items():
        made[path] |= {key: begun[path][key] for key in keys}
    return made


def differences(
    at_start: Config, now: Config, file: Config, *, socket_is_given: bool = False
) -> Iterator[Differing]:
    """Yields what differs between what runs and what is in the file, by the names in the file. A
    table with a name that is on one side only is one difference.

    at_start, now    as for `running`
    socket_is_given  systemd has made the socket; a restart does not change its groups then
    """
    ours, theirs = running(at_start, now), tables(file)
    for path in ours | theirs:
        if path not in ours or path not in theirs:
            mine, other = (inline(made[path]) if path in made else None for made in (ours, theirs))
            yield dotted(path), "reload", mine, other
            continue
        for key in ours[path] | theirs[path]:
            mine, other = _used(ours, path, key), _used(theirs, path, key)
            if mine != other:
                needs: Needs = "restart" if key in _AT_START.get(path, ()) else "reload"
                yield dotted((*path, key)), needs, mine, other
    begun = _made_of_several(at_start, socket_is_given=socket_is_given)
    for name, other in _made_of_several(file, socket_is_given=socket_is_given).items():
        if begun[name] != other:
            yield name, "restart", begun[name], other


def _used(made: Tables, path: tuple[str, ...], key: str) -> str | None:
    """Returns the value in that table; of a cluster that has none, the general one."""
    general = ((section,) for section in OF_CLUSTERS if path[0] == "clusters")
    return next((made[place][key] for place in (path, *general) if key in made[place]), None)


def not_until_restart(
    at_start: Config, now: Config, *, socket_is_given: bool = False
) -> tuple[str, ...]:
    """Names the changed settings that need a restart, once `now` is in force."""
    left = differences(at_start, now, now, socket_is_given=socket_is_given)
    return tuple(name for name, *_ in left)


def _made_of_several(config: Config, *, socket_is_given: bool) -> dict[str, str]:
    """Returns what is made at the start of settings that otherwise take effect with a reload."""
    made = {"legacy_algorithms of the receiver": value(config.receiver_is_legacy)}
    if not socket_is_given:
        for name in _GROUPS_OF_SOCKET:
            made[f"access.{name} of the socket"] = value(getattr(config.access, name))
    return made
