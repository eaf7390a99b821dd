"""PURE. What of the configuration a running daemon cannot take up: the rest holds at once.

The one rule: whatever `service` reads only when it starts is named here.
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
# Its members are let in by us at once, but by the kernel only once the file belongs to the group.
_GROUP_OF_SOCKET = "access.operate_group of the socket"


def not_until_restart(
    at_start: Config, now: Config, *, socket_is_given: bool = False
) -> tuple[str, ...]:
    """The settings that wait for a restart, by their names in the file: those that differ from
    the start's, not from the last reload's, which took none of them up.

    A socket that systemd made and gave us keeps its group at a restart too.
    """
    old, new = _fixed(at_start), _fixed(now)
    if socket_is_given:
        del new[_GROUP_OF_SOCKET]
    return tuple(name for name, value in new.items() if value != old[name])


def _fixed(config: Config) -> dict[str, object]:
    fixed: dict[str, object] = {
        f"daemon.{name}": getattr(config.daemon, name) for name in config.daemon.__struct_fields__
    }
    fixed[_GROUP_OF_SOCKET] = config.access.operate_group
    fixed["receiver.listen"] = config.receiver.listen
    fixed |= {f"limits.{name}": getattr(config.limits, name) for name in _OF_LIMITS}
    fixed["legacy_algorithms of the receiver"] = config.receiver_is_legacy
    return fixed
