"""The answer to `file list ... detail`."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.vos import ListedFile, parse_file_list
from cucmlab.answers import file_list
from cucmlab.selection import ListEntry

# As in Cisco's guide (vos/NODES.md, section 6.1).
ANSWER = [
    "02 Dec,2004 12:00:59        <dir>  drf",
    "16 Nov,2004 21:45:43        8,557  enGui.log",
    "27 Oct,2004 11:54:33       47,916  startup.log",
    "dir count = 1, file count = 2",
]


def test_files_of_folder():
    assert parse_file_list(ANSWER) == (
        ListedFile("enGui.log", 8557, datetime(2004, 11, 16, 21, 45, 43)),
        ListedFile("startup.log", 47916, datetime(2004, 10, 27, 11, 54, 33)),
    )


def test_lines_may_begin_with_blank():
    assert parse_file_list([f" {line}" for line in ANSWER]) == parse_file_list(ANSWER)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no such file or directory can be found",
        "16 Foo,2004 21:45:43        8,557  a",
        "31 Feb,2004 21:45:43        8,557  a",
        "16 Nov,2004 25:45:43        8,557  a",
        "16 Nov,2004 21:45:43             ,  a",
        "16 Nov,2004 21:45:43        8,557 a",
        "enGui.log                               startup.log",
        "16 Nov,2004 21:45:43        8,557  " + "a" * 5000,
    ],
)
def test_line_of_other_form_is_no_file(line):
    assert parse_file_list([line]) == ()


def test_blanks_in_name_and_wide_size():
    (file,) = parse_file_list(["16 Nov,2004 21:45:431,234,567,890,123  a  b c.log"])
    assert (file.name, file.size) == ("a  b c.log", 1_234_567_890_123)


@given(
    st.text("abc._-0", min_size=1, max_size=60),
    st.integers(0, 10**14),
    st.datetimes(datetime(1990, 1, 1), datetime(2098, 1, 1)),
)
def test_reads_answers_of_the_lab(name, size, modified):
    zone = ZoneInfo("Europe/Berlin")
    whole = modified.replace(microsecond=0)
    lines = file_list([ListEntry(name, size, whole.replace(tzinfo=zone))], zone, detail=True)
    assert parse_file_list(lines) == (ListedFile(name, size, whole),)
