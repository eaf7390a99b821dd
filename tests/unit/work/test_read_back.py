"""What has come is read to its end before it counts."""

import gzip
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from cucmd.failure import Code, NodeFailed
from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.node.ports import NodeTask
from cucmd.received_file import FileRead, ReceivedFile
from rig.packed import tgz
from rig.scripted_node import (
    COMPLETED,
    QUESTIONS,
    Answer,
    Node,
    RecordedReport,
    announce,
    appliance,
    by_path,
    collected,
    node_task,
    pushes,
    scripted,
)
from rig.scripted_target import Readers

LOG = gzip.compress(random.Random(1).randbytes(5000))
FILES = {"active/a.log": bytes(3000), "active/b.log": b"a line\n" * 1000}
SIZE = sum(map(len, FILES.values()))
ARCHIVE = tgz(FILES)
Clock = trio.testing.MockClock


def sends(
    folder: Path, files: dict[str, bytes], announced: tuple[int, int] | None = None
) -> Answer:
    """Makes a `file get` that pushes these. `announced`: files and bytes; None: as they are."""

    async def file_get(node: Node, line: str) -> None:
        count, size = announced or (len(files), sum(map(len, files.values())))
        await announce(node, count, size)
        for name, content in files.items():
            node.target.put(folder, name, content)
        await node.say(COMPLETED)

    return file_get


async def outcome(
    task: NodeTask, file_get: Answer, readers: Readers | None = None
) -> tuple[Failure | None, tuple[str, ...], list[str]]:
    """(failure, notes, names of the complete files)."""
    report = RecordedReport()
    wrong, notes = None, ()
    async with scripted(appliance(file_get)) as node:
        node.readers = readers or node.readers
        try:
            notes, _ = await collected(node, task, report)
        except NodeFailed as error:
            wrong = error.failure
    return wrong, notes, [Path(path).name for path in report.counted]


async def test_what_grows_does_not_hide_what_is_cut(tmp_path: Path, autojump_clock: Clock) -> None:
    """More bytes come than were announced, and one file lacks its last."""
    grown = {"messages": bytes(9000), "SDL1.txt.gz": LOG[:-1], "SDL2.txt.gz": LOG}
    announced = 3, 5000 + 2 * len(LOG)
    answers = by_path(first=sends(tmp_path, grown, announced), then=pushes(5))
    task = node_task(tmp_path, "first", "then")
    wrong, _, complete = await outcome(task, answers)
    assert wrong is not None
    assert (wrong.code, wrong.retryable) == (Code.TRANSFER_INCOMPLETE, True)
    assert "first: SDL1.txt.gz ends before" in wrong.message
    assert "SDL2" not in wrong.message
    assert "collect again" in (wrong.hint or "")
    assert complete == ["messages", "SDL2.txt.gz", "3-0.txt"], "the other path is got too"


async def test_what_is_cut_on_the_node_is_incomplete_and_the_hint_says_where(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    files = {"now.gz": LOG[:-1], "other.log": b"x"}
    wrong, _, complete = await outcome(node_task(tmp_path), sends(tmp_path, files))
    assert wrong is not None
    assert wrong.code == Code.TRANSFER_INCOMPLETE
    assert "--incomplete" in (wrong.hint or "")
    assert "collect again" not in (wrong.hint or ""), "it would be cut again"
    assert complete == ["other.log"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SDL1.txt.gz", LOG),
        ("SDL1.txt.gz", LOG + LOG + bytes(900)),
        ("SDL1.txt.gzo", LOG[:-9]),
        ("named.gz", b"a log that is not packed\n"),
        ("empty.gz", b""),
        ("core.bin", LOG[:-9]),
    ],
)
async def test_what_is_whole_or_says_nothing_of_its_end_counts(
    tmp_path: Path, autojump_clock: Clock, name: str, content: bytes
) -> None:
    found = await outcome(node_task(tmp_path), sends(tmp_path, {name: content}))
    assert found == (None, (), [name])


PACKED = {"active_1.tgz": ARCHIVE}


@pytest.mark.parametrize(
    ("files", "announced"),
    [
        (PACKED, (2, SIZE)),
        (PACKED, (2, SIZE - 100)),  # a file has grown
        (PACKED, (1, SIZE)),
        ({"a.tgz": tgz({"a": bytes(SIZE)}), "b.tgz": tgz({"b": b"b"})}, (2, SIZE + 1)),
        ({"not-packed.log": bytes(SIZE)}, (1, SIZE)),
    ],
)
async def test_an_archive_that_has_what_was_announced_counts(
    tmp_path: Path, autojump_clock: Clock, files: dict[str, bytes], announced: tuple[int, int]
) -> None:
    task = node_task(tmp_path, work=Collect(("x",), compress=True))
    assert await outcome(task, sends(tmp_path, files, announced)) == (None, (), list(files))


@pytest.mark.parametrize(
    ("files", "announced", "says"),
    [
        ({"a.tgz": ARCHIVE[:-1]}, (2, SIZE), "a.tgz ends before"),
        ({"a.tgz": ARCHIVE[:1]}, (2, SIZE), "a.tgz ends before"),
        ({"a.tgz": gzip.compress(gzip.decompress(ARCHIVE)[:3000])}, (2, SIZE), "end of its tar"),
        ({"packed": b"x" * SIZE}, (2, SIZE), "the archive is 1 file short"),
        ({"a.tgz": b"x" * SIZE}, (1, SIZE), "a.tgz is no archive"),
        ({"a.tgz": bytes(SIZE)}, (1, SIZE), "a.tgz is no archive"),
        (PACKED, (3, SIZE), "the archive is 1 file short: 2 of 3"),
        (PACKED, (2, SIZE + 1), "the archive is 1 byte short: 10,000 of 10,001"),
        ({"a.tgz": tgz({})}, (0, 0), "only an empty archive"),
    ],
)
async def test_an_archive_that_lacks_something_does_not_count(
    tmp_path: Path,
    autojump_clock: Clock,
    files: dict[str, bytes],
    announced: tuple[int, int],
    says: str,
) -> None:
    task = node_task(tmp_path, work=Collect(("x",), compress=True))
    wrong, _, complete = await outcome(task, sends(tmp_path, files, announced))
    assert wrong is not None
    assert (wrong.code, complete) == (Code.TRANSFER_INCOMPLETE, [])
    assert says in wrong.message


async def test_an_archive_of_no_bytes_does_not_count_beside_a_whole_one(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    task = node_task(tmp_path, work=Collect(("x",), compress=True))
    files = PACKED | {"active_2.tgz": b""}
    wrong, _, complete = await outcome(task, sends(tmp_path, files, (3, SIZE)))
    assert wrong is not None
    assert (wrong.code, complete) == (Code.TRANSFER_INCOMPLETE, list(PACKED))
    assert "active_2.tgz is no archive" in wrong.message


async def test_an_archive_that_does_not_tell_its_size_is_not_compared_and_says_so(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    link = tarfile.TarInfo("active/latest.log")
    link.type, link.linkname = tarfile.SYMTYPE, "a.log"
    archive = gzip.compress(link.tobuf() + bytes(1024))
    task = node_task(tmp_path, work=Collect(("x",), compress=True))
    files = {"active_1.tgz": archive}
    wrong, (note,), complete = await outcome(task, sends(tmp_path, files, (1, SIZE)))
    assert (wrong, complete) == (None, list(files))
    assert "active_1.tgz" in note
    assert "not compared" in note


@pytest.mark.parametrize(("content", "counts"), [(ARCHIVE, True), (ARCHIVE[:-9], False)])
async def test_without_sizes_an_archive_is_read_all_the_same(
    tmp_path: Path, autojump_clock: Clock, content: bytes, counts: bool
) -> None:
    async def announces_nothing(node: Node, line: str) -> None:
        for question in QUESTIONS:
            await node.ask(question)
        node.target.put(tmp_path, "a.tgz", content)
        await node.say(COMPLETED)

    task = node_task(tmp_path, work=Collect(("x",), compress=True))
    wrong, _, complete = await outcome(task, announces_nothing)
    assert (wrong is None, complete) == (counts, ["a.tgz"] * counts)


class Unread(Readers):
    """Its process has ended before it has said anything."""

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> list[FileRead]:
        await trio.lowlevel.checkpoint()
        return [FileRead(unread="it took too long")] * len(files)


async def test_a_gzip_that_is_not_read_is_a_note_and_an_archive_is_not_complete(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    files = {"SDL1.txt.gz": LOG, "messages": b"a line"}
    wrong, notes, complete = await outcome(node_task(tmp_path), sends(tmp_path, files), Unread())
    assert (wrong, complete) == (None, list(files))
    (note,) = notes
    assert "SDL1.txt.gz" in note
    assert "it took too long" in note
    task = node_task(tmp_path, work=Collect(("x",), compress=True))
    wrong, _, complete = await outcome(task, sends(tmp_path, PACKED, (2, SIZE)), Unread())
    assert wrong is not None
    assert (wrong.code, complete) == (Code.TRANSFER_INCOMPLETE, [])
    assert "it took too long" in wrong.message


class Held(Readers):
    """It is not at its end until it is released."""

    def __init__(self) -> None:
        self.began = trio.Event()
        self.release = trio.Event()

    async def read_to_end(
        self, folder: Path, files: Sequence[ReceivedFile], *, archives: bool, announced: int
    ) -> list[FileRead]:
        self.began.set()
        await self.release.wait()
        return await super().read_to_end(folder, files, archives=archives, announced=announced)


async def test_a_node_is_left_in_order_at_a_cancel_while_its_files_are_read(
    tmp_path: Path,
) -> None:
    file_get = sends(tmp_path, {"SDL1.txt.gz": LOG})
    async with scripted(appliance(file_get)) as node, trio.open_nursery() as nursery:
        node.readers = held = Held()
        report = RecordedReport()
        nursery.start_soon(collected, node, node_task(tmp_path), report)
        await held.began.wait()
        nursery.cancel_scope.cancel()
    assert (node.lines[-1], node.closed, report.counted) == ("quit", 1, [])


async def test_no_clock_of_the_command_runs_while_it_is_read(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    file_get = sends(tmp_path, {"SDL1.txt.gz": LOG})
    task, held = node_task(tmp_path), Held()
    async with trio.open_nursery() as nursery:
        found: list[object] = []

        async def run() -> None:
            found.append(await outcome(task, file_get, held))

        nursery.start_soon(run)
        await held.began.wait()
        timeouts = task.timeouts
        autojump_clock.jump(timeouts.command + timeouts.stall + 1)
        held.release.set()
    assert found == [(None, (), ["SDL1.txt.gz"])]
