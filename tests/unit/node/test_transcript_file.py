"""The file of a transcript: its lines, and the limits of its size and of the disk."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmd.node.transcript_file import CHECK_EVERY, LIMIT, MOST_WAITING, TranscriptFile
from rig.scripted_target import WritesAtOnce
from unit.vos.driver import tokens

SECRET = "PlatformSecret"
NODE = "cucm-pub:2022"
TODAY = datetime(2026, 11, 25, 23, 59, 59, 999_000, tzinfo=UTC)
Write = Callable[..., Awaitable[str]]
HEAD = "(cucm-pub:2022, 2026-11-25, times in UTC)"
MISSING = "(the disk is too slow: some lines are missing here)"


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
    """Returns a function that writes the transcript of a node with so many lines."""
    path = tmp_path / "transcript.log"

    async def write(lines: int, shortage: Callable[[int], str | None] = enough) -> str:
        async with transcript_at(path, shortage) as transcript:
            transcript.sent("file get")
            for _ in range(lines // 500):
                transcript.received(tokens(b"x\r\n" * 500))
            transcript.received(tokens(f"{SECRET} is the last word\r\n".encode()))
        return path.read_text()

    return write


async def test_short_transcript_is_complete(written: Write) -> None:
    said = await written(2000)
    assert said.count(" < x\n") == 2000
    assert said.endswith(" < ***** is the last word\n")


@pytest.mark.long
async def test_long_transcript_keeps_its_beginning(written: Write) -> None:
    said = await written(400_000)
    assert LIMIT / 2 < len(said) < LIMIT + 100
    assert said.splitlines()[:2] == [HEAD, "23:59:59.999 > file get"]
    beginning, _, end = said.partition("(the node prints too much")
    assert beginning.count(" < x\n") > 100_000
    assert "\n" not in end.rstrip()


async def test_each_attempt_names_node_and_day(tmp_path: Path, written: Write) -> None:
    path = tmp_path / "transcript.log"
    await written(0)
    async with transcript_at(path) as transcript:
        for _ in range(2):  # a refused attempt, and the next one
            transcript.attempt()
            transcript.received(tokens(b"Welcome\r\nadmin:"))
            transcript.sent("quit")
    session = [HEAD, "23:59:59.999 < Welcome", "23:59:59.999 < admin:", "23:59:59.999 > quit"]
    assert path.read_text().splitlines()[3:] == session * 2


async def test_new_day_at_midnight(tmp_path: Path) -> None:
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


async def test_slow_disk_leaves_out_lines(
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
async def test_ends_when_disk_is_full(written: Write, caplog: pytest.LogCaptureFixture) -> None:
    said = await written(400_000, short)
    assert len(said) < CHECK_EVERY + 1000
    assert said.endswith("\n(the transcript ends here: " + str(short(0)) + ")\n")
    assert "must stay free" in caplog.text


async def test_partial_writes_go_on(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    assert (await written(500)).count(" < x\n") == 500


async def test_short_transcript_on_full_disk(
    written: Write,
) -> None:
    assert (await written(500, short)).endswith(" < ***** is the last word\n")
