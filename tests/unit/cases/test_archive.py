"""Which files an archive has, and which it leaves out."""

from pathlib import Path

import pytest

from cucmd.cases.archive import Archive, Measured
from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.received_file import ReceivedFile
from cucmd.store import open_store
from rig.collected import JOB_ID, NOW


def file(attempt: int, name: str, *, complete: bool) -> ReceivedFile:
    path = f"a/files/192.0.2.1/2026-11-25_13-0{attempt}-00/{name}"
    return ReceivedFile("a", path, 1, "", complete, complete, attempt)


async def measured(folder: Path, files: list[ReceivedFile], **options: bool) -> Measured:
    for one in files:
        (folder / one.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / one.path).write_bytes(b"x")
    queued = Job(JOB_ID, NOW, Collect(("x",)), Timeouts(), 1, (Node("a"),))
    node = Node("a").begin(NOW, 1).fail(NOW, failure(Code.STALLED, "a"))
    again = node.retry(1).begin(NOW, 2).fail(NOW, failure(Code.STALLED, "a"))
    ended = queued.begin(NOW).replace_node(0, again, NOW)
    async with open_store(folder / "cucmd.db") as store:
        await store.add_job(queued)
        await store.save(queued, ended)
        await store.save_files(JOB_ID, files)
        return await Archive(store, ended, folder, **options).measure()


@pytest.mark.parametrize(
    ("second", "left_out"), [((), 1), ((False,), 1), ((True,), 0)], ids=["one", "twice", "whole"]
)
async def test_a_file_of_two_attempts_is_left_out_once(
    tmp_path: Path, second: tuple[bool, ...], left_out: int
) -> None:
    files = [file(1, "cm/x", complete=False)]
    files += [file(2, "cm/x", complete=whole) for whole in second]
    assert (await measured(tmp_path, files)).left_out == left_out
    assert (await measured(tmp_path / "all", files, incomplete=True)).left_out == 0
