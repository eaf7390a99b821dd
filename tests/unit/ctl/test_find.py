"""The verb `find`: what is searched for, how matches are printed, and exit codes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cucmctl import Client
from cucmctl.main import main
from cucmctl.text import progress_line
from cucmctl.text.found_text import FoundText, marked, pattern_of
from cucmd.job.work_request import Collection
from cucmd.protocol.cases import (
    FindReply,
    Followed,
    FoundFile,
    Match,
    MissingLog,
    Search,
    WrongFile,
)
from unit.ctl.conftest import make_job, make_node

SINCE = datetime(2020, 11, 27, 22, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(minutes=45)
WINDOW = Collection(since=SINCE.isoformat(), until=UNTIL.isoformat())
PUB, SUB = "10.0.0.1", "10.0.0.2"
FOLDERS = "10.0.0.1/2020-11-27_23-50-00/cm/trace/ccm/sdl/"
GAP = MissingLog(SUB, "cm/trace/ccm/sdl", SINCE, UNTIL)
GAP_OF_PUB = MissingLog(PUB, GAP.log, SINCE, UNTIL + timedelta(seconds=9))
UNCLEAR = MissingLog(SUB, "syslog", unclear=True)
FAILED = MissingLog(SUB, reason=f"TimeoutError: cannot connect to {SUB}: Connection refused")
DAMAGED = WrongFile(SUB, f"{FOLDERS}b.gz", "is damaged")


def match(number: int, line: str = "INVITE", node: str = PUB, **fields: Any) -> Match:
    at = SINCE + timedelta(minutes=number, milliseconds=120)
    return Match(node, f"{FOLDERS}a.txt", line, number, **{"time": at, **fields})


class Daemon:
    """Holds a job of two nodes, and replies to searches. `asked` is the last request."""

    def __init__(self) -> None:
        self.replies: list[FindReply] = []
        self.search = Search()
        self.asked: dict[str, Any] = {}
        nodes = [make_node(PUB, name="ccm-pub", zone="UTC"), make_node(SUB, name="ccm-sub1")]
        self.job = make_job(*nodes, collection=WINDOW)

    def find(self, job_id: str, search: Search, **asked: Any) -> Iterator[FindReply]:
        self.search, self.asked = search, asked
        yield from self.replies


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, in_zone: Any) -> Daemon:
    in_zone("Europe/Berlin")
    daemon = Daemon()
    monkeypatch.setattr(Client, "status", lambda self, job_id: daemon.job)
    monkeypatch.setattr(Client, "find", lambda self, *args, **asked: daemon.find(*args, **asked))
    return daemon


@pytest.fixture
def find(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the verb: `find("INVITE -C 1", reply, ...)` returns exit code, output and messages."""

    def run(words: str, *replies: FindReply) -> tuple[int, list[str], list[str]]:
        daemon.replies = list(replies)
        code = main(["find", "3f2a", *words.split()])
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err.splitlines()

    return run


def matches(*found: Match, **fields: Any) -> FindReply:
    return FindReply(4, 5000, found, **fields)


# What is searched for


@pytest.mark.parametrize(
    ("words", "search"),
    [
        ("SIP/2.0 503", Search(text="SIP/2.0 503")),
        ("--regex ^a -i", Search(regex="^a", ignore_case=True)),
        ("--number +497021004 --path sdl", Search(number="+497021004", path="sdl")),
        ("--call-id a@b", Search(call_id="a@b")),
        ("-- --x", Search(text="--x")),
    ],
)
def test_arguments_make_a_search(find: Any, daemon: Daemon, words: str, search: Search) -> None:
    find(words)
    assert daemon.search == search


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "nothing to find"),
        ("INVITE --number 7021004", "--number: cannot be combined with WORDS"),
        ("--number 1 --regex 2", "--number: cannot be combined with --regex"),
        ("--number 1 --number 2", "--number: was given twice"),
        ("--number=", "--number: ''"),
        ("INVITE -C -1", "'-1'"),
        ("INVITE -C 1 --files", "--files: not allowed with argument -C"),
        ("INVITE --since soon", "--since: 'soon' is not a time"),
        ("INVITE --since 23:20 --until 23:10", "--until: 2020-11-27 23:10:00 is not after"),
    ],
)
def test_wrong_arguments_are_named(find: Any, words: str, said: str) -> None:
    code, out, messages = find(words)
    assert (code, out) == (2, [])
    assert said in messages[0]


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("--since 23:10", "2020-11-27T22:10:00Z", None),
        ("--until 23:10", None, "2020-11-27T22:10:00Z"),
        ("--until 23:50", None, "2020-11-27T22:50:00Z"),
        ("--since 23:40 --until 00:10", "2020-11-27T22:40:00Z", "2020-11-27T23:10:00Z"),
        ("--since 2020-11-27T22:10:00Z", "2020-11-27T22:10:00Z", None),
    ],
)
def test_times_of_day_are_in_the_window(
    find: Any, daemon: Daemon, words: str, since: str | None, until: str | None
) -> None:
    find(f"INVITE {words}")
    assert (daemon.search.since, daemon.search.until) == (since, until)


# How matches are printed


def test_matches_have_time_node_and_file(find: Any) -> None:
    _, out, _ = find("INVITE", matches(match(1), match(2, "INVITE\r", SUB)))
    assert out == [
        "23:01:00.120  ccm-pub   a.txt:1: INVITE",
        "23:02:00.120  ccm-sub1  a.txt:2: INVITE",
    ]


def test_other_days_have_their_date(find: Any) -> None:
    at = SINCE - timedelta(days=1)
    _, out, _ = find("INVITE", matches(match(1, time=at)))
    assert out[0].startswith("2020-11-26 23:00:00.000  ccm-pub")


def test_time_may_be_unknown(find: Any) -> None:
    _, out, _ = find("INVITE", matches(match(1, time=None)))
    assert out == ["------------  ccm-pub   a.txt:1: INVITE"]


def test_lines_cannot_control_the_terminal(find: Any) -> None:
    _, out, _ = find("INVITE", matches(match(1, "\x1b[2J INVITE", before=("\x9b",))))
    assert all(line.isprintable() for line in out)


def around(number: int, size: int = 2) -> Match:
    """Returns the match of a file in which line 5 is `l5`, with lines around it."""
    before = tuple(f"l{at}" for at in range(max(1, number - size), number))
    after = tuple(f"l{at}" for at in range(number + 1, number + size + 1))
    return match(number, f"l{number}", before=before, after=after)


@pytest.mark.parametrize(
    ("numbers", "printed"),
    [
        ([5], "3-l3 4-l4 5:l5 6-l6 7-l7"),
        ([1], "1:l1 2-l2 3-l3"),
        ([5, 6], "3-l3 4-l4 5:l5 6:l6 7-l7 8-l8"),
        ([5, 8], "3-l3 4-l4 5:l5 6-l6 7-l7 8:l8 9-l9 10-l10"),
        ([5, 11], "3-l3 4-l4 5:l5 6-l6 7-l7 -- 9-l9 10-l10 11:l11 12-l12 13-l13"),
        ([11, 5], "9-l9 10-l10 11:l11 12-l12 13-l13 -- 3-l3 4-l4 5:l5 6-l6 7-l7"),
    ],
)
def test_context_is_as_grep_prints_it(find: Any, numbers: list[int], printed: str) -> None:
    _, out, _ = find("l -C 2", *(matches(around(number)) for number in numbers))
    short = [line.rpartition("a.txt")[2].lstrip(":-").replace(" ", "") for line in out]
    assert [one or "--" for one in short] == printed.split(" ")


def test_files_are_counted(find: Any) -> None:
    found = FoundFile(SUB, f"{FOLDERS}b.txt", 12)
    code, out, _ = find("INVITE --files", FindReply(4, 5000, found=(found,)))
    assert (code, out) == (0, ["     12  ccm-sub1  cm/trace/ccm/sdl/b.txt"])


def test_json_is_an_object_a_line(find: Any) -> None:
    one = match(1, before=("a",), after=())
    _, out, _ = find("INVITE -C 1 --json", matches(one), FindReply(4, 5000, missing=(GAP,)))
    found, last = map(json.loads, out)
    assert found == {
        "node": PUB,
        "file": f"{FOLDERS}a.txt",
        "time": "2020-11-27T22:01:00.120000Z",
        "number": 1,
        "line": "INVITE",
        "before": ["a"],
        "after": [],
    }
    assert last["matches"] == 1
    assert last["missing"][0]["log"] == GAP.log


def test_followed_identifiers_are_named(find: Any) -> None:
    session = Followed("Session-ID", "5d3a", SUB, f"{FOLDERS}a.txt")
    asked = Followed("Call-ID", "a@b")
    _, _, messages = find("--call-id a@b", matches(followed=(asked, session)))
    assert messages[0].endswith("Call-ID a@b")
    assert messages[1].endswith("Session-ID 5d3a (ccm-sub1, a.txt)")


def test_what_is_not_followed_is_named(find: Any) -> None:
    _, _, messages = find("--call-id a@b", matches(not_followed=("ci 123",)))
    assert messages[0].endswith("not followed: ci 123")


@pytest.mark.parametrize(
    ("search", "line", "found"),
    [
        (Search(text="a.c"), "abc a.c", ["a.c"]),
        (Search(text="invite", ignore_case=True), "INVITE x", ["INVITE"]),
        (Search(regex=r"5\d\d"), "503 and 404 and 500", ["503", "500"]),
        (Search(regex=r"x*"), "a", []),
        (Search(regex="(?L)a"), "a", []),  # only for bytes
        (Search(number="+497021004"), "<sip:497021004@ccm>", ["497021004"]),
    ],
)
def test_matches_are_marked(search: Search, line: str, found: list[str]) -> None:
    parts = list(marked(line, pattern_of(search)))
    assert "".join(text for text, _ in parts) == line
    assert [text for text, is_match in parts if is_match] == found


def test_followed_identifiers_are_marked() -> None:
    pattern = pattern_of(Search(call_id="a@b"), [Followed("CI", "123"), Followed("CI", "1234")])
    assert [text for text, is_match in marked("1234 a@b", pattern) if is_match] == ["1234", "a@b"]


def test_colours_are_around_the_match() -> None:
    text = FoundText({PUB: "ccm-pub"}, SINCE.date(), mark=pattern_of(Search(text="INVITE")))
    (line,) = text.lines([match(1, "INVITE \x1b[2J")])
    assert line.endswith("\x1b[1;31mINVITE\x1b[m \\x1b[2J")


# What is missing


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({}, 1),
        ({"missing": (GAP,)}, 3),
        ({"missing": (UNCLEAR,)}, 3),
        ({"missing": (FAILED,)}, 3),
        ({"unread": (DAMAGED,)}, 3),
        ({"files": 0}, 3),
        ({"missing": (GAP,), "matches": (match(1),)}, 0),
    ],
)
def test_exit_codes(find: Any, last: dict[str, Any], code: int) -> None:
    reply = FindReply(**{"files": 4, "bytes": 5000, **last})
    assert find("INVITE", FindReply(2, 1000), reply)[0] == code


def test_missing_parts_are_named(find: Any) -> None:
    _, _, messages = find(
        "INVITE", FindReply(4, 5000, missing=(GAP, GAP_OF_PUB, UNCLEAR, FAILED), unread=(DAMAGED,))
    )
    assert [text.removeprefix("cucmctl: ") for text in messages] == [
        "no match in 4 files, 5.0 kB, but cm/trace/ccm/sdl of ccm-sub1, ccm-pub has nothing from "
        "Fri 27 Nov 2020 23:00 to 23:45 CET",
        "  and it is not known whether syslog of ccm-sub1 is complete, because not all of its time "
        "stamps could be read",
        "  and not everything has come of ccm-sub1: cannot connect: Connection refused",
        "  and cm/trace/ccm/sdl/b.gz of ccm-sub1 is damaged",
    ]


def test_progress_is_shown(find: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress_line.LINES, "1")
    _, _, messages = find("INVITE", FindReply(1, 500, of_bytes=1000), FindReply(2, 1000))
    assert "50%" in messages[0]
