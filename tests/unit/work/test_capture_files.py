"""The files of a packet capture on one node: what is got of it, and what is removed."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.failure import Code, fail
from cucmd.work.capture import capture
from cucmd.work.collect import MOST_NOTES
from rig.scripted_node import (
    Node,
    RecordedReport,
    scripted,
)
from unit.work.capture_node import (
    LINE,
    NAME,
    WORK,
    Act,
    CaptureNode,
    after,
    captured,
    failed,
    pcap,
    until_ctrl_c,
)


async def test_a_capture_of_no_packet(tmp_path: Path, autojump_clock: MockClock) -> None:
    what, notes, _, _ = await captured(CaptureNode(tmp_path, {f"{NAME}.cap": pcap(0)}))
    assert (what.packets, notes) == (0, ("no packet matched",))


async def test_several_files_count_together(tmp_path: Path, autojump_clock: MockClock) -> None:
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5), f"{NAME}.cap2": pcap(1)}
    what, notes, _, _ = await captured(CaptureNode(tmp_path, files))
    assert (what.packets, notes) == (8, ())


@pytest.mark.parametrize("content", [b"", b"Insufficient disk space\n", pcap(0)[:20]])
async def test_a_file_that_is_no_capture(
    tmp_path: Path, autojump_clock: MockClock, content: bytes
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}.cap": content})
    failure, _, report = await failed(here, here.task(replace(WORK, delete=True)))
    assert failure.code == Code.TRANSFER_INCOMPLETE
    assert (report.captures[-1].packets, here.removed) == (None, [])


@pytest.mark.parametrize("says", [(), ("Control-C pressed",)])
async def test_a_node_that_has_no_file(
    says: tuple[str, ...], tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def silent(node: Node) -> None:
        await until_ctrl_c(node)
        if says:
            await node.say(*says)

    failure, _, report = await failed(CaptureNode(tmp_path, {}, runs=silent))
    assert failure.code == Code.NO_FILES_MATCHED
    assert "Executing command" not in failure.message
    assert not report.captures[-1].running


async def test_a_node_that_has_no_file_and_said_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def says_why(node: Node) -> None:
        await until_ctrl_c(node)
        await node.say("the partition went read-only")

    failure, _, _ = await failed(CaptureNode(tmp_path, {}, runs=says_why))
    assert failure.code == Code.COMMAND_REFUSED
    assert failure.message.endswith(": the partition went read-only")


async def test_a_file_of_another_name_is_none_of_the_capture(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}_x.cap": pcap(1)})
    failure, _, _ = await failed(here, here.task(replace(WORK, delete=True)))
    assert failure.code == Code.NO_FILES_MATCHED
    assert here.removed == []


async def test_a_node_that_is_tried_again_captures_under_another_name(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    name = f"{NAME}_3"
    here = CaptureNode(tmp_path, {f"{name}.cap": pcap(4)})
    what, _, node, _ = await captured(here, here.task(first_attempt=3))
    assert (what.name, what.packets) == (name, 4)
    assert LINE.replace(NAME, name) in node.lines


async def test_a_node_with_many_files_does_not_make_a_note_of_each(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}{number}.cap": pcap(1, cut=1) for number in range(MOST_NOTES * 2)}
    _, notes, _, _ = await captured(CaptureNode(tmp_path, files))
    assert len(notes) == MOST_NOTES + 1


def zeros(packets: int) -> bytes:
    """So many packets, and then records of length 0, as of a disk that was not written."""
    return pcap(packets) + bytes(100_000)


@pytest.mark.parametrize(
    ("content", "how"), [(zeros(3), "node"), (pcap(WORK.count + 2000), "count")]
)
async def test_a_file_that_costs_more_than_packets_is_kept_and_not_counted(
    tmp_path: Path, autojump_clock: MockClock, content: bytes, how: str
) -> None:
    files = {f"{NAME}.cap": content, f"{NAME}1.cap": pcap(2)}
    here = CaptureNode(tmp_path, files, runs=after(1))
    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert (what.packets, what.how) == (None, how)
    assert any(note.startswith(f"{NAME}.cap: how many packets") for note in notes)
    assert any(note.startswith(f"{NAME}.cap ") for note in notes), "it is still on the node"
    assert not any(f"{NAME}.cap" in line for line in here.removed)
    assert not any("no packet matched" in note for note in notes)
    assert len(list(here.folder.rglob("*.cap"))) == 2


async def test_the_packets_of_all_files_together_are_limited(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}.cap{number}": pcap(WORK.count // 2) for number in range(10)}
    what, notes, _, _ = await captured(CaptureNode(tmp_path, files))
    assert what.packets is None
    assert len(notes) == 6, "half of 1000, four times, are within the limit"


# Removal


async def test_exactly_the_files_of_the_capture_are_removed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5), f"{NAME}x.cap": pcap(1)}
    here = CaptureNode(tmp_path, files)
    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert (what.packets, notes) == (7, ())
    assert here.removed == [
        f"file delete activelog platform/cli/{NAME}.cap noconfirm",
        f"file delete activelog platform/cli/{NAME}1.cap noconfirm",
    ]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_file_is_on_record_before_it_is_removed(
    tmp_path: Path, autojump_clock: MockClock, fails: bool
) -> None:
    here = CaptureNode(tmp_path)
    filed: list[list[str]] = []

    class Files(RecordedReport):
        async def record_files(self) -> None:
            await trio.sleep(1)
            assert here.removed == []
            filed.append(self.counted)
            if fails:
                raise fail(Code.DISK_FULL, "no space for the record")

    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)), Files())
    assert [len(files) for files in filed] == [1]
    assert (what.packets, len(here.removed)) == (3, 0 if fails else 1)
    assert [f"{NAME}.cap was not removed" in note for note in notes] == [True] * fails


async def test_nothing_is_removed_unless_asked_for(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    await captured(here)
    assert here.removed == []


async def test_a_file_that_ends_within_a_packet_stays_on_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}.cap": pcap(3, cut=10)})
    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert (what.packets, len(notes), here.removed) == (2, 2, [])


async def asks_first(node: Node) -> None:
    assert await node.ask('Enter "y" to delete (y/n)?') == "^C"


async def silent_for_ever(node: Node) -> None:
    while True:
        await node.read_line()


@pytest.mark.parametrize(
    "deletes",
    [
        after(0, "files: found = 1, deleted = 0"),
        after(0, "Executed command unsuccessfully"),
        after(0),
        asks_first,
        silent_for_ever,
    ],
)
async def test_a_removal_that_is_not_proven_is_a_note(
    tmp_path: Path, autojump_clock: MockClock, deletes: Act
) -> None:
    here = CaptureNode(tmp_path, deletes=deletes)
    what, (note,), _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert what.packets == 3
    assert f"{NAME}.cap was not removed" in note


async def test_a_deadline_in_a_removal_fails_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5)}
    here = CaptureNode(tmp_path, files, deletes=silent_for_ever)
    task = here.task(replace(WORK, delete=True))
    async with scripted(here.script) as node:
        report = RecordedReport()
        with trio.fail_after(100):
            notes = await capture(task, task.work, node, report)
    assert len(notes) == 2
    assert (len(here.removed), report.captures[-1].packets) == (1, 7)


# Cancels and deadlines
