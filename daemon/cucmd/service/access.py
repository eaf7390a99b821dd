"""Who may call which method at the socket, by the credentials of the peer from the kernel.

The one rule: root, the daemon's own user and the operate group may call every method; the view
group those of VIEW; everybody else gets `PermissionDenied`.
"""

from __future__ import annotations

import grp
import logging
import os

import msgspec

from cucmd.varlink import Caller, Method, PermissionDenied

log = logging.getLogger(__name__)

VIEW = frozenset({"Status", "List", "Watch", "ListHostKeys"})
# Methods about the service itself, so that `varlinkctl info` works for the view group too.
SERVICE = frozenset({"GetInfo", "GetInterfaceDescription"})


class Access(msgspec.Struct, frozen=True):
    """The rule, with group ids; None for a group that does not exist or is not configured."""

    uid: int
    operate_gid: int | None = None
    view_gid: int | None = None

    @classmethod
    def of(cls, operate_group: str, view_group: str) -> Access:
        return cls(os.geteuid(), _gid(operate_group), _gid(view_group))

    def may_operate(self, caller: Caller) -> bool:
        return caller.uid in (0, self.uid) or _in(caller, self.operate_gid)

    def may_view(self, caller: Caller) -> bool:
        return self.may_operate(caller) or _in(caller, self.view_gid)

    def authorize(self, caller: Caller, method: Method | None) -> None:
        """Raises `PermissionDenied`. `method` is None for a name that no method has."""
        view = method is None or method.name in VIEW or method.name in SERVICE
        if not (self.may_view(caller) if view else self.may_operate(caller)):
            name = method.name if method else "a call"
            who = caller.uid, caller.pid
            log.warning("refused %s to uid %d, pid %d", name, *who, extra=caller.for_log)
            raise PermissionDenied
        if method is not None:
            who = caller.uid, caller.pid
            log.info("%s by uid %d, pid %d", method.name, *who, extra=caller.for_log)


def _in(caller: Caller, gid: int | None) -> bool:
    return gid is not None and (caller.gid == gid or gid in caller.groups)


def _gid(name: str) -> int | None:
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        # Usual where the daemon was started by hand; the package's sysusers file makes the groups.
        log.debug("there is no group '%s'", name)
        return None
