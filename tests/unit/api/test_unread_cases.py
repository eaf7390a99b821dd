"""Somebody who reads files or a transcript of a job, or stops reading, cannot keep the job."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from cucmd.api import case_methods
from cucmd.api.case_methods import CaseMethods
from cucmd.jobs.deletion import Deletions
from cucmd.protocol.cases import FilesRequest, TranscriptRequest
from cucmd.protocol.requests import INTERFACE
from cucmd.received_file import ReceivedFile
from cucmd.varlink import Caller, StreamReply, VarlinkError
from rig.supervised import supervisor_harness

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
LINE = "a line of the transcript\n"


class Harness(msgspec.Struct):
    job_id: str
    cases: CaseMethods
    deletions: Deletions

    def stream(self, method: str) -> AsyncGenerator[StreamReply, None]:
        if method == "files":
            return self.cases.files(CALLER, FilesRequest(self.job_id))
        return self.cases.transcript(CALLER, TranscriptRequest(self.job_id, "a"))


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Harness]:
    """Makes a job with more files and a longer transcript than fit in one reply."""
    async with supervisor_harness(tmp_path) as harness:
        job_id = await harness.start("a")
        await harness.ended(job_id)
        await harness.supervisor.wait_closed(job_id)
        files = [
            ReceivedFile("a", f"a/files/{number:04}.txt", 4, "0" * 64, True, True, 1)
            for number in range(1500)
        ]
        await harness.store.save_files(job_id, files)
        directory = harness.supervisor.directory(job_id)
        (directory / "a").mkdir(exist_ok=True)
        (directory / "a" / "transcript.log").write_text(LINE * 10_000)
        deletions = Deletions(harness.supervisor, harness.store)
        cases = CaseMethods(harness.supervisor, harness.store, deletions)
        yield Harness(job_id, cases, deletions)


@pytest.mark.parametrize("method", ["files", "transcript"])
async def test_everything_is_sent(tmp_path: Path, method: str) -> None:
    async with opened(tmp_path) as harness:
        replies = [reply async for reply in harness.stream(method)]
        assert [reply.continues for reply in replies] == [True, True, False]
        if method == "files":
            assert sum(len(reply.parameters.files) for reply in replies) == 1500
        else:
            assert "".join(reply.parameters.text for reply in replies) == LINE * 10_000


@pytest.mark.parametrize("method", ["files", "transcript"])
@pytest.mark.parametrize(("record", "error"), [(True, "JobNotFound"), (False, "InvalidRequest")])
async def test_deletion_does_not_wait_for_reader(
    tmp_path: Path, method: str, record: bool, error: str
) -> None:
    async with opened(tmp_path) as harness, aclosing(harness.stream(method)) as replies:
        assert (await anext(replies)).continues
        deleted = await harness.deletions.delete(harness.job_id, record=record)
        assert deleted.job.job_id == harness.job_id
        # and the reader is told that this was not all
        with pytest.raises(VarlinkError) as told:
            [reply async for reply in replies]
        assert told.value.name == f"{INTERFACE}.{error}"


async def test_deletion_ends_a_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as harness, trio.open_nursery() as nursery:

        async def read_slowly(*_: object) -> AsyncGenerator[str, None]:
            await trio.sleep_forever()
            yield ""

        async def read() -> None:
            with pytest.raises(VarlinkError) as told:
                [reply async for reply in harness.stream("transcript")]
            assert told.value.name == f"{INTERFACE}.JobBusy"

        monkeypatch.setattr(case_methods, "read_transcript", read_slowly)
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await harness.deletions.delete(harness.job_id, record=True)
