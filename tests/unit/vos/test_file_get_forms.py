"""`file get` on nodes that leave out questions, change their order, or say things twice."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.failure import Code
from cucmd.vos.dialogue_events import Send
from rig.parameters import mostly_more
from rig.tries import tries
from unit.vos.dialogues import (
    ANSWERS,
    COMPLETED,
    DIRECTORY,
    DOTS,
    GATHERING,
    HOST,
    HOST_KEY,
    NORMAL,
    PASS,
    PLEASE,
    PORT,
    PROCEED,
    RECEIVER_QUESTIONS,
    SIZES,
    USER,
    answers,
    at_every_split,
    bytes_of,
    completed,
    play,
    start_file_get,
)
from unit.vos.driver import PASSWORD, RECEIVER, failed


@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no echo"])
@pytest.mark.parametrize("left_out", [None, PROCEED, *RECEIVER_QUESTIONS, SIZES, GATHERING, DOTS])
def test_any_part_may_be_missing(left_out: str | None, echo: bool) -> None:
    parts = [part for part in NORMAL if part != left_out]
    events = at_every_split(bytes_of(parts, echo=echo))
    assert answers(events) == [ANSWERS[part] for part in parts if part in ANSWERS]
    assert completed(events)


@pytest.mark.parametrize(
    "parts",
    [
        (GATHERING, SIZES, PROCEED, COMPLETED),
        (SIZES, HOST, COMPLETED),
        (SIZES, COMPLETED),
        (HOST, PASS, COMPLETED, SIZES),
        (COMPLETED, *NORMAL),
    ],
)
def test_completed_counts(parts) -> None:
    assert completed(at_every_split(bytes_of(parts)))


@pytest.mark.parametrize(
    "parts",
    [
        (COMPLETED, SIZES),
        (COMPLETED,),
        (HOST, COMPLETED, SIZES),
        (SIZES, COMPLETED, HOST, PASS, DIRECTORY),
        (*NORMAL, DIRECTORY),
        (*NORMAL, HOST),
    ],
)
def test_completed_does_not_count(parts) -> None:
    assert not completed(at_every_split(bytes_of(parts)))


@pytest.mark.parametrize("question", [PLEASE, HOST_KEY])
@pytest.mark.parametrize("place", range(1, len(NORMAL) + 1))
def test_more_questions_anywhere(question: str, place: int) -> None:
    events = play(bytes_of([*NORMAL[:place], question, *NORMAL[place:]]))
    assert answers(events).count(ANSWERS[question]) >= 1
    assert len(answers(events)) == 7
    assert completed(events)


@pytest.mark.parametrize("order", mostly_more([*permutations(RECEIVER_QUESTIONS)][::-7]))
def test_questions_in_any_order(order: tuple[str, ...]) -> None:
    events = play(bytes_of([GATHERING, *order, SIZES, PROCEED, COMPLETED]))
    assert answers(events) == [*(ANSWERS[part] for part in order), "y"]
    assert completed(events)


MORE = "Number of files affected: 3\r\nTotal size in Bytes: 3000000\r\n"


@pytest.mark.parametrize(
    ("sizes", "announced"),
    [
        ([SIZES, SIZES], [(2, 2434450)]),
        ([SIZES, MORE], [(2, 2434450), (3, 2434450), (3, 3000000)]),
        ([MORE, SIZES], [(3, 3000000)]),
    ],
)
def test_larger_sizes_count(sizes, announced) -> None:
    events = at_every_split(bytes_of([GATHERING, *sizes, PROCEED, *RECEIVER_QUESTIONS, COMPLETED]))
    told = [(event.files, event.bytes) for event in events if isinstance(event, vos.SizesAnnounced)]
    assert told == announced
    assert (events[-1].files_announced, events[-1].bytes_announced) == announced[-1]


# A node that is at its prompt already takes our answer for a command, echoes it, and refuses it.
def met(answer: str, prompt: str = "admin:") -> str:
    return f"\r\n{prompt}{answer}\r\nNo valid command entered\r\n"


@pytest.mark.parametrize(("echo", "why"), [(True, ""), (False, ""), (True, "sftp is busy\r\n")])
@pytest.mark.parametrize("question", [PLEASE, PROCEED, HOST, PORT, USER, PASS])
def test_answer_at_prompt_is_no_evidence(question: str, echo: bool, why: str) -> None:
    before = NORMAL[: NORMAL.index(question)] if question in NORMAL else (GATHERING,)
    late = met(ANSWERS[question] if echo else "")
    raw = bytes_of([*before, f"{question} \r\n{why}{late}"], echo=echo)
    events = at_every_split(raw)
    [(code, message)] = failed(events)
    assert code == Code.COMMAND_REFUSED
    assert "No valid command" not in message
    assert "does not know" not in message
    assert repr(question) in message
    assert why.strip() in message
    assert PASSWORD not in message


def test_prompt_at_directory() -> None:
    """A login does not need the directory, which some nodes never ask for."""
    raw = bytes_of([*NORMAL[:-3], f"{DIRECTORY} {met(RECEIVER.directory)}"])
    events = at_every_split(raw)
    assert events[-1] == vos.FileGetDone(False, 2, 2434450, ())


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("% Invalid command 'file get activelog'", "% Invalid command 'file get activelog'"),
        (f"no {PASSWORD} for you", "no ***** for you"),
        (GATHERING + "Something else", "Something else"),
        (f"{HOST} {RECEIVER.host}\r\nNo route", "No route"),
        ("x" * 199 + "\r\n" + "y" * 199 + "\r\nlast words", "last words"),
        ("Transfer completed.", "Transfer completed."),
    ],
)
@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no echo"])
def test_quotes_unknown_refusal(words: str, shown: str, echo: bool) -> None:
    events = at_every_split(bytes_of([f"{words}\r\n"], echo=echo))
    [(code, message)] = failed(events)
    assert code == Code.COMMAND_REFUSED
    assert shown in message
    assert len(message) < 500


def progress_of(*pieces: str) -> list[int]:
    """Returns how many `TransferMoved` each piece gives after the last answer."""
    driver = start_file_get()
    driver.feed(bytes_of(NORMAL[:-2]).removesuffix(b"\r\nadmin:"))
    given = [driver.feed(piece.encode()) for piece in pieces]
    return [events.count(vos.TransferMoved()) for events in given]


def test_dots_and_lines_show_progress() -> None:
    assert progress_of(".", "..", "\r\n", "Uploading a\r\n", ".", "Transfer completed") == [
        1,
        1,
        0,
        1,
        1,
        1,
    ]
    assert progress_of("." * 5000, "." * 5000) == [1, 1]
    assert progress_of("a 10%", "\ra 20%", "\ra 30%") == [0, 1, 1]


def test_echoes_and_questions_show_no_progress() -> None:
    driver = start_file_get()
    driver.feed(bytes_of([GATHERING, SIZES, PROCEED, HOST, PORT, USER]).removesuffix(b"\r\nadmin:"))
    host_key = "The authenticity of host 'x' can't be established.\r\n" + HOST_KEY
    for part in f"{PASS} *********\r\n{DIRECTORY} /in\r\n{host_key} yes\r\n":
        assert vos.TransferMoved() not in driver.feed(part.encode()), part


def test_can_log_in_after_each_answer() -> None:
    events = at_every_split(bytes_of([HOST, PORT, USER, PASS, HOST_KEY, DIRECTORY, SIZES]))
    of = [event for event in events if isinstance(event, Send | vos.CanLogIn)]
    shown = [event.shown if isinstance(event, Send) else "agreed" for event in of]
    assert shown[:5] == [RECEIVER.host, "2222", RECEIVER.username, "*****", "agreed"]
    assert shown[5:] == ["yes", "agreed", "/in", "agreed", "agreed"]


PARTS = st.lists(
    st.sampled_from(
        [*NORMAL, PLEASE, HOST_KEY, MORE, "Some words\r\n", " Get file: active/admin:\r\n", ".\r\n",
         f"{USER} {met(RECEIVER.username)}", f"{PASS} {met(PASSWORD)}", "No valid command\r\n",
         f"{PASS} Some words\r\n", f"{HOST} \r\n*** Some words\r\n",
         "\r\nadmin:y\r\n", "Invalid download directory specified.\r\n", "\radmin:\r\n"]
    ),
    max_size=12,
)  # fmt: skip


@given(parts=PARTS, echo=st.booleans(), data=st.data())
@tries(300)
def test_split_makes_no_difference(parts, echo, data) -> None:
    raw = bytes_of(parts, echo=echo)
    cuts = data.draw(st.sets(st.integers(1, len(raw)), max_size=8))
    assert play(raw, cuts) == play(raw) == play(raw, range(1, len(raw)))


@given(parts=PARTS, echo=st.booleans())
@tries(300)
def test_never_completed_without_the_words(parts, echo) -> None:
    events = play(bytes_of([part for part in parts if part != COMPLETED], echo=echo))
    assert not completed(events)
    assert PASSWORD not in repr(events)
