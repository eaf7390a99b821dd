"""What came of a push against what was said of it: nothing passes as whole that is not."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.collect import Collect
from cucmd.received_file import ReceivedFile
from cucmd.work.verdict import Announced, judge
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
    failed,
    node_task,
    pushes,
    scripted,
)


async def silent_return(node: Node, line: str) -> None:
    await announce(node, 1, 5)
    node.target.store("a", 5)


async def cut_off(node: Node, line: str) -> None:
    await announce(node, 1, 5)
    node.target.store("a", 5, closed=False)
    await node.say(COMPLETED)


@pytest.mark.parametrize(
    "file_get", [silent_return, cut_off, pushes(5, announced=6)], ids=["silent", "cut", "short"]
)
async def test_nothing_passes_as_whole_that_is_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, file_get: Answer
) -> None:
    async with scripted(appliance(file_get)) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code == Code.TRANSFER_INCOMPLETE
    assert "whole" not in why.message, "what is marked incomplete is not called whole"
    assert why.hint == failure(Code.TRANSFER_INCOMPLETE, "").hint


@pytest.mark.parametrize("completed", [True, False])
def test_what_is_cut_off_is_named(completed: bool) -> None:
    received = [ReceivedFile("pub", "sdl/a.txt", 5, closed=False)]
    wrong = judge("sdl", Announced(1, 9), received, completed=completed, compressed=False)
    assert wrong is not None
    assert "cut off: sdl/a.txt" in wrong.message


@pytest.mark.parametrize(
    ("announced", "sizes", "says"),
    [
        (Announced(1, 1_800_000), [1_799_999], "1 byte short: 1,799,999 of 1,800,000"),
        (Announced(None, 1005), [5], "1,000 bytes short: 5 of 1,005"),
        (Announced(2, 5), [5], "1 file short: 1 of 2"),
        (Announced(4, 9), [3, 4], "2 files short: 2 of 4, 2 bytes short: 7 of 9"),
        (Announced(4, 9), [], "nothing came of 4 files"),
    ],
)
def test_how_much_is_missing_can_be_read(announced: Announced, sizes: list[int], says: str) -> None:
    received = [ReceivedFile("pub", str(at), size, closed=True) for at, size in enumerate(sizes)]
    wrong = judge("sdl", announced, received, completed=True, compressed=False)
    assert wrong is not None
    assert (wrong.code, wrong.message) == (Code.TRANSFER_INCOMPLETE, f"sdl: {says}")


async def refuses_after_it_began(node: Node, line: str) -> None:
    await announce(node, 2, 10)
    node.target.store("a", 5)
    await node.say("No files matched filter criteria")


@pytest.mark.parametrize(
    ("file_get", "says"),
    [
        (pushes(0, announced=10**9), "only an empty archive"),
        (refuses_after_it_began, "1 file, 5 b"),
    ],
    ids=["empty archive", "no match after the first file"],
)
async def test_what_came_is_never_more_than_it_is(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, file_get: Answer, says: str
) -> None:
    packed = Collect(("x",), compress=True)
    async with scripted(appliance(file_get)) as node:
        why = await failed(node, node_task(tmp_path, work=packed))
    assert why.code == Code.TRANSFER_INCOMPLETE
    assert says in why.message


async def test_nothing_that_was_announced_is_a_path_that_matched_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    loose = Collect(("core", "syslog"), compress=False)
    answers = by_path(core=pushes(), syslog=pushes(5))
    async with scripted(appliance(answers)) as node:
        notes, _ = await collected(node, node_task(tmp_path, work=loose))
    assert notes == ("core: no files matched",)


@pytest.mark.parametrize(
    ("advertise", "named"),
    [("", " 192.0.2.1:2222"), ("2001:db8::7", " [2001:db8::7]:2222")],
)
async def test_a_prompt_without_any_login_names_the_receiver(
    advertise: str, named: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def nobody_comes(node: Node, line: str) -> None:
        await announce(node, 1, 5)

    async with scripted(appliance(nobody_comes)) as node:
        why = await failed(node, node_task(tmp_path, advertise=advertise))
    assert why.code == Code.RECEIVER_UNREACHABLE
    assert named in why.message


async def test_a_node_that_our_own_limit_kept_out_says_so(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def is_turned_away(node: Node, line: str) -> None:
        node.target.refused, node.target.refused_why = 3, "too many others are logging in"
        await announce(node, 1, 5)

    async with scripted(appliance(is_turned_away)) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code == Code.RECEIVER_UNREACHABLE
    assert "3 connections" in why.message
    assert "too many others are logging in" in why.message
    assert "receiver.advertise" not in (why.hint or ""), "nothing is wrong with the network"


async def test_more_than_announced_is_right(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(pushes(9000, announced=5000))) as node:
        notes, _ = await collected(node, node_task(tmp_path))
    assert notes == ()


async def test_a_refused_upload_is_the_reason_that_is_shown(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def refused(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        node.target.receive(1)
        node.target.refusal = failure(Code.DISK_FULL, "less than 1 GiB is free")

    async with scripted(appliance(refused)) as node:
        assert (await failed(node, node_task(tmp_path))).code == Code.DISK_FULL


async def hangs(node: Node) -> None:
    while True:
        await node.read_line()


async def closes_no_file(node: Node) -> None:
    node.target.files_closed = trio.Event()
    await node.say(COMPLETED)


async def closes_the_connection(node: Node) -> None:
    raise trio.BrokenResourceError


@pytest.mark.parametrize("then", [hangs, closes_no_file, closes_the_connection])
async def test_a_refused_upload_is_the_cause_however_the_node_takes_it(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    then: Callable[[Node], Awaitable[None]],
) -> None:
    async def refused(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        node.target.receive(1)
        node.target.refusal = failure(Code.QUOTA_EXCEEDED, "more than 1 byte for this node")
        await then(node)

    async with scripted(appliance(refused)) as node:
        assert await failed(node, node_task(tmp_path)) == node.target.refusal


async def test_the_last_file_may_close_after_the_node_said_completed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def early(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        node.target.receive(5)
        node.target.files_closed = trio.Event()
        await node.say(COMPLETED)
        await node.prompt()
        await trio.sleep(7)
        node.target.store("late", 5)
        node.target.files_closed.set()
        await node.read_line()
        raise trio.BrokenResourceError

    async with scripted(appliance(early)) as node:
        assert (await collected(node, node_task(tmp_path)))[0] == ()


async def test_nothing_announced_and_nothing_come_is_no_success(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def says_only_completed(node: Node, line: str) -> None:
        for question in QUESTIONS:
            await node.ask(question)
        node.target.logins += 1
        await node.say(COMPLETED)

    async with scripted(appliance(says_only_completed)) as node:
        assert (await failed(node, node_task(tmp_path))).code == Code.TRANSFER_INCOMPLETE


def says_sizes(*sizes: str, came: int, packed: Path | None = None) -> Answer:
    """Two files of `came` bytes in all come, and the node announces them in these words.

    packed: the folder of the node, where they come as one archive.
    """

    async def file_get(node: Node, line: str) -> None:
        await node.say("done.", *sizes)
        for question in QUESTIONS:
            await node.ask(question)
        if packed is None:
            node.target.store("a", came - 1)
            node.target.store("b", 1)
        else:
            node.target.put(packed, "a.tgz", tgz({"a": bytes(came - 1), "b": b"b"}))
        await node.say(COMPLETED)

    return file_get


FILES, BYTES = "Number of files affected: 2", "Total size in Bytes: 40"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ((FILES,), ["size in bytes"]),
        ((BYTES,), ["number of files"]),
        ((FILES, "Bytes in all = 40 PlatformSecret"), ["size in bytes", "Bytes in all = 40 *****"]),
        (("2 Dateien", "40 Oktette"), ["number of files and size in bytes", "40 Oktette"]),
        ((), ["number of files and size in bytes"]),
    ],
)
async def test_a_size_that_was_not_announced_is_a_note_that_it_was_not_compared(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    sizes: tuple[str, ...],
    named: list[str],
    compress: bool,
) -> None:
    work = Collect(("core",), compress=compress)
    file_get = says_sizes(*sizes, came=40, packed=tmp_path if compress else None)
    async with scripted(appliance(file_get)) as node:
        notes, report = await collected(node, node_task(tmp_path, work=work))
    [note] = notes
    assert note.startswith("core: not compared")
    assert all(words in note for words in named)
    came = [path.rpartition("/")[2] for path in report.counted]
    assert came == (["a.tgz"] if compress else ["a", "b"])


@pytest.mark.parametrize("sizes", [(), (FILES,), (BYTES,)])
async def test_a_file_that_was_refused_is_missed_though_no_size_tells_so(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sizes: tuple[str, ...]
) -> None:
    async def refused(node: Node, line: str) -> None:
        await says_sizes(*sizes, came=40)(node, line)
        node.target.refusal = failure(Code.DISK_FULL, "less than 1 GiB is free")

    report = RecordedReport()
    async with scripted(appliance(refused)) as node:
        with pytest.raises(NodeFailed) as caught:
            await collected(node, node_task(tmp_path), report)
    assert caught.value.failure == node.target.refusal
    assert report.counted == []


@pytest.mark.parametrize(
    "sizes",
    [("Number of files affected: 3",), ("Total size in Bytes: 40",), (f"{FILES} {BYTES}",)],
)
async def test_a_size_that_was_announced_is_compared_whatever_is_known_of_the_other(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sizes: tuple[str, ...]
) -> None:
    async with scripted(appliance(says_sizes(*sizes, came=10))) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code == Code.TRANSFER_INCOMPLETE
    assert " 0 " not in why.message, "what was not announced is not shown as zero"


@pytest.mark.parametrize("left_out", QUESTIONS)
async def test_a_node_that_leaves_out_any_one_question_can_succeed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, left_out: str
) -> None:
    async def asks_less(node: Node, line: str) -> None:
        await announce(node, 1, 5, [question for question in QUESTIONS if question != left_out])
        node.target.store("a", 5)
        await node.say(COMPLETED)

    async with scripted(appliance(asks_less)) as node:
        _, report = await collected(node, node_task(tmp_path))
    assert report.counted == ["a"]


async def early_and_never_again(node: Node) -> None:
    await announce(node, 2, 10)
    await node.say(COMPLETED)


@pytest.mark.parametrize(
    ("closed", "code"),
    [
        ((True, True), None),
        ((True, False), Code.TRANSFER_INCOMPLETE),
        ((True,), Code.TRANSFER_INCOMPLETE),
        ((), Code.RECEIVER_UNREACHABLE),
    ],
)
async def test_completed_before_any_file_is_worth_what_comes_then(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    closed: tuple[bool, ...],
    code: Code | None,
) -> None:
    async def says_it_first(node: Node, line: str) -> None:
        await early_and_never_again(node)
        await trio.sleep(1)
        for number, whole in enumerate(closed):
            node.target.store(f"{number}", 5, closed=whole)

    async with scripted(appliance(says_it_first)) as node:
        if code is None:
            _, report = await collected(node, node_task(tmp_path))
            assert report.counted == ["0", "1"]
        else:
            assert (await failed(node, node_task(tmp_path))).code is code


async def test_sizes_that_are_announced_twice_are_counted_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def twice(node: Node, line: str) -> None:
        await announce(node, 2, 10, ())
        await pushes(5, 6)(node, line)

    async with scripted(appliance(twice)) as node:
        _, report = await collected(node, node_task(tmp_path, "syslog", "core"))
    assert report.totals == (4, 22)
