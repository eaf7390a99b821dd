"""Lists the methods of `io.cucmd.Jobs`, each with its structs and the function that answers it.

The text of the interface is made from these structs (`tests/rig/interface_maker.py`). A test fails
where the text and the structs differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cucmd.api.case_methods import CaseMethods
from cucmd.api.export_methods import ExportMethods
from cucmd.api.figure_methods import FigureMethods
from cucmd.api.find_methods import FindMethods
from cucmd.api.host_key_methods import HostKeyMethods
from cucmd.api.job_methods import JobMethods
from cucmd.api.knowledge_methods import KnowledgeMethods
from cucmd.api.refusals import error, invalid
from cucmd.job.request import Request
from cucmd.job.work import StartRequest
from cucmd.protocol import cases, errors, figures, jobs, requests
from cucmd.protocol import knowledge as known
from cucmd.protocol.requests import INTERFACE
from cucmd.varlink import Caller, Interface, Method, VarlinkError, read_description

EffectiveCaller: TypeAlias = Callable[[Caller, Method, Request], Caller]


def jobs_interface(
    job_methods: JobMethods,
    case_methods: CaseMethods,
    exports: ExportMethods,
    keys: HostKeyMethods,
    knowledge: KnowledgeMethods,
    *,
    finds: FindMethods,
    figure_methods: FigureMethods,
    effective_caller: EffectiveCaller,
) -> Interface:
    """Returns the interface. `Interface` describes `effective_caller`."""
    methods = (
        Method("Start", StartRequest, jobs.StartReply, job_methods.start, effect=True),
        Method("Status", requests.StatusRequest, jobs.JobReply, job_methods.status),
        Method("List", requests.ListRequest, jobs.ListReply, job_methods.list),
        Method("Retry", jobs.RetryRequest, jobs.StartReply, job_methods.retry, effect=True),
        Method("Stop", requests.StopRequest, jobs.StopReply, job_methods.stop, effect=True),
        Method(
            "Output", cases.OutputRequest, cases.OutputReply, case_methods.output, streaming=True
        ),
        Method("Files", cases.FilesRequest, cases.FilesReply, case_methods.files, streaming=True),
        Method("Find", cases.FindRequest, cases.FindReply, finds.find, streaming=True),
        Method("Export", cases.ExportRequest, cases.ExportReply, exports.export, upgrade=True),
        Method("Verify", cases.VerifyRequest, cases.VerifyReply, exports.verify, streaming=True),
        Method(
            "Transcript",
            cases.TranscriptRequest,
            cases.TranscriptReply,
            case_methods.transcript,
            streaming=True,
        ),
        Method("Label", requests.LabelRequest, jobs.JobReply, job_methods.label, effect=True),
        Method("Delete", cases.DeleteRequest, cases.DeleteReply, case_methods.delete, effect=True),
        Method("Prune", cases.PruneRequest, cases.PruneReply, case_methods.prune, effect=True),
        Method(
            "Cancel", requests.CancelRequest, requests.CancelReply, job_methods.cancel, effect=True
        ),
        Method("Watch", requests.WatchRequest, jobs.WatchReply, job_methods.watch, streaming=True),
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
        Method(
            "KeepLogin",
            known.KeepLoginRequest,
            known.KeepLoginReply,
            knowledge.keep_login,
            effect=True,
        ),
        Method(
            "ForgetLogin",
            known.ForgetLoginRequest,
            known.ForgetLoginReply,
            knowledge.forget_login,
            effect=True,
        ),
        Method("Figures", figures.FiguresRequest, figures.FiguresReply, figure_methods.figures),
        Method("Reload", known.ReloadRequest, known.ReloadReply, knowledge.reload, effect=True),
    )
    return Interface(
        name=INTERFACE,
        description=read_description("cucmd.protocol", INTERFACE),
        methods=methods,
        invalid=invalid,
        too_many=too_many,
        effective_caller=effective_caller,
        secrets=frozenset({"login"}),  # a password may be in a wrong field of it
    )


# The names of the limits of the socket in the configuration.
_LIMITS = {"connections": "connections_per_uid", "streams": "watchers_per_uid"}


def too_many(limit: str, maximum: int) -> VarlinkError:
    """Makes the error for a user at a limit of the socket."""
    return error(errors.LimitReached(_LIMITS[limit], maximum))
