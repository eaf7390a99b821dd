"""`file get` on nodes that leave out questions, ask them in any order, or say things twice."""

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
    completed,
    played,
    said,
    typed,
)
from unit.vos.driver import PASSWORD, RECEIVER, Driver, failed


@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no echo"])
@pytest.mark.parametrize("left_out", [None, PROCEED, *RECEIVER_QUESTIONS, SIZES, GATHERING, DOTS])
def test_a_node_that_leaves_out_any_one_part_can_succeed(left_out: str | None, echo: bool) -> None:
    parts = [part for part in NORMAL if part != left_out]
    events = at_every_split(said(parts, echo=echo))
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
def test_completed_counts_whenever_it_comes_after_the_sizes_or_after_a_login(parts) -> None:
    assert completed(at_every_split(said(parts)))


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
def test_completed_before_the_sizes_or_before_another_question_does_not_count(parts) -> None:
    assert not completed(at_every_split(said(parts)))


@pytest.mark.parametrize("question", [PLEASE, HOST_KEY])
@pytest.mark.parametrize("place", range(1, len(NORMAL) + 1))
def test_a_further_question_may_stand_anywhere(question: str, place: int) -> None:
    events = played(said([*NORMAL[:place], question, *NORMAL[place:]]))
    assert answers(events).count(ANSWERS[question]) >= 1
    assert len(answers(events)) == 7
    assert completed(events)


@pytest.mark.parametrize("order", mostly_more([*permutations(RECEIVER_QUESTIONS)][::-7]))
def test_questions_in_an_order_that_nobody_foresaw(order: tuple[str, ...]) -> None:
    events = played(said([GATHERING, *order, SIZES, PROCEED, COMPLETED]))
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
def test_of_sizes_that_are_announced_twice_the_larger_ones_count(sizes, announced) -> None:
    events = at_every_split(said([GATHERING, *sizes, PROCEED, *RECEIVER_QUESTIONS, COMPLETED]))
    told = [(event.files, event.bytes) for event in events if isinstance(event, vos.SizesAnnounced)]
    assert told == announced
    assert (events[-1].files_announced, events[-1].bytes_announced) == announced[-1]


# What is printed when our answer meets the prompt: the shell echoes it, and knows no such command.
def met(answer: str, prompt: str = "admin:") -> str:
    return f"\r\n{prompt}{answer}\r\nNo valid command entered\r\n"


@pytest.mark.parametrize(("echo", "why"), [(True, ""), (False, ""), (True, "sftp is busy\r\n")])
@pytest.mark.parametrize("question", [PLEASE, PROCEED, HOST, PORT, USER, PASS])
def test_an_answer_that_meets_the_prompt_is_no_evidence(
    question: str, echo: bool, why: str
) -> None:
    before = NORMAL[: NORMAL.index(question)] if question in NORMAL else (GATHERING,)
    late = met(ANSWERS[question] if echo else "")
    raw = said([*before, f"{question} \r\n{why}{late}"], echo=echo)
    events = at_every_split(raw)
    [(code, message)] = failed(events)
    assert code == Code.COMMAND_REFUSED
    assert "No valid command" not in message
    assert "does not know" not in message
    assert repr(question) in message
    assert why.strip() in message
    assert PASSWORD not in message


def test_an_answer_that_meets_a_prompt_with_a_counter() -> None:
    driver = Driver()
    driver.feed(b"\r\n12 admin:")
    driver.quiet()
    driver.type("file get activelog cm/trace/ccm/sdl reltime hours 2")
    driver.feed(f"file get activelog cm/trace/ccm/sdl reltime hours 2\r\n{HOST} ".encode())
    driver.feed(f"{met(RECEIVER.host, '13 admin:')}\r\n14 admin:".encode())
    [(code, message)] = failed(driver.quiet())
    assert code == Code.COMMAND_REFUSED
    assert repr(HOST) in message


def test_a_prompt_at_the_directory_is_left_to_the_receiver() -> None:
    """A login does not need the directory: some nodes never ask for it."""
    raw = said([*NORMAL[:-3], f"{DIRECTORY} {met(RECEIVER.directory)}"])
    events = at_every_split(raw)
    assert events[-1] == vos.FileGetDone(False, 2, 2434450, ())


def test_what_looks_like_a_prompt_in_a_line_ends_nothing() -> None:
    names = " Get file: admin:\r\nadmin: is not allowed\r\n"
    events = at_every_split(said([GATHERING, names, *NORMAL[1:]]))
    assert completed(events)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("% Invalid command 'file get activelog'", "% Invalid command 'file get activelog'"),
        ("sudo: sorry, you must have a tty\r\nPAM: denied", "must have a tty / PAM: denied"),
        (f"no {PASSWORD} for you", "no ***** for you"),
        (GATHERING + "Something else", "Something else"),
        (SIZES + PROCEED + " y\r\n\r\nNot now", "Not now"),
        (f"{HOST} {RECEIVER.host}\r\nNo route", "No route"),
        ("x" * 199 + "\r\n" + "y" * 199 + "\r\nlast words", "last words"),
        ("Transfer completed.", "Transfer completed."),
    ],
)
@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no echo"])
def test_a_refusal_in_words_that_nobody_knows_is_quoted(words: str, shown: str, echo: bool) -> None:
    events = at_every_split(said([f"{words}\r\n"], echo=echo))
    [(code, message)] = failed(events)
    assert code == Code.COMMAND_REFUSED
    assert shown in message
    assert len(message) < 500


def test_what_came_before_the_echo_is_of_an_earlier_command() -> None:
    raw = b"\r\nadmin:y\r\nNo valid command entered\r\nadmin:" + said(["Not now\r\n"])
    [(code, message)] = failed(at_every_split(raw))
    assert code == Code.COMMAND_REFUSED
    assert message.endswith(": Not now")


def test_only_words_name_a_cause() -> None:
    for words, code in [
        ("", Code.COMMAND_REFUSED),
        ("No files matched filter criteria\r\n", None),
        ("no such file or directory can be found\r\n", Code.INVALID_PATH),
        (SIZES + "No files matched filter criteria\r\n", Code.COMMAND_REFUSED),
        (
            f"{HOST} {RECEIVER.host}\r\nno such file or directory can be found\r\n",
            "command_refused",
        ),
    ]:
        events = played(said([words]))
        assert [found for found, _ in failed(events)] == ([code] if code else [])
        assert (vos.NothingMatched() in events) == (code is None)


# The driver leaves `TransferMoved` out of its events, so these ask what each read gives.


def reads(*pieces: str) -> list[int]:
    """Returns how many `TransferMoved` each piece gives after the last answer."""
    driver = typed()
    driver.feed(said(NORMAL[:-2]).removesuffix(b"\r\nadmin:"))
    given = [driver.feed(piece.encode()) for piece in pieces]
    return [events.count(vos.TransferMoved()) for events in given]


def test_dots_and_lines_are_progress() -> None:
    assert reads(".", "..", "\r\n", "Uploading a\r\n", ".", "Transfer completed") == [
        1,
        1,
        0,
        1,
        1,
        1,
    ]
    assert reads("." * 5000, "." * 5000) == [1, 1]
    assert reads("a 10%", "\ra 20%", "\ra 30%") == [0, 1, 1]


def test_the_echo_of_our_answers_and_the_nodes_questions_are_no_progress() -> None:
    driver = typed()
    driver.feed(said([GATHERING, SIZES, PROCEED, HOST, PORT, USER]).removesuffix(b"\r\nadmin:"))
    host_key = "The authenticity of host 'x' can't be established.\r\n" + HOST_KEY
    for part in f"{PASS} *********\r\n{DIRECTORY} /in\r\n{host_key} yes\r\n":
        assert vos.TransferMoved() not in driver.feed(part.encode()), part


def test_an_echo_on_the_next_line_is_ours_too() -> None:
    parts = [f"{PASS} \r\n*********\r\n", f"{DIRECTORY} \r\n/in\r\n"]
    events = at_every_split(said([GATHERING, SIZES, HOST, *parts, COMPLETED]))
    assert completed(events)
    assert events[-1].notes == ()
    driver = typed()
    assert vos.TransferMoved() not in driver.feed("".join(parts).encode())


def test_that_a_node_can_log_in_is_told_with_each_later_answer() -> None:
    events = at_every_split(said([HOST, PORT, USER, PASS, HOST_KEY, DIRECTORY, SIZES]))
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
def test_any_dialogue_means_the_same_however_it_is_split(parts, echo, data) -> None:
    raw = said(parts, echo=echo)
    cuts = data.draw(st.sets(st.integers(1, len(raw)), max_size=8))
    assert played(raw, cuts) == played(raw) == played(raw, range(1, len(raw)))


@given(parts=PARTS, echo=st.booleans())
@tries(300)
def test_no_dialogue_is_completed_without_the_words(parts, echo) -> None:
    events = played(said([part for part in parts if part != COMPLETED], echo=echo))
    assert not completed(events)
    assert PASSWORD not in repr(events)
