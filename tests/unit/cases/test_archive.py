"""Which files an archive has, and which it leaves out."""

import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.cases.archive import Archive, Measured, TarEntry, UnknownFile, exported_name
from cucmd.cases.output import list_outputs
from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.follow import Follow
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.run import Run
from cucmd.job.timeouts import Timeouts
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, open_store
from cucmd.worker.frames import ExportPart
from rig.collected import JOB_ID, NOW


def file(attempt: int, name: str, *, complete: bool) -> ReceivedFile:
    path = f"a/files/192.0.2.1/2026-11-25_13-0{attempt}-00/{name}"
    return ReceivedFile("a", path, 1, "", complete, complete, attempt)


@asynccontextmanager
async def opened(folder: Path, files: list[ReceivedFile]) -> AsyncIterator[tuple[Store, Job]]:
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
        yield store, ended


async def measured(folder: Path, files: list[ReceivedFile], **options: bool) -> Measured:
    async with opened(folder, files) as (store, job):
        return await Archive(store, job, folder, **options).measure()


def length(part: ExportPart) -> int:
    return len(part.head) + part.size + (-part.size % 512 if part.path else 0)


async def test_after_gives_the_rest(tmp_path):
    files = [file(1, name, complete=True) for name in ("x", "y", "z")]
    async with opened(tmp_path, files) as (store, job):

        async def made(after: str | None) -> tuple[int, list[ExportPart]]:
            archive = Archive(store, job, tmp_path, after=after)
            measured = await archive.measure()
            assert (measured.files, measured.size) == (3, 3)
            return measured.length, [part async for some in archive.parts() for part in some]

        whole, parts = await made(None)
        assert whole == sum(map(length, parts))
        names = [exported_name(one, job.nodes[0], frozenset()) for one in files]
        for position, name in enumerate(names):
            behind, rest = await made(name)
            assert rest == parts[len(parts) - len(names) + position :]
            assert behind == sum(map(length, rest))
        assert (await made("manifest.json"))[1] == parts[-len(names) - 1 :]
        with pytest.raises(UnknownFile):
            await made("a/no such file")


async def test_a_damaged_file_is_left_out(tmp_path):
    files = [file(1, name, complete=True) for name in ("x", "y")]
    async with opened(tmp_path, files) as (store, job):
        damaged = {files[0].path: "has another checksum"}
        found = await Archive(store, job, tmp_path, damaged=damaged).measure()
    assert found.files == 1
    name = files[0].path.removeprefix("a/files/")
    assert found.damaged == {"a": {name: "has another checksum"}}


@pytest.mark.parametrize(
    ("second", "left_out"), [((), 1), ((False,), 1), ((True,), 0)], ids=["one", "twice", "whole"]
)
async def test_a_file_of_two_attempts_is_left_out_once(tmp_path, second, left_out):
    files = [file(1, "cm/x", complete=False)]
    files += [file(2, "cm/x", complete=whole) for whole in second]
    assert (await measured(tmp_path, files)).left_out == left_out
    assert (await measured(tmp_path / "all", files, incomplete=True)).left_out == 0


@pytest.mark.parametrize("incomplete", [False, True])
async def test_the_summary_counts_incomplete_files(tmp_path, incomplete):
    files = [file(2, "x", complete=False), file(2, "y", complete=True)]
    async with opened(tmp_path, files) as (store, job):
        archive = Archive(store, job, tmp_path, incomplete=incomplete)
        await archive.measure()
        sent = b"".join([part.head async for some in archive.parts() for part in some])
    assert b"\na: 1 file did not come completely\n" in sent


@pytest.mark.parametrize("work", [Run(("show status",)), Follow("syslog/messages")])
async def test_every_attempt_of_a_follow_counts(tmp_path, work):
    files = [
        ReceivedFile("a", f"a/{work.output_of(1, attempt)}", 1, "", True, attempt == 2, attempt)
        for attempt in (1, 2)
    ]
    async with opened(tmp_path, files) as (store, job):
        node = job.nodes[0].retry(2).begin(NOW, 2).succeed(NOW)
        ended = replace(job, work=work, nodes=(node,))
        outputs = await list_outputs(store, ended, node, tmp_path)
        found = await Archive(store, ended, tmp_path, incomplete=True).measure()
    assert found.files == len(outputs) == (2 if work.adds_up else 1)
    assert outputs[-1].complete


def test_folders_have_host_names():
    one = file(1, "x", complete=True)
    names = {None: "a", "sub": "sub", "con": "%63on"}
    nodes = {name: replace(Node("a"), name=name) for name in names}
    folders = {
        name: exported_name(one, node, frozenset()).partition("/")[0]
        for name, node in nodes.items()
    }
    assert folders == names


def test_header_has_size_time_and_mode():
    header = TarEntry("a/b", 5, 1_800_000_000).header()
    info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (info.name, info.size, info.mtime, info.mode) == ("a/b", 5, 1_800_000_000, 0o640)
