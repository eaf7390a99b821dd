"""What has come is read to its end before it counts."""

import gzip
import random
import tarfile

import pytest
import trio

from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.received_file import FileRead
from rig.packed import tgz
from rig.scripted_node import COMPLETED, QUESTIONS, announce, appliance, by_path, pushes
from rig.scripted_target import Readers

LOG = gzip.compress(random.Random(1).randbytes(5000))
FILES = {"active/a.log": bytes(3000), "active/b.log": b"a line\n" * 1000}
SIZE = sum(map(len, FILES.values()))
ARCHIVE = tgz(FILES)
PACKED = {"active_1.tgz": ARCHIVE}
COMPRESS = Collect(("x",), compress=True)
INCOMPLETE = Code.TRANSFER_INCOMPLETE


@pytest.fixture
def sends(folder):
    """Returns a function that makes a `file get` which pushes these files.

    announced  files and bytes that the node says; by default those that it pushes
    """

    def sends(files, announced=None):
        async def file_get(node, line):
            count, size = announced or (len(files), sum(map(len, files.values())))
            await announce(node, count, size)
            for name, content in files.items():
                node.target.put(folder, name, content)
            await node.say(COMPLETED)

        return file_get

    return sends


def read_by(readers):
    return lambda node: setattr(node, "readers", readers)


def test_growth_does_not_hide_a_cut(play, sends):
    """More bytes come than were announced, and one file lacks its last byte."""
    grown = {"messages": bytes(9000), "SDL1.txt.gz": LOG[:-1], "SDL2.txt.gz": LOG}
    file_get = by_path(first=sends(grown, (3, 5000 + 2 * len(LOG))), then=pushes(5))
    done = play(appliance(file_get), Collect(("first", "then")))
    assert (done.code, done.failure.retryable) == (INCOMPLETE, True)
    assert "first: SDL1.txt.gz ends before" in done.failure.message
    assert "SDL2" not in done.failure.message
    assert "collect again" in done.failure.hint
    assert done.counted == ["messages", "SDL2.txt.gz", "3-0.txt"], "the other path is got too"


@pytest.mark.parametrize("name", ["now.gz", "NOW.GZ", "now.tgz", "now.gz.2"])
def test_a_cut_gzip_does_not_count(play, sends, name):
    done = play(appliance(sends({name: LOG[:-1]})))
    assert (done.code, done.counted) == (INCOMPLETE, [])


def test_a_cut_on_the_node_has_another_hint(play, sends):
    done = play(appliance(sends({"now.gz": LOG[:-1], "other.log": b"x"})))
    assert (done.code, done.counted) == (INCOMPLETE, ["other.log"])
    assert "--incomplete" in done.failure.hint
    assert "collect again" not in done.failure.hint, "it would be cut again"


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
def test_files_that_show_no_cut_count(play, sends, name, content):
    done = play(appliance(sends({name: content})))
    assert (done.failure, done.notes, done.counted) == (None, (), [name])


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
def test_a_whole_archive_counts(play, sends, files, announced):
    done = play(appliance(sends(files, announced)), COMPRESS)
    assert (done.failure, done.notes, done.counted) == (None, (), list(files))


@pytest.mark.parametrize(
    ("files", "announced", "says", "counted"),
    [
        ({"a.tgz": ARCHIVE[:-1]}, (2, SIZE), "a.tgz ends before", []),
        ({"a.tgz": ARCHIVE[:1]}, (2, SIZE), "a.tgz ends before", []),
        ({"a.tgz": gzip.compress(gzip.decompress(ARCHIVE)[:3000])}, (2, SIZE), "of its tar", []),
        ({"packed": b"x" * SIZE}, (2, SIZE), "the archive is 1 file short", []),
        ({"a.tgz": b"x" * SIZE}, (1, SIZE), "a.tgz is no archive", []),
        ({"a.tgz": bytes(SIZE)}, (1, SIZE), "a.tgz is no archive", []),
        (PACKED, (3, SIZE), "the archive is 1 file short: 2 of 3", []),
        (PACKED, (2, SIZE + 1), "the archive is 1 byte short: 10,000 of 10,001", []),
        ({"a.tgz": tgz({})}, (0, 0), "only an empty archive", []),
        (PACKED | {"b.tgz": b""}, (3, SIZE), "b.tgz is no archive", list(PACKED)),
    ],
)
def test_an_incomplete_archive_fails(play, sends, files, announced, says, counted):
    done = play(appliance(sends(files, announced)), COMPRESS)
    assert (done.code, done.counted) == (INCOMPLETE, counted)
    assert says in done.failure.message


def test_an_archive_with_links_is_not_compared(play, sends):
    link = tarfile.TarInfo("active/latest.log")
    link.type, link.linkname = tarfile.SYMTYPE, "a.log"
    files = {"active_1.tgz": gzip.compress(link.tobuf() + bytes(1024))}
    done = play(appliance(sends(files, (1, SIZE))), COMPRESS)
    (note,) = done.notes
    assert (done.failure, done.counted) == (None, list(files))
    assert "active_1.tgz" in note
    assert "not compared" in note


@pytest.mark.parametrize(("content", "code"), [(ARCHIVE, None), (ARCHIVE[:-9], INCOMPLETE)])
def test_archives_are_read_without_sizes(play, folder, content, code):
    async def announces_nothing(node, line):
        for question in QUESTIONS:
            await node.ask(question)
        node.target.put(folder, "a.tgz", content)
        await node.say(COMPLETED)

    done = play(appliance(announces_nothing), COMPRESS)
    assert (done.code, done.counted) == (code, [] if code else ["a.tgz"])


class Unread(Readers):
    """Its process has ended before it has said anything."""

    async def read_to_end(self, folder, files, *, archives, announced):
        await trio.lowlevel.checkpoint()
        return [FileRead(unread="it took too long")] * len(files)


def test_an_unread_gzip_is_noted(play, sends):
    files = {"SDL1.txt.gz": LOG, "messages": b"a line"}
    done = play(appliance(sends(files)), arrange=read_by(Unread()))
    (note,) = done.notes
    assert (done.failure, done.counted) == (None, list(files))
    assert "SDL1.txt.gz" in note
    assert "it took too long" in note


def test_an_unread_archive_is_incomplete(play, sends):
    done = play(appliance(sends(PACKED, (2, SIZE))), COMPRESS, arrange=read_by(Unread()))
    assert (done.code, done.counted) == (INCOMPLETE, [])
    assert "it took too long" in done.failure.message


class Slow(Readers):
    """Takes longer than any deadline of a command."""

    async def read_to_end(self, folder, files, **options):
        await trio.sleep(10_000)
        return await super().read_to_end(folder, files, **options)


@pytest.mark.parametrize("cancel_after", [100, float("inf")])
def test_reading_has_no_deadline(play, sends, cancel_after):
    script = appliance(sends({"SDL1.txt.gz": LOG}))
    done = play(script, arrange=read_by(Slow()), cancel_after=cancel_after)
    assert (done.failure, done.node.lines[-1]) == (None, "quit")
    assert done.counted == ([] if done.cancelled else ["SDL1.txt.gz"])
