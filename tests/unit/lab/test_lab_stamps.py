"""Traces of the lab begin and end with the times at which they were written."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.cases.stamps import LastStamp, first_stamp
from cucmd.lab import tree
from cucmd.lab.stamps import stamped
from cucmd.lab.tree import Shape, VirtualFile

NOW = datetime(2026, 8, 3, 12, 0, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def blocks(file: VirtualFile, block: int = 32 * 1024) -> Iterator[bytes]:
    return tree.blocks(1, file.path, file.size, block)


@pytest.mark.parametrize(
    "path",
    [
        "cm/trace/ccm/sdl/SDL001_100_000074.txt.gz",
        "cm/trace/ccm/sdi/ccm00000074.txt.gz",
        "cm/trace/ccm/calllogs/calllogs_00000074.txt.gz",
        "tomcat/logs/axl/log4j/axl00074.log",
        "syslog/messages",
    ],
)
def test_the_times_are_those_of_the_file_by_the_clock_of_the_node(path: str) -> None:
    (file,) = [one for one in tree.files_of("activelog", 1, Shape()) if one.path == path]
    content = b"".join(stamped(blocks(file), file, NOW, BERLIN))
    assert len(content) == file.size
    by = NOW.replace(tzinfo=None)
    first = first_stamp(content[:1000], by)
    assert first is not None
    last = LastStamp(first, by)
    last.feed(content)
    end = last.end()
    assert end is not None
    ended = file.modified(NOW).astimezone(BERLIN)
    assert end.local == ended.replace(tzinfo=None)
    assert (end.local - first.stamp.local).total_seconds() == file.span


@given(st.integers(0, 600), st.sampled_from([64, 128, 32 * 1024]))
def test_a_file_keeps_its_size_at_every_split(size: int, block: int) -> None:
    file = VirtualFile("cm/trace/ccm/sdl/x", size, 20.0)
    whole = b"".join(stamped(blocks(file), file, NOW, BERLIN))
    assert b"".join(stamped(blocks(file, block), file, NOW, BERLIN)) == whole
    assert len(whole) == size


def test_other_files_stay_as_they_are() -> None:
    file = VirtualFile("platform/cli/capture.cap", 1000, 20.0)
    assert list(stamped(blocks(file), file, NOW, BERLIN)) == list(blocks(file))
