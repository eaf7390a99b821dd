"""PURE. Which settings need a restart. All others take effect with a reload.

Every setting that `service` reads only when it starts is listed here.
"""

from __future__ import annotations

from cucmd.config.model import Config

_OF_LIMITS = (
    "free_space_percent",
    "free_space_bytes",
    "connections_per_uid",
    "requests_per_uid",
    "watchers_per_uid",
)
# The daemon accepts their members after a reload, but the socket's file is made for the old groups.
_GROUPS_OF_SOCKET = ("operate_group", "view_group")


def not_until_restart(
    at_start: Config, now: Config, *, socket_is_given: bool = False
) -> tuple[str, ...]:
    """The changed settings that need a restart, by their names in the file.

    at_start         the configuration with which the daemon started
    now              the one that was read last
    socket_is_given  systemd has made the socket; a restart does not change its groups then
    """
    old, new = _fixed(at_start), _fixed(now)
    if not socket_is_given:
        old |= _groups(at_start)
        new |= _groups(now)
    return tuple(name for name, value in new.items() if value != old[name])


def _groups(config: Config) -> dict[str, object]:
    access = config.access
    return {f"access.{name} of the socket": getattr(access, name) for name in _GROUPS_OF_SOCKET}


def _fixed(config: Config) -> dict[str, object]:
    fixed: dict[str, object] = {
        f"daemon.{name}": getattr(config.daemon, name) for name in config.daemon.__struct_fields__
    }
    fixed["receiver.listen"] = config.receiver.listen
    fixed |= {f"limits.{name}": getattr(config.limits, name) for name in _OF_LIMITS}
    fixed["legacy_algorithms of the receiver"] = config.receiver_is_legacy
    return fixed
