"""PURE. Lists the commands that `run` and `follow` may type, with their arguments and parsers.

A command is typed only if it is one of FORMS or TAILS, word by word. `parse_command` makes the line
anew from the words that it has checked, so nothing can be added to a form. Abbreviations are
refused, although a node's shell accepts them, because their meaning depends on the node.

The commands in the table only read. One of them, `utils imdb_replication status`, writes rows of
its own to a database in memory (vos/NODES.md, section 6.17). Other commands stay out of the table,
even if they begin with `show`: they write, copy, print a secret, or never end (section 6.6).

A parser keeps lines that it does not know, and never raises.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, takewhile
from typing import TypeAlias

import msgspec

from cucmd.vos import texts
from cucmd.vos.arguments import InvalidArgument, is_path
from cucmd.vos.cluster_answers import (
    parse_ha_status,
    parse_network_cluster,
    parse_runtimestate,
    parse_version_active,
)
from cucmd.vos.record_answers import (
    parse_backup_history,
    parse_certificate,
    parse_certificate_list,
    parse_core_list,
    parse_counters,
    parse_processes,
)
from cucmd.vos.service_answers import parse_ntp_status, parse_service_list
from cucmd.vos.status_answers import parse_machine

Parser: TypeAlias = Callable[[Iterable[str]], msgspec.Struct]

LONGEST = 200  # characters of a command, enough for a path and a pattern

# As in `is_path`, no character is special for a Unix shell, because the node may pass the word to a
# shell. The exceptions are `*`, `[`, `]` and `^`, which can only match names of files.
_PATTERN = re.compile(r"[A-Za-z0-9_.:,=/@%+*^\[\]][A-Za-z0-9_.:,=/@%+*^\[\]-]*")
_NAME = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_NUMBER_OR_ALL = re.compile(f"all|{_NUMBER.pattern}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_FEW = re.compile(r"[1-9][0-9]?")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")  # service records begin with `_`


class Slot(msgspec.Struct, frozen=True):
    """Describes one word that a form leaves open.

    name      the word as the usage shows it
    accepts   called with a word; returns something true if the word may stand here
    expected  a description of such words, for messages
    """

    name: str
    accepts: Callable[[str], object]
    expected: str


class Option(msgspec.Struct, frozen=True):
    """Describes a keyword and the words that must follow it.

    group: a command may have only one of the options with the same group.
    """

    keyword: str
    slots: tuple[Slot, ...] = ()
    group: str = ""

    @property
    def usage(self) -> str:
        return " ".join((self.keyword, *(slot.name for slot in self.slots)))


class Form(msgspec.Struct, frozen=True):
    """Describes a command, and everything that may be typed after it.

    head     the fixed words at the beginning
    seconds  the time limit, unless the request has another
    section  the section of vos/NODES.md with the source
    slots    words that must follow, in this order
    more     words that may follow the slots, in this order
    options  options that may follow, in any order, each once
    parser   the parser of the answer, or None if no part of the answer is read
    """

    head: str
    seconds: float
    section: str
    slots: tuple[Slot, ...] = ()
    more: tuple[Slot, ...] = ()
    options: tuple[Option, ...] = ()
    parser: Parser | None = None

    @property
    def usage(self) -> str:
        """Returns the usage, such as `show process load [noidle] [num N] [cpu|memory|time]`."""
        more = " ".join(f"[{slot.name}" for slot in self.more) + "]" * len(self.more)
        choices: dict[str, list[str]] = {}
        for option in self.options:
            choices.setdefault(option.group or option.keyword, []).append(option.usage)
        words = [self.head, *(slot.name for slot in self.slots), *([more] if more else ())]
        return " ".join([*words, *(f"[{'|'.join(usages)}]" for usages in choices.values())])


class Command(msgspec.Struct, frozen=True):
    """Holds a command that may be typed. Only `parse_command` and `parse_tail` make commands.

    line     the line to type
    seconds  see `Form`, `parser` too
    """

    line: str
    seconds: float
    parser: Parser | None


_LOGS, _UNITS = ("activelog", "inactivelog", "install"), ("minutes", "hours", "days")
_LOG = Slot("LOCATION", _LOGS.__contains__, "activelog, inactivelog or install")
_SPEC = Slot("PATH", is_path, "a path below the location, `*` in its last component only")
_ONE_FILE = Slot(
    "PATH",
    lambda word: not word.endswith("/") and is_path(word),
    "the path of a file, or with recent of a folder; `*` in its last component only",
)
_FOLDER = Slot(
    "FOLDER/",
    lambda word: word.endswith("/") and "*" not in word and is_path(word),
    "the path of a folder, with / at its end",
)
_RECENT = Slot("recent", "recent".__eq__, "recent")
_REGEX = Slot(
    "REGEX", _PATTERN.fullmatch, "letters, digits and _.:,=/@%+*^[]-, which do not begin with -"
)
_UNIT = Slot("UNIT", _UNITS.__contains__, "minutes, hours or days")
_AMOUNT = Slot("N", _NUMBER.fullmatch, "a number from 1 to 9999")
_COUNT = Slot("N", _NUMBER_OR_ALL.fullmatch, "a number from 1 to 9999, or all")
_PACKAGE = Slot("NAME", _NAME.fullmatch, "the name of a package, or *")
_MOST = Slot("N", _FEW.fullmatch, "a number of processes from 1 to 99")
_OWN = Slot(
    "CERTIFICATE",
    lambda word: "*" not in word and is_path(word),
    "a certificate as show cert list own has it, such as tomcat or tomcat/tomcat.pem",
)
_REMOTE = Slot("HOST", _HOST.fullmatch, "a host name or an address")
_GROUP = Slot("GROUP", _WORD.fullmatch, "the name of a presence redundancy group, one word")
_TIMES = Slot("COUNT", _FEW.fullmatch, "a number of packets from 1 to 99")
_SIZE = Slot("SIZE", _NUMBER.fullmatch, "bytes of a packet, from 1 to 9999")

_RECORDS = (Option("detail"), Option("srv"))

# Time limits in seconds. A busy node needs time to read files or to ask other nodes.
_QUICK, _SLOW, _MINUTES = 60.0, 180.0, 900.0

FORMS: tuple[Form, ...] = (
    Form(texts.SHOW_VERSION, _QUICK, "6.3", parser=parse_version_active),
    Form("show version inactive", _QUICK, "6.3"),
    Form(texts.SHOW_STATUS, _QUICK, "6.3", parser=parse_machine),
    Form(texts.SHOW_CLUSTER, _QUICK, "6.2", parser=parse_network_cluster),
    Form("show network eth0", _QUICK, "6.9", options=(Option("detail"),)),
    Form("show network route", _QUICK, "6.9"),
    Form("show hardware", _SLOW, "6.9"),
    Form(
        "show process load",
        _QUICK,
        "6.9",
        options=(
            Option("noidle"),
            Option("num", (_COUNT,)),
            Option("thread"),
            Option("cpu", group="order"),
            Option("memory", group="order"),
            Option("time", group="order"),
        ),
        parser=parse_processes,
    ),
    Form("show process using-most cpu", _QUICK, "6.12", more=(_MOST,), parser=parse_processes),
    Form("show process using-most memory", _QUICK, "6.12", more=(_MOST,), parser=parse_processes),
    Form("show perf query class Processor", _QUICK, "6.12", parser=parse_counters),
    Form("show perf query class Memory", _QUICK, "6.12", parser=parse_counters),
    Form("show memory count", _QUICK, "6.9"),
    Form("show memory modules", _QUICK, "6.9"),
    Form("show memory size", _QUICK, "6.9"),
    Form("show packages active", _SLOW, "6.9", slots=(_PACKAGE,)),
    Form("show timezone config", _QUICK, "6.9"),
    Form("show date", _QUICK, "6.9"),
    Form("show cert list own", _QUICK, "6.14", parser=parse_certificate_list),
    Form("show cert list trust", _QUICK, "6.14", parser=parse_certificate_list),
    Form("show cert own", _QUICK, "6.14", slots=(_OWN,), parser=parse_certificate),
    Form("show cuc cluster status", _SLOW, "6.17"),
    Form(
        "file list",
        _SLOW,
        "6.1",
        slots=(_LOG, _SPEC),
        options=(
            Option("detail"),
            Option("reverse"),
            Option("date", group="order"),
            Option("size", group="order"),
        ),
    ),
    Form(
        "file search",
        _MINUTES,
        "6.9",
        slots=(_LOG, _SPEC, _REGEX),
        options=(Option("reltime", (_UNIT, _AMOUNT)), Option("ignorecase")),
    ),
    Form(texts.SERVICE_LIST, _SLOW, "6.4", parser=parse_service_list),
    Form(texts.NTP_STATUS, _QUICK, "6.10", parser=parse_ntp_status),
    Form("utils ntp server list", _QUICK, "6.16"),
    Form("utils network host", _QUICK, "6.16", slots=(_REMOTE,), options=_RECORDS),
    Form("utils network ping", _SLOW, "6.16", slots=(_REMOTE,), more=(_TIMES, _SIZE)),
    Form(texts.RUNTIMESTATE, _SLOW, "6.11", parser=parse_runtimestate),
    Form("utils diagnose test", _MINUTES, "6.4"),
    Form("utils core active list", _SLOW, "6.15", parser=parse_core_list),
    Form("utils core inactive list", _SLOW, "6.15", parser=parse_core_list),
    Form("utils disaster_recovery history backup", _SLOW, "6.13", parser=parse_backup_history),
    Form("utils disaster_recovery status backup", _SLOW, "6.13"),
    Form("utils system upgrade status", _SLOW, "6.16"),
    Form("utils imdb_replication status", _MINUTES, "6.17"),
    Form("utils ha status", _SLOW, "6.17", more=(_GROUP,), parser=parse_ha_status),
)

# Only `follow` types these, since they go on until Ctrl-C. The second form is for the newest file
# of a folder. A node ends an idle session after 30 minutes (section 1), and nothing is typed while
# a `file tail` runs.
_TAIL, LONGEST_TAIL = "file tail activelog", 1800.0
_MATCHING = (Option("regexp", (_REGEX,)),)
TAILS = (
    Form(_TAIL, LONGEST_TAIL, "6.18", slots=(_ONE_FILE,), options=_MATCHING),
    Form(_TAIL, LONGEST_TAIL, "6.18", slots=(_FOLDER, _RECENT), options=_MATCHING),
)

# The limit for the part of an answer that is parsed, in characters, and how many characters each
# line counts in addition. So at most 1,000 lines are parsed; usual answers have some 30. Parsers
# run in the event loop, and the slowest takes 7 ms for this limit.
MOST_READ, _OF_A_LINE = 64 * 1024, 64

# The commands that are useful in every case. None of them loads a node.
SNAPSHOT = (texts.SHOW_STATUS, texts.SHOW_VERSION, texts.SERVICE_LIST, "utils core active list")


def parse_command(text: str) -> Command:
    """Parses `text` as a command, blanks around its words ignored. Raises `InvalidArgument`."""
    words = _words(text)
    form = _form_of(words, FORMS)
    if form is None:
        reason = (
            "is not one of the commands that may be run; they only read, and are written in full"
        )
        heads = [form.head for form in FORMS]
        near = difflib.get_close_matches(" ".join(words[:4]), heads, n=3, cutoff=0.6)
        near = near or [head for head in heads if head.split()[:2] == list(words[:2])]
        reason += f"; similar commands: {', '.join(near)}" if near else ""
        raise InvalidArgument("command", text, reason)
    return _parsed(form, words, text)


def parse_tail(text: str) -> Command:
    """Parses `text` as a `file tail`, which goes on until Ctrl-C. Raises `InvalidArgument`."""
    words = _words(text)
    form = TAILS[words[4:5] == ["recent"]]
    if _form_of(words, (form,)) is None:
        raise InvalidArgument("command", text, f"is not written `{form.usage}`")
    return _parsed(form, words, text)


def _parsed(form: Form, words: Sequence[str], text: str) -> Command:
    rest = words[len(form.head.split()) :]
    slots = (*form.slots, *form.more)[: max(len(form.slots), len(rest))]
    wrong = _wrong_slots(slots, rest) or _wrong_options(form, rest[len(slots) :])
    if wrong:
        raise InvalidArgument("command", text, f"{wrong}; it is written `{form.usage}`")
    return Command(" ".join((form.head, *rest)), form.seconds, form.parser)


def take_parsable(lines: Sequence[str]) -> Sequence[str]:
    """Returns the lines at the beginning of an answer that are parsed, up to MOST_READ."""
    ends = accumulate(len(line) + _OF_A_LINE for line in lines)
    return lines[: sum(1 for _ in takewhile(MOST_READ.__ge__, ends))]


def _words(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise InvalidArgument("command", text, f"is longer than {LONGEST} characters")
    for char in text:
        if char != " " and not "!" <= char <= "~":
            reason = f"contains {char!r}; expected printable ASCII without TAB and line ends"
            raise InvalidArgument("command", text, reason)
    if not text.strip():
        raise InvalidArgument("command", "", "is empty")
    return text.split()


def _form_of(words: Sequence[str], forms: Iterable[Form]) -> Form | None:
    """Returns the form with the longest head that fits, since one head may begin with another."""
    fitting = (form for form in forms if list(words[: len(form.head.split())]) == form.head.split())
    return max(fitting, key=lambda form: len(form.head), default=None)


def _wrong_slots(slots: Sequence[Slot], words: Sequence[str]) -> str | None:
    for slot, word in zip(slots, words, strict=False):
        if not slot.accepts(word):
            return f"{slot.name} {word!r}: expected {slot.expected}"
    if len(words) < len(slots):
        missing = slots[len(words)]
        return f"{missing.name} is missing: expected {missing.expected}"
    return None


def _wrong_options(form: Form, words: Sequence[str]) -> str | None:
    options = {option.keyword: option for option in form.options}
    seen: set[str] = set()
    left = list(words)
    while left:
        option = options.get(left.pop(0))
        if option is None:
            return f"{words[len(words) - len(left) - 1]!r} may not follow"
        if not seen.isdisjoint({option.keyword, f"group {option.group}"}):
            return f"{option.keyword!r} is given twice, or beside an option that excludes it"
        seen.add(option.keyword)
        if option.group:
            seen.add(f"group {option.group}")
        follows, left = left[: len(option.slots)], left[len(option.slots) :]
        for slot, word in zip(option.slots, [*follows, "", ""], strict=False):
            if not slot.accepts(word):
                return f"{option.usage}: expected {slot.expected}"
    return None
