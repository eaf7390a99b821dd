"""`cucmd lab`, whose nodes answer every plain command with lines that were made to be slow to read.

All of it is what an SSH login may print; only the texts differ from the lab's.
"""

from itertools import cycle, islice

from cucmd.lab import commands
from cucmd.lab.session import LabSession
from cucmd.main import main

LINES = 1500
_BLANKS = " " * 120
# Nearly of a form that is read, each; the ends do not fit. The first begins a table.
_SHAPES = (
    "Cluster Detailed View from a (2 Servers)" + _BLANKS * 3 + "!",
    "Host Name" + _BLANKS + ":" + _BLANKS + "a" + _BLANKS * 2 + "\u00a0!",
    "a" + " " * 90 + "[A" + " " * 29 + "]" + " " * 200 + "a[",
    " " * 200 + "-" * 200 + " " * 100 + "!",
    "a" * 60 + " 10.0.0.1 Failed Y/Y/Y 0 (g_2) (2)" + _BLANKS + "a" + _BLANKS * 2 + "(",
    "10.0.0.999 " + "a" * 230 + " " + "b" * 230 + " Publisher x DB",
    "10.0.0.1 " + "a" * 250 + " Publisher x DBPub since" + _BLANKS,
    "*10.0.0.1"
    + _BLANKS
    + ".GPS."
    + _BLANKS
    + "1 u 1 64 377 0.1 0.1"
    + _BLANKS
    + "0.1"
    + " " * 20
    + "!",
    "Current time in x is" + _BLANKS + ":" + _BLANKS + "a" + _BLANKS * 2 + "!",
    "Active Master Version" + _BLANKS + ":" + _BLANKS + "1" + _BLANKS * 2 + "!",
    "25 Nov,2026 10:15:59" + _BLANKS * 3 + "1,234 x",
    " 10:15:59 up" + _BLANKS + "," * 60 + _BLANKS + "1 users, load average: 1.00,",
    "Disk/logging" + _BLANKS + "1K" + _BLANKS + "1K" + _BLANKS + "1K(1%)!",
    "Time Zone : " + "a/b/c " * 80 + "!",
    "(" + "y " * 20 + ")" + _BLANKS * 3 + "!",
    "please enter " + "press " * 70 + "!",
)


# What once took the longest of an answer: it has no other lines.
_WORST = {"show status": _SHAPES[1], "utils service list": _SHAPES[2]}


def hostile(command: str) -> list[str]:
    shapes = (_WORST[command],) if command in _WORST else _SHAPES
    return [shape[:512] for shape in islice(cycle(shapes), LINES)]


async def _plain(session: LabSession, words: list[str]) -> None:
    if words[0] == "set":
        await _answered(session, words)
    else:
        await session.terminal.page(hostile(" ".join(words)))


_answered = commands.plain

if __name__ == "__main__":
    commands.plain = _plain
    raise SystemExit(main())
