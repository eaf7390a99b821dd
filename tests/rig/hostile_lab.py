"""`cucmd lab`, whose nodes answer every plain command with lines that were made to be slow to read.

All of it is what an SSH login may print; only the texts differ from the lab's. The first node
answers what is parsed with as many lines as a parser is given, of those that cost it most; else its
answers are those of the others, 740 KB each, which are too long to be parsed.
"""

from collections.abc import Callable
from functools import cache
from itertools import cycle, islice
from time import thread_time

from cucmd.main import main
from cucmd.vos.forms import FORMS, readable
from cucmlab import commands
from cucmlab.session import LabSession
from rig.hostile_texts import lines_for

LINES = 1500
# Characters of the lines that are tried, and how many take turns in an answer that is parsed.
LENGTHS, TURNS = (20, 450), 20
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


def long(command: str) -> list[str]:
    shapes = (_WORST[command],) if command in _WORST else _SHAPES
    return [shape[:512] for shape in islice(cycle(shapes), LINES)]


@cache
def parsed(parser: Callable[[list[str]], object]) -> list[str]:
    """Leaves room for a line, since an answer may begin or end with one of its own. What a line
    costs is compared with how much of the answer it takes up, as `readable` has it.
    """
    texts = (text for length in LENGTHS for text in lines_for(parser, length))
    lines = dict.fromkeys("".join(filter(str.isprintable, text)) for text in texts)
    costs = {line: _seconds(parser, [line] * 10) / (len(line) + 64) for line in lines}
    worst = sorted(costs, key=costs.__getitem__, reverse=True)[:TURNS]
    return list(readable(list(islice(cycle(worst), LINES))))[:-1]


def _seconds(parser: Callable[[list[str]], object], lines: list[str]) -> float:
    began = thread_time()
    parser(lines)
    return thread_time() - began


async def _plain(session: LabSession, words: list[str]) -> None:
    if words[0] == "set":
        await _answered(session, words)
        return
    command = " ".join(words)
    parsers = [form.parser for form in FORMS if form.parser and command.startswith(form.head)]
    first = session.node.index == 1
    await session.terminal.page(parsed(parsers[0]) if first and parsers else long(command))


_answered = commands.plain

if __name__ == "__main__":
    commands.plain = _plain
    raise SystemExit(main())
