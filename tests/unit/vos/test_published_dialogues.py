"""Dialogues as Cisco and administrators have published them, with our answers in place of theirs.

See vos/NODES.md, section 5.2. Line ends are not published: each of the three is tried.
"""

from __future__ import annotations

import pytest

from cucmd import vos
from cucmd.job.capture import CaptureSettings
from unit.vos.dialogues import (
    ANSWERS,
    DIRECTORY,
    PROCEED,
    RECEIVER_QUESTIONS,
    answers,
    at_every_split,
    completed,
    said,
)
from unit.vos.driver import Driver, at_prompt, byte_by_byte, whole

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
def test_a_file_get_of_another_product(dialogue: str, size: int, end: str) -> None:
    raw = said([dialogue]).replace(b"\r\n", b"\n").replace(b"\n", end.encode())
    events = at_every_split(raw)
    assert completed(events)
    assert events[-1] == vos.FileGetDone(True, 1, size, ())
    asked = (PROCEED, *RECEIVER_QUESTIONS) if DIRECTORY in dialogue else (PROCEED, *LESS)
    assert answers(events) == [ANSWERS[question] for question in asked]


@pytest.fixture(params=[whole, byte_by_byte], ids=["whole", "byte by byte"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return at_prompt(request.param)


SCREEN = "16:08:43.199710 IP cucm-sub3.home.lab.39417 > cucm-115.home.lab.ntp: NTPv4 , Client"


@pytest.mark.parametrize("prompt", ["admin:", "admin: "])
@pytest.mark.parametrize(
    "after_ctrl_c",
    [
        "^C\r\n",
        "\r\nExiting upgrade command. Please wait...\r\nControl-C pressed\r\n",
        f"^C{SCREEN}",
    ],
)
def test_a_capture_that_ctrl_c_ends(driver: Driver, prompt: str, after_ctrl_c: str) -> None:
    line = vos.capture_line(CaptureSettings("cucmd_x"))
    driver.cli.capture(line)
    driver.feed(f"{line}\r\nExecuting command with options:\r\n".encode())
    driver.feed(f" ip=\r\n\r\n{SCREEN}\r\n".encode())
    driver.cli.interrupt()
    driver.feed(f"{after_ctrl_c}{prompt}".encode())
    assert driver.cli.at_prompt
    [taken, done] = driver.events[-2:]
    assert taken == vos.Started()
    assert isinstance(done, vos.CommandDone)
    assert SCREEN in done.lines
