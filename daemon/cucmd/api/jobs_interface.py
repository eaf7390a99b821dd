"""Says which function of the daemon answers which method of `io.cucmd.Jobs`.

The text of the interface is made from these structs (`tests/rig/interface_maker.py`). A test fails
where the text and the structs differ.
"""

from __future__ import annotations

from cucmd.api.case_methods import CaseMethods
from cucmd.api.export_methods import ExportMethods
from cucmd.api.figure_methods import FigureMethods
from cucmd.api.find_methods import FindMethods
from cucmd.api.host_key_methods import HostKeyMethods
from cucmd.api.interface import AnyHandler, EffectiveCaller, make_interface
from cucmd.api.job_methods import JobMethods
from cucmd.api.knowledge_methods import KnowledgeMethods
from cucmd.varlink import Interface


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
    handlers: dict[str, AnyHandler] = {
        "Start": job_methods.start,
        "Status": job_methods.status,
        "List": job_methods.list,
        "Retry": job_methods.retry,
        "Stop": job_methods.stop,
        "Output": case_methods.output,
        "Files": case_methods.files,
        "Find": finds.find,
        "Export": exports.export,
        "Verify": exports.verify,
        "Transcript": case_methods.transcript,
        "Label": job_methods.label,
        "Delete": case_methods.delete,
        "Prune": case_methods.prune,
        "Cancel": job_methods.cancel,
        "Watch": job_methods.watch,
        "ListHostKeys": keys.list,
        "AddHostKey": keys.add,
        "ForgetHostKey": keys.forget,
        "Clusters": knowledge.clusters,
        "Profiles": knowledge.profiles,
        "Credentials": knowledge.credentials,
        "KeepLogin": knowledge.keep_login,
        "ForgetLogin": knowledge.forget_login,
        "Figures": figure_methods.figures,
        "Reload": knowledge.reload,
    }
    return make_interface(handlers, effective_caller=effective_caller)
