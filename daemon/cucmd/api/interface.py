"""`io.cucmd.Jobs`: its methods, bound to what does them, and its text, made from the structs.

The one rule: nothing is said here that the structs say; the comments are those of `structs.py`.
"""

from __future__ import annotations

import inspect

from cucmd.api import structs
from cucmd.api.host_keys import HostKeys
from cucmd.api.methods import Jobs
from cucmd.api.refusals import error, invalid
from cucmd.varlink import Interface, Method, VarlinkError
from cucmd.varlink.idl import comments_in, describe

TYPES = (
    structs.Collection,
    structs.Login,
    structs.Timeouts,
    structs.Failure,
    structs.Node,
    structs.Job,
    structs.JobSummary,
    structs.HostKey,
)
ERRORS = (
    structs.JobNotFound,
    structs.NodeNotFound,
    structs.ProfileNotFound,
    structs.CredentialNotFound,
    structs.InvalidRequest,
    structs.LimitReached,
    structs.ShuttingDown,
    structs.StorageFailed,
    structs.ScanFailed,
    structs.InternalError,
)


def jobs_interface(jobs: Jobs, keys: HostKeys) -> Interface:
    methods = (
        Method("Start", structs.StartRequest, structs.JobReply, jobs.start, effect=True),
        Method("Status", structs.StatusRequest, structs.JobReply, jobs.status),
        Method("List", structs.ListRequest, structs.ListReply, jobs.list),
        Method("Cancel", structs.CancelRequest, structs.CancelReply, jobs.cancel, effect=True),
        Method("Watch", structs.WatchRequest, structs.WatchReply, jobs.watch, streaming=True),
        Method("ListHostKeys", structs.ListHostKeysRequest, structs.ListHostKeysReply, keys.list),
        Method(
            "AddHostKey", structs.AddHostKeyRequest, structs.HostKeysReply, keys.add, effect=True
        ),
        Method(
            "ForgetHostKey",
            structs.ForgetHostKeyRequest,
            structs.ForgetHostKeyReply,
            keys.forget,
            effect=True,
        ),
    )
    return Interface(
        name=structs.INTERFACE,
        description=_description(methods),
        methods=methods,
        invalid=invalid,
        too_many=too_many,
        secrets=frozenset({"login"}),  # a password may well stand in the wrong field of it
    )


def _description(methods: tuple[Method, ...]) -> str:
    errors = {struct.__name__: struct for struct in ERRORS}
    try:
        comments = comments_in(inspect.getsource(structs))
    except OSError:  # installed without its source: everything but the comments is the same
        comments = {}
    comments[""] = comments.pop("INTERFACE", "")
    return describe(structs.INTERFACE, TYPES, methods, errors, comments)


# The socket's limits, by the names that the configuration has for them.
_LIMITS = {
    "connections": "connections_per_uid",
    "requests": "requests_per_uid",
    "streams": "watchers_per_uid",
    "total": "connections at the socket",
}


def too_many(limit: str, maximum: int) -> VarlinkError:
    """For a user that holds more of the socket than one may."""
    return error(structs.LimitReached(_LIMITS[limit], maximum))
