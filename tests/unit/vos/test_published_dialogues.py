"""Dialogues that Cisco and administrators have published, with our answers in place of theirs.

Section 5.2 of vos/NODES.md has their sources. The line ends are not published, so the tests try all
three.
"""

from __future__ import annotations

import pytest

from cucmd import vos
from unit.vos.dialogues import (
    ANSWERS,
    DIRECTORY,
    PROCEED,
    RECEIVER_QUESTIONS,
    answers,
    at_every_split,
    bytes_of,
    completed,
)

LESS = RECEIVER_QUESTIONS[:-1]
INDENT = " " * 19
# Cloud Connect 12.6: no line about gathering, indented questions, `Password:` on a line of its own.
CLOUD_CONNECT = f"""\
done.
Sub-directories were not traversed.
Number of files affected: 1
Total size in Bytes: 2472833
Total size in Kbytes: 2414.876
Would you like to proceed [y/n]? y
SFTP server IP: 192.0.2.5
{INDENT}SFTP server port [22]: 2222
{INDENT}User ID: cucmd-7f
{INDENT}Password:
{INDENT}*********
{INDENT}Download directory: /in
{INDENT}Transfer completed
"""
# Music on hold, Unified CM: an empty line after the question, no directory, one dot.
MUSIC_ON_HOLD = """\
Please wait while the system is gathering files info \u2026done.
Sub-directories were not traversed.
Number of files affected: 1
Total size in Bytes: 2702728
Total size in Kbytes: 2639.3828
Would you like to proceed [y/n]? y

SFTP server IP: 192.0.2.5
SFTP server port [22]: 2222
User ID: cucmd-7f
Password: *********

.
Transfer completed.
"""


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["CR LF", "LF", "CR"])
@pytest.mark.parametrize(
    ("dialogue", "size"), [(CLOUD_CONNECT, 2472833), (MUSIC_ON_HOLD, 2702728)], ids=["cloud", "moh"]
)
def test_file_get_of_another_product(dialogue: str, size: int, end: str) -> None:
    raw = bytes_of([dialogue]).replace(b"\r\n", b"\n").replace(b"\n", end.encode())
    events = at_every_split(raw)
    assert completed(events)
    assert events[-1] == vos.FileGetDone(True, 1, size, ())
    asked = (PROCEED, *RECEIVER_QUESTIONS) if DIRECTORY in dialogue else (PROCEED, *LESS)
    assert answers(events) == [ANSWERS[question] for question in asked]
