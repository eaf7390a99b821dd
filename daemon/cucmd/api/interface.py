"""Lists the methods of `io.cucmd.Jobs`, each with its structs and the function that does it.

The text of the interface is made from these structs by the tests; one holds the file to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cucmd.api.case_methods import Cases
from cucmd.api.export_methods import Exports
from cucmd.api.host_keys import HostKeyMethods
from cucmd.api.knowledge import Knowledge
from cucmd.api.methods import Jobs
from cucmd.api.refusals import error, invalid
from cucmd.job.request import Request
from cucmd.job.work import StartRequest
from cucmd.protocol import cases as of_cases
from cucmd.protocol import errors
from cucmd.protocol import jobs as calls
from cucmd.protocol import knowledge as known
from cucmd.protocol import requests as asked
from cucmd.protocol.requests import INTERFACE
from cucmd.varlink import Caller, Interface, Method, VarlinkError, read_description

AsWhom: TypeAlias = Callable[[Caller, Method, Request], Caller]


def jobs_interface(
    jobs: Jobs,
    cases: Cases,
    exports: Exports,
    keys: HostKeyMethods,
    knowledge: Knowledge,
    *,
    as_whom: AsWhom,
) -> Interface:
    """Returns the interface. `as_whom`: as in `Interface`, by who may speak for others."""
    methods = (
        Method("Start", StartRequest, calls.StartReply, jobs.start, effect=True),
        Method("Status", asked.StatusRequest, calls.JobReply, jobs.status),
        Method("List", asked.ListRequest, calls.ListReply, jobs.list),
        Method("Retry", calls.RetryRequest, calls.StartReply, jobs.retry, effect=True),
        Method("Stop", asked.StopRequest, calls.StopReply, jobs.stop, effect=True),
        Method(
            "Output", of_cases.OutputRequest, of_cases.OutputReply, cases.output, streaming=True
        ),
        Method("Files", of_cases.FilesRequest, of_cases.FilesReply, cases.files, streaming=True),
        Method(
            "Export",
            of_cases.ExportRequest,
            of_cases.ExportReply,
            exports.export,
            upgrade=True,
        ),
        Method(
            "Verify",
            of_cases.VerifyRequest,
            of_cases.VerifyReply,
            exports.verify,
            streaming=True,
        ),
        Method(
            "Transcript",
            of_cases.TranscriptRequest,
            of_cases.TranscriptReply,
            cases.transcript,
            streaming=True,
        ),
        Method("Label", asked.LabelRequest, calls.JobReply, jobs.label, effect=True),
        Method("Delete", of_cases.DeleteRequest, of_cases.DeleteReply, cases.delete, effect=True),
        Method("Prune", of_cases.PruneRequest, of_cases.PruneReply, cases.prune, effect=True),
        Method("Cancel", asked.CancelRequest, asked.CancelReply, jobs.cancel, effect=True),
        Method("Watch", asked.WatchRequest, calls.WatchReply, jobs.watch, streaming=True),
        Method("ListHostKeys", known.ListHostKeysRequest, known.ListHostKeysReply, keys.list),
        Method("AddHostKey", known.AddHostKeyRequest, known.HostKeysReply, keys.add, effect=True),
        Method(
            "ForgetHostKey",
            known.ForgetHostKeyRequest,
            known.ForgetHostKeyReply,
            keys.forget,
            effect=True,
        ),
        Method("Clusters", known.ClustersRequest, known.ClustersReply, knowledge.clusters),
        Method("Profiles", known.ProfilesRequest, known.ProfilesReply, knowledge.profiles),
        Method(
            "Credentials", known.CredentialsRequest, known.CredentialsReply, knowledge.credentials
        ),
        Method("Reload", known.ReloadRequest, known.ReloadReply, knowledge.reload, effect=True),
    )
    return Interface(
        name=INTERFACE,
        description=read_description("cucmd.protocol", INTERFACE),
        methods=methods,
        invalid=invalid,
        too_many=too_many,
        as_whom=as_whom,
        secrets=frozenset({"login"}),  # a password may be in a wrong field of it
    )


# The socket's limits, by the names that the configuration has for them.
_LIMITS = {
    "connections": "connections_per_uid",
    "streams": "watchers_per_uid",
}


def too_many(limit: str, maximum: int) -> VarlinkError:
    """Returns the error for a user at a limit of the socket."""
    return error(errors.LimitReached(_LIMITS[limit], maximum))
