"""Says who may call which method at the socket, by the credentials of the peer from the kernel.

Root, the daemon's own user and the operate group may call every method; the view group those of its
rights in RIGHTS; everybody else gets `PermissionDenied`. Where there is no group, the folder of
the socket keeps all others out.

A user in `[access] may_speak_for`, such as a program that serves HTTP, may say in a call for whom
it is made, and with which role. The call needs the right in both: in that role, and as the user
itself. So there is no other table of who may do what.
"""

from __future__ import annotations

import errno
import logging
import os
import pwd
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

import msgspec

from cucmd.api.refusals import invalid, refusals
from cucmd.api.request_checks import name_of
from cucmd.config.model import AccessSettings
from cucmd.job.request import Request
from cucmd.paths import is_private
from cucmd.varlink import Caller, Method, PermissionDenied
from cucmd.varlink.listener import gid_of

log = logging.getLogger(__name__)


class Right(Enum):
    """Says who may call a method, beside operators, who may call all.

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
    **dict.fromkeys(("AddHostKey", "ForgetHostKey", "Reload", "Credentials"), Right.OPERATE),
    # About the service itself, so that `varlinkctl info` works for the view group too.
    **dict.fromkeys(("GetInfo", "GetInterfaceDescription"), Right.VIEW),
}


class Access(msgspec.Struct, frozen=True):
    """Holds the rule, with group ids; None for a group that does not exist or is not configured.

    `speakers`: the uids of those who may speak for others.
    """

    uid: int
    operate_gid: int | None = None
    view_gid: int | None = None
    view_reads_files: bool = False
    speakers: frozenset[int] = frozenset()

    @classmethod
    def from_settings(cls, settings: AccessSettings) -> Access:
        return cls(
            os.geteuid(),
            gid_of(settings.operate_group),
            gid_of(settings.view_group),
            settings.view_reads_files,
            frozenset(_uids(settings.may_speak_for)),
        )

    def may_operate(self, caller: Caller) -> bool:
        return caller.uid in (0, self.uid) or _in(caller, self.operate_gid)

    def may_view(self, caller: Caller) -> bool:
        return self.may_operate(caller) or _in(caller, self.view_gid)

    def is_operator(self, caller: Caller, request: Request) -> bool:
        """Says whether a call is an operator's own, or made for one."""
        asked = request.on_behalf_of
        return self.may_operate(caller) and (asked is None or asked.role == "operate")

    def _may(self, caller: Caller, right: Right, role: str) -> bool:
        if right is Right.VIEW or (right is Right.READ and self.view_reads_files):
            return self.may_view(caller)
        return role == "operate" and self.may_operate(caller)

    def authorize(self, caller: Caller, method: Method | None, role: str = "operate") -> None:
        """Raises `PermissionDenied`. `method` is None for a name that no method has.

        `role`: of whom the caller speaks for; it gives no right that the caller has not.
        """
        right = Right.VIEW if method is None else RIGHTS.get(method.name, Right.OPERATE)
        if not self._may(caller, right, role):
            name = method.name if method else "a call"
            log.warning("refused %s to %s", name, caller, extra=caller.for_log)
            raise PermissionDenied

    def effective_caller(self, caller: Caller, method: Method, request: Request) -> Caller:
        """Says as whom a call is made that its caller may make. Logs it, once for each call.

        Raises `PermissionDenied` where the role of whom it is made for has not the right, which
        that person should be told. A caller who may not speak for others gets `InvalidRequest` of
        the field: the configuration has to change, or the program.
        """
        asked = request.on_behalf_of
        if asked is not None:
            if caller.uid not in self.speakers:
                why = f"uid {caller.uid} is not in [access] may_speak_for"
                log.warning("refused %s to %s: %s", method.name, caller, why, extra=caller.for_log)
                raise invalid("on_behalf_of", why)
            with refusals(caller):
                caller = msgspec.structs.replace(caller, asked_by=name_of(asked))
            self.authorize(caller, method, asked.role)
        # A script that looks each second would fill the journal.
        level = logging.DEBUG if RIGHTS.get(method.name) is Right.VIEW else logging.INFO
        log.log(level, "%s by %s", method.name, caller, extra=caller.for_log)
        return caller


def _in(caller: Caller, gid: int | None) -> bool:
    return gid is not None and (caller.gid == gid or gid in caller.groups)


def _uids(users: Iterable[str]) -> Iterator[int]:
    for user in users:
        try:
            yield int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        except KeyError:
            log.debug("there is no user '%s'", user)


def make_private(folder: Path) -> None:
    """Makes a folder that only the daemon's own user can enter, unless it is there.

    Raises `OSError` if others can use it: what another user may have made is never used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(str(folder), os.geteuid()):
        reason = "its folder is not this user's alone (mode 0700)"
        raise PermissionError(errno.EPERM, reason, str(folder))
