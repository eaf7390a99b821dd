"""Who may call which method at the socket, by the credentials of the peer from the kernel.

Root, the daemon's own user and the operate group may call every method; the view group those of its
rights in RIGHTS; everybody else gets `PermissionDenied`. Where there is no group, the folder of
the socket keeps all others out.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
from enum import Enum
from pathlib import Path

import msgspec

from cucmd.config.model import AccessSettings
from cucmd.paths import is_private
from cucmd.varlink import Caller, Method, PermissionDenied

log = logging.getLogger(__name__)


class Right(Enum):
    """Who may call a method, beside operators, who may call all.

    VIEW: the view group. READ: the view group where `[access] view_reads_files` is true.
    OPERATE: nobody else.
    """

    VIEW = "view"
    READ = "read"
    OPERATE = "operate"


# The table of cucmd(8) is made from this; a test compares it with the methods that there are.
RIGHTS: dict[str, Right] = {
    **dict.fromkeys(("Status", "List", "Watch", "ListHostKeys"), Right.VIEW),
    **dict.fromkeys(("Clusters", "Profiles"), Right.VIEW),
    **dict.fromkeys(("Files", "Output", "Export", "Transcript"), Right.READ),
    **dict.fromkeys(("Start", "Retry", "Cancel", "Label", "Verify"), Right.OPERATE),
    **dict.fromkeys(("Stop", "Delete", "Prune"), Right.OPERATE),
    **dict.fromkeys(("AddHostKey", "ForgetHostKey", "Reload"), Right.OPERATE),
    **dict.fromkeys(("Credentials", "Configuration"), Right.OPERATE),
    # About the service itself, so that `varlinkctl info` works for the view group too.
    **dict.fromkeys(("GetInfo", "GetInterfaceDescription"), Right.VIEW),
}


class Access(msgspec.Struct, frozen=True):
    """The rule, with group ids; None for a group that does not exist or is not configured."""

    uid: int
    operate_gid: int | None = None
    view_gid: int | None = None
    view_reads_files: bool = False

    @classmethod
    def of(cls, settings: AccessSettings) -> Access:
        return cls(
            os.geteuid(),
            _gid(settings.operate_group),
            _gid(settings.view_group),
            settings.view_reads_files,
        )

    def may_operate(self, caller: Caller) -> bool:
        return caller.uid in (0, self.uid) or _in(caller, self.operate_gid)

    def may_view(self, caller: Caller) -> bool:
        return self.may_operate(caller) or _in(caller, self.view_gid)

    def _may(self, caller: Caller, right: Right) -> bool:
        views = right is Right.VIEW or (right is Right.READ and self.view_reads_files)
        return self.may_view(caller) if views else self.may_operate(caller)

    def authorize(self, caller: Caller, method: Method | None) -> None:
        """Raises `PermissionDenied`. `method` is None for a name that no method has."""
        right = Right.VIEW if method is None else RIGHTS.get(method.name, Right.OPERATE)
        if not self._may(caller, right):
            name = method.name if method else "a call"
            who = caller.uid, caller.pid
            log.warning("refused %s to uid %d, pid %d", name, *who, extra=caller.for_log)
            raise PermissionDenied
        if method is not None:
            who = caller.uid, caller.pid
            # A script that looks each second would fill the journal.
            level = logging.DEBUG if right is Right.VIEW else logging.INFO
            log.log(level, "%s by uid %d, pid %d", method.name, *who, extra=caller.for_log)


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


def make_private(folder: Path) -> None:
    """Makes a folder that only the daemon's own user can enter, unless it is there.

    Raises `OSError` if others can use it: what another user may have made is never used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(str(folder), os.geteuid()):
        reason = "its folder is not this user's alone (mode 0700)"
        raise PermissionError(errno.EPERM, reason, str(folder))
