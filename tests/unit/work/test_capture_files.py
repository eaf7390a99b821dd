"""The files of a packet capture on one node: what is got of it, and what is removed."""

import pytest
import trio
from msgspec.structs import replace

from cucmd.failure import Code, fail
from cucmd.work.collect import MOST_NOTES
from rig.scripted_node import RecordedReport
from unit.work.capture_node import NAME, WORK, CaptureNode, after, pcap, until_ctrl_c

DELETE = replace(WORK, delete=True)


@pytest.fixture
def capture(play, folder):
    """Returns a function that captures, and gives the outcome and what was removed."""

    def capture(files=None, request=WORK, **options):
        here = CaptureNode(folder, files, **options)
        return play(here.script, request), here.removed

    return capture


@pytest.mark.parametrize(
    ("files", "packets", "notes"),
    [
        ({f"{NAME}.cap": pcap(0)}, 0, ("no packet matched",)),
        ({f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5), f"{NAME}.cap2": pcap(1)}, 8, ()),
    ],
)
def test_packets_of_all_files(capture, files, packets, notes):
    done, removed = capture(files)
    assert (done.result.packets, done.notes, removed) == (packets, notes, [])


@pytest.mark.parametrize("content", [b"", b"Insufficient disk space\n", pcap(0)[:20]])
def test_a_file_that_is_no_capture(capture, content):
    done, removed = capture({f"{NAME}.cap": content}, DELETE)
    assert (done.code, done.result.packets, removed) == (Code.TRANSFER_INCOMPLETE, None, [])


@pytest.mark.parametrize(
    ("says", "code", "ending"),
    [
        ((), Code.NO_FILES_MATCHED, ""),
        (("Control-C pressed",), Code.NO_FILES_MATCHED, ""),
        (
            ("the partition went read-only",),
            Code.COMMAND_REFUSED,
            ": the partition went read-only",
        ),
    ],
)
def test_a_node_without_a_file(capture, says, code, ending):
    async def runs(node):
        await until_ctrl_c(node)
        if says:
            await node.say(*says)

    done, _ = capture({}, runs=runs)
    assert (done.code, done.result.running) == (code, False)
    assert done.failure.message.endswith(ending)
    assert "Executing command" not in done.failure.message


def test_a_file_of_another_name(capture):
    done, removed = capture({f"{NAME}_x.cap": pcap(1)}, DELETE)
    assert (done.code, removed) == (Code.NO_FILES_MATCHED, [])


def test_notes_are_limited(capture):
    files = {f"{NAME}{number}.cap": pcap(1, cut=1) for number in range(MOST_NOTES * 2)}
    done, _ = capture(files)
    assert len(done.notes) == MOST_NOTES + 1


def zeros(packets):
    """Returns packets, and then records of length 0, as of a disk that was not written."""
    return pcap(packets) + bytes(100_000)


@pytest.mark.parametrize(
    ("content", "how"), [(zeros(3), "node"), (pcap(WORK.count + 2000), "count")]
)
def test_a_costly_file_is_not_counted(capture, content, how):
    done, removed = capture(
        {f"{NAME}.cap": content, f"{NAME}1.cap": pcap(2)}, DELETE, runs=after(1)
    )
    assert (done.result.packets, done.result.how) == (None, how)
    uncounted, stays = [note for note in done.notes if note.startswith(f"{NAME}.cap")]
    assert "how many packets" in uncounted
    assert "stays on the node" in stays
    assert not any(f"{NAME}.cap" in line for line in removed)
    assert len(list(done.task.folder.rglob("*.cap"))) == 2


def test_the_limit_is_for_all_files(capture):
    files = {f"{NAME}.cap{number}": pcap(WORK.count // 2) for number in range(10)}
    done, _ = capture(files)
    assert done.result.packets is None
    assert len(done.notes) == 6, "half of 1000, four times, are within the limit"


# Removal


def test_only_files_of_the_capture_are_removed(capture):
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5), f"{NAME}x.cap": pcap(1)}
    done, removed = capture(files, DELETE)
    assert (done.result.packets, done.notes) == (7, ())
    assert removed == [
        f"file delete activelog platform/cli/{NAME}.cap noconfirm",
        f"file delete activelog platform/cli/{NAME}1.cap noconfirm",
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_a_removed_file_is_on_record(play, folder, fails):
    here, filed = CaptureNode(folder), []

    class Files(RecordedReport):
        async def record_files(self):
            await trio.sleep(1)
            assert here.removed == []
            filed.append(len(self.counted))
            if fails:
                raise fail(Code.DISK_FULL, "no space for the record")

    done = play(here.script, DELETE, report=lambda _: Files())
    assert filed == [1]
    assert (done.result.packets, len(here.removed)) == (3, 0 if fails else 1)
    assert [f"{NAME}.cap was not removed" in note for note in done.notes] == [True] * fails


def test_a_truncated_file_stays(capture):
    done, removed = capture({f"{NAME}.cap": pcap(3, cut=10)}, DELETE)
    assert (done.result.packets, len(done.notes), removed) == (2, 2, [])


async def asks_first(node):
    assert await node.ask('Enter "y" to delete (y/n)?') == "^C"


async def silent_for_ever(node):
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
def test_an_unproven_removal_is_noted(capture, deletes):
    done, _ = capture(None, DELETE, deletes=deletes)
    (note,) = done.notes
    assert done.result.packets == 3
    assert f"{NAME}.cap was not removed" in note


def test_a_deadline_while_removing_fails_nothing(play, folder):
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5)}
    here = CaptureNode(folder, files, deletes=silent_for_ever)
    done = play(here.script, DELETE, cancel_after=100)
    assert (done.cancelled, len(done.notes)) == (False, 2)
    assert (len(here.removed), done.result.packets) == (1, 7)
