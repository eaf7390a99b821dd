"""The sizes that a `file get` announces, in different words and with different line ends."""

from __future__ import annotations

import pytest

from cucmd import vos
from cucmd.vos.dialogue_events import Event, Send
from cucmd.vos.file_get_lines import AnnouncedSizes
from unit.vos.dialogues import (
    COMPLETED,
    GATHERING,
    PROCEED,
    RECEIVER_QUESTIONS,
    SIZES,
    at_every_split,
    bytes_of,
    completed,
    play,
)
from unit.vos.driver import PASSWORD

FILES, BYTES = SIZES.split("\r\n")[:2]
KBYTES = "Total size in Kbytes: 2377.3926"


def events_of(
    sizes: str, *, proceed: str = f"{PROCEED} y\r\n", cr_alone: bool = False
) -> list[Event]:
    raw = bytes_of([GATHERING, sizes, proceed, *RECEIVER_QUESTIONS, COMPLETED])
    events = at_every_split(raw.replace(b"\r\n", b"\r") if cr_alone else raw)
    assert completed(events)
    return events


def sized(events: list[Event]) -> list[vos.SizesAnnounced]:
    return [event for event in events if isinstance(event, vos.SizesAnnounced)]


READ = {
    "a line each": f"{FILES}\r\n{BYTES}\r\n{KBYTES}\r\n",
    "all on one line": f"{FILES} {BYTES} {KBYTES}\r\n",
    "in the other order": f"{BYTES}, {FILES}\r\n",
    "words before them": f"INFO sizing - {FILES}\r\nINFO sizing - {BYTES}\r\n",
    "overwritten": f"{FILES}\r{BYTES}\r{KBYTES}\r\x1b[K",
    **{
        f"thousands with {separator!r}": f"{FILES}\r\nTotal size in Bytes: "
        f"{separator.join(('2', '434', '450'))}\r\n{KBYTES}\r\n"
        for separator in (",", ".", "'", " ", "\u2019", "\u00a0", "\u202f")
    },
}


@pytest.mark.parametrize("cr_alone", [False, True], ids=["lines", "CR alone"])
@pytest.mark.parametrize("sizes", READ.values(), ids=READ)
def test_reads_sizes(sizes: str, cr_alone: bool) -> None:
    events = events_of(sizes, cr_alone=cr_alone)
    assert sized(events) == [vos.SizesAnnounced(2, 2434450)]
    done = events[-1]
    assert isinstance(done, vos.FileGetDone)
    assert (done.files_announced, done.bytes_announced, done.sizes_unread) == (2, 2434450, ())


@pytest.mark.parametrize("before", [READ["all on one line"], f"x {READ['in the other order']}"])
def test_reads_sizes_before_question(before: str) -> None:
    events = events_of("", proceed=f"{before.strip()} {PROCEED} y\r\n")
    assert events.index(vos.SizesAnnounced(2, 2434450)) < [type(one) for one in events].index(Send)


# The node's words, the sizes that are known then, and the lines that are quoted.
UNREAD = {
    "other words": (
        "Files affected = 2\r\nSize = 2434450\r\n",
        (None, None),
        ("Files affected = 2", "Size = 2434450"),
    ),
    "another language": (
        "\u53d7\u5f71\u97ff\u7684\u6a94\u6848\u6578\uff1a2\r\n",
        (None, None),
        ("\u53d7\u5f71\u97ff\u7684\u6a94\u6848\u6578\uff1a2",),
    ),
    "Kbytes alone": (f"{FILES}\r\n{KBYTES}\r\n", (2, None), (KBYTES,)),
    "files alone": (f"{FILES}\r\n", (2, None), ()),
    "bytes alone": (f"{BYTES}\r\n", (None, 2434450), ()),
    "another unit": (
        f"{FILES}\r\nTotal size in MB: 2.4\r\n",
        (2, None),
        ("Total size in MB: 2.4",),
    ),
    "no whole number": (
        f"{FILES}\r\nTotal size in Bytes: 2.43445E6\r\n",
        (2, None),
        ("Total size in Bytes: 2.43445E6",),
    ),
    "none": ("Sub-directories were not traversed.\r\n", (None, None), ()),
}


@pytest.mark.parametrize("cr_alone", [False, True], ids=["lines", "CR alone"])
@pytest.mark.parametrize(("sizes", "known", "quoted"), UNREAD.values(), ids=UNREAD)
def test_quotes_sizes_in_other_words(
    sizes: str,
    known: tuple[int | None, int | None],
    quoted: tuple[str, ...],
    cr_alone: bool,
) -> None:
    events = events_of(sizes, cr_alone=cr_alone)
    assert sized(events) == []
    assert events[-1] == vos.FileGetDone(True, *known, (), quoted)


def test_quotes_are_masked_and_short() -> None:
    lines = "".join(f"{number} {'x' * 250}\r\n" for number in range(6))
    raw = bytes_of([GATHERING, f"3 of {PASSWORD}\r\n{lines}", *RECEIVER_QUESTIONS, COMPLETED])
    unread = play(raw)[-1].sizes_unread
    assert unread[0] == "3 of *****"
    assert len(unread) == 5
    assert max(map(len, unread)) <= 200


def test_words_after_login_are_notes() -> None:
    events = at_every_split(
        bytes_of([GATHERING, *RECEIVER_QUESTIONS, "12 of 40 blocks\r\n", COMPLETED])
    )
    assert events[-1].sizes_unread == ()
    assert events[-1].notes == ("12 of 40 blocks",)


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("12", 12),
        ("1,200", 1200),
        ("12 Total", 12),
        ("12.", 12),
        ("12, ", 12),
        ("\uff11\uff12", 12),
        ("1,2", None),
        ("12.5", None),
        ("12 5", None),
        ("1,20,000", None),
        ("12e3", None),
        ("12K", None),
        (",,,", None),
        ("9" * 25, None),
        ("9" * 24, 10**15),
    ],
)
def test_reads_whole_numbers_only(number: str, read: int | None) -> None:
    sizes = AnnouncedSizes()
    sizes.read(f"Number of files affected: {number}", None)
    assert sizes.files == read
