"""What came of a push against what was said of it: nothing passes as whole that is not."""

import pytest
import trio

from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.received_file import ReceivedFile
from cucmd.work.verdict import Announced, compare
from rig.packed import tgz
from rig.scripted_node import COMPLETED, QUESTIONS, announce, appliance, pushes

INCOMPLETE = Code.TRANSFER_INCOMPLETE


async def silent_return(node, line):
    await announce(node, 1, 5)
    node.target.store("a", 5)


async def cut_off(node, line):
    await announce(node, 1, 5)
    node.target.store("a", 5, closed=False)
    await node.say(COMPLETED)


async def says_only_completed(node, line):
    for question in QUESTIONS:
        await node.ask(question)
    node.target.logins += 1
    await node.say(COMPLETED)


@pytest.mark.parametrize(
    "file_get", [silent_return, cut_off, pushes(5, announced=6), says_only_completed]
)
def test_nothing_incomplete_passes(play, file_get):
    done = play(appliance(file_get))
    assert (done.code, done.counted) == (INCOMPLETE, [])
    assert "whole" not in done.failure.message, "what is marked incomplete is not called whole"
    assert done.failure.hint == failure(INCOMPLETE, "").hint


@pytest.mark.parametrize("completed", [True, False])
def test_a_cut_file_is_named(completed):
    received = [ReceivedFile("pub", "sdl/a.txt", 5, closed=False)]
    wrong = compare("sdl", Announced(1, 9), received, completed=completed, compressed=False)
    assert wrong.message.endswith("cut off: sdl/a.txt; no complete file came")


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
def test_how_much_is_missing(announced, sizes, says):
    received = [ReceivedFile("pub", str(at), size, closed=True) for at, size in enumerate(sizes)]
    wrong = compare("sdl", announced, received, completed=True, compressed=False)
    assert (wrong.code, wrong.message) == (INCOMPLETE, f"sdl: {says}")


@pytest.mark.parametrize(
    ("advertise", "named"), [("", " 192.0.2.1:2222"), ("2001:db8::7", " [2001:db8::7]:2222")]
)
def test_no_login_names_the_receiver(play, advertise, named):
    async def nobody_comes(node, line):
        await announce(node, 1, 5)

    done = play(appliance(nobody_comes), advertise=advertise)
    assert done.code == Code.RECEIVER_UNREACHABLE
    assert named in done.failure.message


def test_more_than_announced_is_right(play):
    done = play(appliance(pushes(9000, announced=5000)))
    assert (done.failure, done.notes) == (None, ())


async def hangs(node):
    while True:
        await node.read_line()


async def closes_no_file(node):
    node.target.files_closed = trio.Event()
    await node.say(COMPLETED)


async def closes_the_connection(node):
    raise trio.BrokenResourceError


async def goes_back(node):
    pass


@pytest.mark.parametrize("then", [goes_back, hangs, closes_no_file, closes_the_connection])
def test_a_refused_upload_is_the_cause(play, then):
    async def refused(node, line):
        await announce(node, 1, 5)
        node.target.receive(1)
        node.target.refusal = failure(Code.QUOTA_EXCEEDED, "more than 1 byte for this node")
        await then(node)

    done = play(appliance(refused))
    assert done.failure == done.node.target.refusal


def test_a_file_may_close_after_completed(play):
    async def early(node, line):
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

    done = play(appliance(early))
    assert (done.failure, done.counted) == (None, ["late"])


def says_sizes(*sizes, came, packed=None):
    """Announces sizes in these words, and pushes two files of `came` bytes in all.

    packed: the folder of the node, where they come as one archive.
    """

    async def file_get(node, line):
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
def test_an_unknown_size_is_noted(play, folder, sizes, named, compress):
    file_get = says_sizes(*sizes, came=40, packed=folder if compress else None)
    done = play(appliance(file_get), Collect(("core",), compress=compress))
    (note,) = done.notes
    assert note.startswith("core: not compared")
    assert all(words in note for words in named)
    assert done.counted == (["a.tgz"] if compress else ["a", "b"])


@pytest.mark.parametrize("sizes", [(), (FILES,), (BYTES,)])
def test_a_refused_file_is_missed(play, sizes):
    async def refused(node, line):
        await says_sizes(*sizes, came=40)(node, line)
        node.target.refusal = failure(Code.DISK_FULL, "less than 1 GiB is free")

    done = play(appliance(refused))
    assert (done.failure, done.counted) == (done.node.target.refusal, [])


def test_sizes_announced_twice_count_once(play):
    async def twice(node, line):
        await announce(node, 2, 10, ())
        await pushes(5, 6)(node, line)

    done = play(appliance(twice), Collect(("syslog", "core")))
    assert done.report.totals == (4, 22)
