"""`CaseCalls`: what a job has collected, as Python methods of `Client`.

Each method that gives an iterator has its own connection, opened at the first step and closed with
it, so that the client can be used for other calls meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cucmctl.client import case_methods
from cucmctl.client.asked import asked
from cucmctl.client.calls import Calls
from cucmctl.client.errors import InvalidRequest

if TYPE_CHECKING:
    from cucmctl.export.received import Export, OpenExport
    from cucmd.protocol import cases


class CaseCalls(Calls):
    """The methods about files, outputs and transcripts of a job."""

    def files(self, job_id: str, nodes: Sequence[str] | None = None) -> Iterator[cases.File]:
        """The received files of a job, or of some of its nodes, by node and path.

        Raises `JobNotFound`, `NodeNotFound`.
        """
        return self._items(case_methods.files(job_id, nodes))

    def output(
        self, job_id: str, nodes: Sequence[str] | None = None, *, follow: bool = False
    ) -> Iterator[cases.CommandOutput]:
        """What the commands of a job that have ended have printed on its nodes, or on these. Other
        commands of the same node may still run. `follow`: as it comes, until the nodes have ended.

        An output comes in pieces, the last of which has `ended` and what was `parsed`.
        Raises `JobNotFound`, `NodeNotFound`.
        """
        return self._items(case_methods.output(job_id, nodes, follow=follow))

    def transcript(self, job_id: str, node: str, *, follow: bool = False) -> Iterator[str]:
        """What was said on a node, in pieces. With `follow` until the node has ended.

        Raises `JobNotFound`, `NodeNotFound`.
        """
        return self._items(case_methods.transcript(job_id, node, follow=follow))

    def export(
        self,
        job_id: str,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        wrong: dict[str, str] | None = None,
    ) -> Export:
        """All of a job as one tar, as a stream of bytes: use it as a context manager, and `read`.

        `cucmctl.export.export.save` makes a zip or a folder of it.
        `wrong`: what it found to be damaged, which is left out then, and named in the summary.
        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`, `StorageFailed`.
        """
        from cucmctl.export.received import Export  # noqa: PLC0415  # only to export

        call = case_methods.export(job_id, nodes=nodes, incomplete=incomplete, wrong=wrong)
        return Export(*self._upgraded(call))

    def export_files(
        self,
        job_id: str,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        wrong: dict[str, str] | None = None,
        verify: bool = False,
    ) -> OpenExport | None:
        """As `export`, but of open files: what is in them does not pass through the daemon. Use it
        as a context manager. `cucmctl.export.files.pack` makes a tar, a zip or a folder of it.

        `verify`: only the complete files, also those that are gone or have another size.
        None if no descriptors are to be had: the daemon is of an earlier version, its socket is
        forwarded from another host, or this process may open few files. `export` and `verify` work
        there too.
        """
        from cucmctl.export.received import OpenExport, may_open_enough  # noqa: PLC0415  # likewise

        if not may_open_enough():
            return None
        call = case_methods.export(
            job_id,
            nodes=nodes,
            incomplete=incomplete,
            wrong=wrong,
            descriptors=True,
            verify=verify,
        )
        try:
            return OpenExport.begin(*self._upgraded(call))
        except InvalidRequest as error:
            if error.parameters.parameter in ("descriptors", "verify"):
                return None
            raise

    def verify(
        self, job_id: str, nodes: Sequence[str] | None = None
    ) -> Iterator[cases.VerifyReply]:
        """Has the daemon compare each complete file with its checksum. Gives how far it is, and
        which files are wrong since the last time. Closing the iterator ends it.

        Raises `JobNotFound`, `NodeNotFound`, `JobBusy`.
        """
        return self._items(case_methods.verify(job_id, nodes))

    delete = asked(case_methods.delete)
    prune = asked(case_methods.prune)
