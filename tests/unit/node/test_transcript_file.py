"""A transcript takes a limited part of the disk, and keeps its beginning and its end."""

import errno
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmd.node.file_writer import AppendedFile
from cucmd.node.transcript_file import CHECK_EVERY, LIMIT, MOST_WAITING, TranscriptFile
from rig.scripted_target import WritesAtOnce
from unit.vos.driver import tokens

SECRET = "PlatformSecret"
NODE = "cucm-pub:2022"
TODAY = datetime(2026, 11, 25, 23, 59, 59, 999_000, tzinfo=UTC)
Write = Callable[..., Awaitable[str]]
HEAD = "(cucm-pub:2022, 2026-11-25, times in UTC)"
MISSING = "(the disk is too slow: of what was said here some is missing)"


def enough(_descriptor: int) -> str | None:
    return None


def short(_descriptor: int) -> str | None:
    return "900 MiB of the disk are free, 1024 MiB must stay free"


def transcript_at(
    path: Path,
    shortage: Callable[[int], str | None] = enough,
    *,
    writer: WritesAtOnce | None = None,
    now: Callable[[], datetime] = lambda: TODAY,
) -> TranscriptFile:
    return TranscriptFile(path, NODE, (SECRET,), shortage, writer or WritesAtOnce(), now=now)


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """The transcript of a node that says these lines."""
    path = tmp_path / "transcript.log"

    async def write(lines: int, shortage: Callable[[int], str | None] = enough) -> str:
        async with transcript_at(path, shortage) as transcript:
            transcript.sent("file get")
            for _ in range(lines // 500):
                transcript.received(tokens(b"x\r\n" * 500))
            transcript.received(tokens(f"{SECRET} is the last word\r\n".encode()))
        return path.read_text()

    return write


async def test_little_is_kept_whole(written: Write) -> None:
    said = await written(2000)
    assert said.count(" < x\n") == 2000
    assert said.endswith(" < ***** is the last word\n")


@pytest.mark.long
async def test_only_the_beginning_of_much_is_kept(written: Write) -> None:
    said = await written(400_000)
    assert LIMIT / 2 < len(said) < LIMIT + 100
    assert said.splitlines()[:2] == [HEAD, "23:59:59.999 > file get"]
    beginning, _, end = said.partition("(the node prints too much")
    assert beginning.count(" < x\n") > 100_000
    assert "\n" not in end.rstrip()


@pytest.mark.long
async def test_a_second_attempt_stands_below_the_first_however_long_that_was(
    written: Write,
) -> None:
    await written(400_000)
    assert (await written(500)).endswith(" < ***** is the last word\n")


async def test_each_attempt_says_which_node_and_which_day_it_is(
    tmp_path: Path, written: Write
) -> None:
    path = tmp_path / "transcript.log"
    await written(0)
    async with transcript_at(path) as transcript:
        for _ in range(2):  # one that is refused, and the next
            transcript.attempt()
            transcript.received(tokens(b"Welcome\r\nadmin:"))
            transcript.sent("quit")
    session = [HEAD, "23:59:59.999 < Welcome", "23:59:59.999 < admin:", "23:59:59.999 > quit"]
    assert path.read_text().splitlines()[3:] == session * 2


async def test_a_session_that_goes_past_midnight_says_that_a_day_begins(tmp_path: Path) -> None:
    path, now = tmp_path / "transcript.log", TODAY
    async with transcript_at(path, now=lambda: now) as transcript:
        transcript.received(tokens(f"in the middle of {SECRET[:5]}".encode()))
        now += timedelta(milliseconds=2)
        transcript.received(tokens(f"{SECRET[5:]} it goes on\r\n".encode()))
        transcript.sent("y")
    assert path.read_text().splitlines() == [
        HEAD,
        "23:59:59.999 < in the middle of *****",
        "(cucm-pub:2022, 2026-11-26, times in UTC)",
        "00:00:00.001 <  it goes on",
        "00:00:00.001 > y",
    ]


async def test_of_much_that_comes_at_once_the_beginning_is_kept(tmp_path: Path) -> None:
    """It comes so after a time in which the disk did not answer."""

    class Gathered(WritesAtOnce):
        async def close(self, file: AppendedFile) -> None:
            file.append(b"".join(came))
            await super().close(file)

        def append(self, file: AppendedFile, data: bytes) -> None:
            came.append(data)

        async def written(self, file: AppendedFile) -> None: ...

    came: list[bytes] = []
    path = tmp_path / "transcript.log"
    async with transcript_at(path, writer=Gathered()) as transcript:
        for number in range(LIMIT // 1000 + 100):
            transcript.received(tokens(f"{number:6} {'x' * 1000}\r\n".encode()))
    beginning, _, end = path.read_text().partition("(the node prints too much")
    assert LIMIT - CHECK_EVERY - 2000 < len(beginning) <= LIMIT + 1
    assert "\n" not in end.rstrip()


async def test_what_waits_for_the_disk_is_bounded_and_what_is_missing_is_said(
    tmp_path: Path,
) -> None:
    path, writer = tmp_path / "transcript.log", WritesAtOnce()
    async with transcript_at(path, writer=writer) as transcript:
        for waiting, line in ((0, "one"), (MOST_WAITING + 1, "two"), (0, "three")):
            writer.waiting = waiting
            transcript.sent(line)
        writer.waiting = MOST_WAITING + 1
        transcript.sent("four")
    missing = ["", MISSING]
    said = ["23:59:59.999 > one", *missing, "23:59:59.999 > three", *missing]
    assert path.read_text().splitlines() == [HEAD, *said]


@pytest.mark.long
async def test_below_the_floor_of_free_space_it_ends_and_says_why(
    written: Write, caplog: pytest.LogCaptureFixture
) -> None:
    said = await written(400_000, short)
    assert len(said) < CHECK_EVERY + 1000
    assert said.endswith("\n(the transcript ends here: " + str(short(0)) + ")\n")
    assert "must stay free" in caplog.text


async def test_a_disk_that_fails_as_late_as_the_close_disturbs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "transcript.log"
    close = os.close

    def fails(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("cucmd.node.transcript_file.os.close", fails)
        async with transcript_at(path) as transcript:
            transcript.sent("file get")
    assert path.read_text().endswith(" > file get\n")


async def test_what_is_written_in_part_is_written_on(
    written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    assert (await written(500)).count(" < x\n") == 500


async def test_the_few_lines_of_an_ordinary_session_are_written_on_a_full_disk_too(
    written: Write,
) -> None:
    assert (await written(500, short)).endswith(" < ***** is the last word\n")
