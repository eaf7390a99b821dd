"""PURE. Says what a client's methods ask about what a job has collected, as in `methods.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cucmctl.client.method_call import MethodCall, alone, itself, texts_or_none
from cucmctl.lean import Later

if TYPE_CHECKING:
    from cucmd.protocol import cases
else:
    cases = Later("cucmd.protocol.cases")


def files(job_id: str, nodes: Sequence[str] | None = None) -> MethodCall[tuple[cases.File, ...]]:
    request = cases.FilesRequest(job_id, texts_or_none("nodes", nodes))
    return MethodCall("Files", request, cases.FilesReply, lambda reply: reply.files)


def output(
    job_id: str, nodes: Sequence[str] | None = None, *, follow: bool = False
) -> MethodCall[tuple[cases.CommandOutput, ...]]:
    request = cases.OutputRequest(job_id, texts_or_none("nodes", nodes), follow or None)
    return MethodCall("Output", request, cases.OutputReply, _outputs)


def _outputs(reply: cases.OutputReply) -> tuple[cases.CommandOutput, ...]:
    return () if reply.output is None else (reply.output,)


def transcript(job_id: str, node: str, *, follow: bool = False) -> MethodCall[tuple[str]]:
    request = cases.TranscriptRequest(job_id, node, follow or None)
    return MethodCall("Transcript", request, cases.TranscriptReply, lambda reply: (reply.text,))


def export(
    job_id: str,
    *,
    nodes: Sequence[str] | None = None,
    incomplete: bool = False,
    wrong: dict[str, str] | None = None,
    descriptors: bool = False,
    verify: bool = False,
) -> MethodCall[cases.ExportReply]:
    request = cases.ExportRequest(
        job_id,
        texts_or_none("nodes", nodes),
        incomplete or None,
        descriptors or None,
        verify or None,
        wrong or None,
    )
    return MethodCall("Export", request, cases.ExportReply, itself)


def verify(job_id: str, nodes: Sequence[str] | None = None) -> MethodCall[tuple[cases.VerifyReply]]:
    request = cases.VerifyRequest(job_id, texts_or_none("nodes", nodes))
    return MethodCall("Verify", request, cases.VerifyReply, alone)


def delete(job_id: str, *, files_only: bool = False) -> MethodCall[cases.DeleteReply]:
    """Deletes a closed job with everything that it collected; with `files_only` its record
    stays. Returns once that is done, however long it takes. The reply has the job as it was.

    Raises `JobNotFound`, `JobBusy`, `StorageFailed`.
    """
    request = cases.DeleteRequest(job_id, files_only or None)
    return MethodCall("Delete", request, cases.DeleteReply, itself, limited=False)


def prune(
    *,
    older_than: str | None = None,
    keep: int | None = None,
    larger_than: int | None = None,
    labels: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> MethodCall[cases.PruneReply]:
    """Deletes closed jobs of which all that is given is true, but none with the label `keep`.

    They ended longer ago than `older_than` ("30d"); `keep` newer ones with these labels stay;
    their files take more bytes than `larger_than`; they have all of `labels`.
    The reply has the jobs, the first thousand of them; with `dry_run` they are not deleted.
    Raises `InvalidRequest`.
    """
    chosen = None if labels is None else dict(labels)
    request = cases.PruneRequest(older_than, keep, larger_than, chosen, dry_run or None)
    return MethodCall("Prune", request, cases.PruneReply, itself, limited=False)
