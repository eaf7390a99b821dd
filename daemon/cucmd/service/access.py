"""Decides who may call which method of the socket, by the peer's credentials from the kernel.

Root, the daemon's own user and the operate group may call every method. The view group may call the
methods that RIGHTS gives it. Everybody else gets `PermissionDenied`. If no group is configured, the
mode of the socket's folder keeps all others out.

A user in `[access] may_speak_for`, such as a program that serves HTTP, may make calls on behalf of
other people. Each of these calls names the person and the person's role, `view` or `operate`. The
role and the calling user must both have the right to call the method.
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
from cucmd.api.request_checks import checked_name
from cucmd.config.model import AccessSettings
from cucmd.job.request import Request
from cucmd.jobs.supervisor import LONGEST_ID
from cucmd.paths import is_private
from cucmd.varlink import Caller, Method, PermissionDenied
from cucmd.varlink.listener import gid_of

log = logging.getLogger(__name__)


class Right(Enum):
    """Says who may call a method.

    VIEW     operators and the view group
    READ     operators, and the view group if `[access] view_reads_files` is true
    OPERATE  operators only
    """

    VIEW = "view"
    READ = "read"
    OPERATE = "operate"


# The table in cucmd(8) is made from this one. A test compares the names with the methods.
RIGHTS: dict[str, Right] = {
    **dict.fromkeys(("Status", "List", "Watch", "ListHostKeys"), Right.VIEW),
    **dict.fromkeys(("Clusters", "Profiles", "Figures"), Right.VIEW),
    **dict.fromkeys(("Files", "Output", "Find", "Export", "Transcript"), Right.READ),
    **dict.fromkeys(("Start", "Retry", "Cancel", "Label", "Verify"), Right.OPERATE),
    **dict.fromkeys(("Stop", "Delete", "Prune"), Right.OPERATE),
    **dict.fromkeys(("AddHostKey", "ForgetHostKey", "Reload", "Credentials"), Right.OPERATE),
    **dict.fromkeys(("KeepLogin", "ForgetLogin"), Right.OPERATE),
    # These are about the service itself. `varlinkctl info` calls them, so members of the view group
    # must be allowed to.
    **dict.fromkeys(("GetInfo", "GetInterfaceDescription"), Right.VIEW),
}


class Access(msgspec.Struct, frozen=True):
    """Holds the users and groups with rights. A group that is not configured or does not exist is
    None.

    uid       the daemon's own user
    speakers  the users who may call on behalf of others
    """

    uid: int
    operate_gid: int | None = None
    view_gid: int | None = None
    view_reads_files: bool = False
    speakers: frozenset[int] = frozenset()

    @classmethod
    def from_settings(cls, settings: AccessSettings) -> Access:
        """Looks up the ids of the configured users and groups. This can block on the network."""
        return cls(
            os.geteuid(),
            gid_of(settings.operate_group),
            gid_of(settings.view_group),
            settings.view_reads_files,
            frozenset(_look_up_uids(settings.may_speak_for)),
        )

    def may_operate(self, caller: Caller) -> bool:
        return caller.uid in (0, self.uid) or _is_in_group(caller, self.operate_gid)

    def may_view(self, caller: Caller) -> bool:
        return self.may_operate(caller) or _is_in_group(caller, self.view_gid)

    def is_operator(self, caller: Caller, request: Request) -> bool:
        """Returns whether an operator made the call, for itself or on behalf of an operator."""
        behalf = request.on_behalf_of
        return self.may_operate(caller) and (behalf is None or behalf.role == "operate")

    def authorize(self, caller: Caller, method: Method | None, role: str = "operate") -> None:
        """Raises `PermissionDenied` if the caller may not call the method.

        method  None if no method has the name in the call
        role    the role on whose behalf the call is made; it gives the caller no further rights
        """
        right = Right.VIEW if method is None else RIGHTS.get(method.name, Right.OPERATE)
        if right is Right.VIEW or (right is Right.READ and self.view_reads_files):
            allowed = self.may_view(caller)
        else:
            allowed = role == "operate" and self.may_operate(caller)
        if not allowed:
            name = method.name if method else "an unknown method"
            log.warning("refused %s to %s", name, caller, extra=caller.for_log)
            raise PermissionDenied

    def effective_caller(self, caller: Caller, method: Method, request: Request) -> Caller:
        """Returns the caller, with the name of the person on whose behalf the call is made. Also
        logs the call.

        Raises `PermissionDenied` if the person's role does not have the right, and `InvalidRequest`
        for the field `on_behalf_of` if the caller may not call on behalf of others.
        """
        behalf = request.on_behalf_of
        if behalf is not None:
            if caller.uid not in self.speakers:
                why = f"uid {caller.uid} is not in [access] may_speak_for"
                log.warning("refused %s to %s: %s", method.name, caller, why, extra=caller.for_log)
                raise invalid("on_behalf_of", why)
            with refusals(caller):
                caller = msgspec.structs.replace(caller, asked_by=checked_name(behalf))
            self.authorize(caller, method, behalf.role)
        # Calls that only read are logged for debugging: a script may make one each second, which
        # would fill the journal.
        level = logging.DEBUG if RIGHTS.get(method.name) is Right.VIEW else logging.INFO
        job_id: str | None = getattr(request, "job_id", None)
        of_job = f" of job {job_id[:LONGEST_ID]!a}" if job_id else ""
        log.log(level, "%s%s by %s", method.name, of_job, caller, extra=caller.for_log)
        return caller


def _is_in_group(caller: Caller, gid: int | None) -> bool:
    return gid is not None and (caller.gid == gid or gid in caller.groups)


def _look_up_uids(users: Iterable[str]) -> Iterator[int]:
    for user in users:
        try:
            yield int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        except KeyError:
            log.debug("there is no user '%s'", user)


def make_private(folder: Path) -> None:
    """Makes a folder that only the daemon's own user can enter, if it does not exist.

    Raises `OSError` if others can access the folder, since another user may have made it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(str(folder), os.geteuid()):
        reason = "its folder must belong to this user alone (mode 0700)"
        raise PermissionError(errno.EPERM, reason, str(folder))
