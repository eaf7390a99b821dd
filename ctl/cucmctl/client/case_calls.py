"""The methods of `Client` about what a job has collected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cucmctl.client.calls import Calls, decoded, full_name, texts_or_none
from cucmctl.client.errors import InvalidRequest
from cucmctl.client.wire import Call, Connection
from cucmctl.lean import Later

if TYPE_CHECKING:
    from cucmctl.client.export_stream import Export
    from cucmctl.export.files import OpenExport
    from cucmd.protocol import cases
else:
    cases = Later("cucmd.protocol.cases")


class CaseCalls(Calls):
    """A part of `Client`."""

    def files(self, job_id: str, nodes: Sequence[str] | None = None) -> Iterator[cases.File]:
        """The received files of a job, or of some of its nodes, by node and path.

        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        chosen = texts_or_none("nodes", nodes)
        request = cases.FilesRequest(job_id, chosen)
        for reply in self._replies("Files", request, cases.FilesReply, None):
            yield from reply.files

    def verify(
        self, job_id: str, nodes: Sequence[str] | None = None
    ) -> Iterator[cases.VerifyReply]:
        """Has the daemon compare each complete file with its checksum. Gives how far it is, and
        which files are wrong since the last time. Closing the iterator ends it.

        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`, `JobBusy`.
        """
        chosen = texts_or_none("nodes", nodes)
        request = cases.VerifyRequest(job_id, chosen)
        yield from self._replies("Verify", request, cases.VerifyReply, None)

    def transcript(self, job_id: str, node: str, *, follow: bool = False) -> Iterator[str]:
        """What was said on a node, in pieces. With `follow` until the node has ended.

        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        request = cases.TranscriptRequest(job_id, node, follow or None)
        for reply in self._replies("Transcript", request, cases.TranscriptReply, None):
            yield reply.text

    def export(
        self, job_id: str, *, nodes: Sequence[str] | None = None, incomplete: bool = False
    ) -> Export:
        """All of a job as one tar, as a stream of bytes: use it as a context manager, and `read`.

        It has its own connection. `cucmctl.export.export.save` makes a zip or a folder of it.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, `InvalidRequest` if a file of it is gone,
        `StorageFailed`.
        """
        from cucmctl.client.export_stream import Export  # noqa: PLC0415  # only to export

        chosen = texts_or_none("nodes", nodes)
        request = cases.ExportRequest(job_id, chosen, incomplete or None)
        connection, reply = self._begin_export(request)
        return Export(connection, reply)

    def export_files(
        self,
        job_id: str,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        verify: bool = False,
    ) -> OpenExport | None:
        """As `export`, but of open files: what is in them does not pass through the daemon. Use it
        as a context manager. `cucmctl.export.files.pack` makes a tar, a zip or a folder of it.

        `verify`: only the complete files, also those that are gone or have another size.
        None if no descriptors are to be had: the daemon is of an earlier version, its socket is
        forwarded from another host, or this process may open few files. `export` and `verify` work
        there too.
        """
        from cucmctl.export.files import OpenExport, may_open_enough  # noqa: PLC0415  # only here

        if not may_open_enough():
            return None
        chosen = texts_or_none("nodes", nodes)
        request = cases.ExportRequest(job_id, chosen, incomplete or None, True, verify or None)
        try:
            connection, reply = self._begin_export(request)
        except InvalidRequest as error:
            if error.parameters.parameter in ("descriptors", "verify"):
                return None
            raise
        return OpenExport.begin(connection, reply)

    def _begin_export(self, request: cases.ExportRequest) -> tuple[Connection, cases.ExportReply]:
        connection = self._opened(self._deadline())
        try:
            # No deadline: the daemon looks at every file before it answers.
            connection.send(Call(full_name("Export"), request, upgrade=True), self._deadline())
            return connection, decoded(connection.receive(None), cases.ExportReply)
        except BaseException:
            connection.close()
            raise

    def output(
        self, job_id: str, nodes: Sequence[str] | None = None
    ) -> Iterator[cases.CommandOutput]:
        """What the commands of a job that have ended have printed on its nodes, or on these. Other
        commands of the same node may still run.

        An output comes in pieces, the last of which has `ended` and what was `parsed`.
        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        chosen = texts_or_none("nodes", nodes)
        for reply in self._replies(
            "Output", cases.OutputRequest(job_id, chosen), cases.OutputReply, None
        ):
            if reply.output is not None:
                yield reply.output
