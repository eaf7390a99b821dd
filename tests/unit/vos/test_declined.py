"""A `file get` of which nothing is to be pushed: its sizes, and back to the prompt."""

import pytest

from cucmd import vos
from cucmd.vos.dialogue_events import Send
from unit.vos.dialogues import (
    GATHERING,
    HOST,
    HOST_KEY,
    NORMAL,
    PASS,
    PLEASE,
    PROCEED,
    SIZES,
)
from unit.vos.driver import PASSWORD, REQUEST, Driver, at_prompt, byte_by_byte, failed, whole

SIZED = vos.SizesAnnounced(2, 2434450)
NO_FILES = "Number of files affected: 0\r\nTotal size in Bytes: 0\r\n"


@pytest.fixture(params=[whole, byte_by_byte], ids=["whole", "byte by byte"])
def sizing(request: pytest.FixtureRequest) -> Driver:
    """A `file get` without a receiver is typed and echoed."""
    driver = at_prompt(request.param)
    driver.cli.file_get(REQUEST, None)
    driver.feed(f"{REQUEST.command_line()}\r\n{GATHERING}".encode())
    driver.events.clear()
    return driver


def answers(driver: Driver) -> list[bytes]:
    return [event.data for event in driver.events if isinstance(event, Send)]


def test_the_question_after_the_sizes_is_answered_no(sizing: Driver) -> None:
    sizing.feed(f"{SIZES}{PROCEED} ".encode())
    assert sizing.events == [SIZED, Send(b"n\r", "n")]
    sizing.feed(b"n\r\n\r\nadmin:")
    sizing.quiet()
    assert sizing.events[2:] == [vos.Declined()]
    assert sizing.cli.at_prompt


def test_a_question_before_the_sizes_is_answered_yes(sizing: Driver) -> None:
    sizing.feed(f"{PLEASE} ".encode())
    sizing.feed(f"y\r\n{SIZES}{PROCEED} ".encode())
    assert answers(sizing) == [b"y\r", b"n\r"]


def test_every_question_after_the_sizes_is_answered_no(sizing: Driver) -> None:
    sizing.feed(f"{SIZES}{PLEASE} ".encode())
    sizing.feed(f"n\r\n{PROCEED} ".encode())
    sizing.feed(b"n\r\nadmin:")
    sizing.quiet()
    assert answers(sizing) == [b"n\r", b"n\r"]
    assert sizing.events[-1] == vos.Declined()


@pytest.mark.parametrize(
    "said", ["", "Executed command unsuccessfully\r\n", "No valid command\r\n"]
)
def test_what_the_node_says_after_no_does_not_matter(sizing: Driver, said: str) -> None:
    sizing.feed(f"{SIZES}{PROCEED} ".encode())
    sizing.feed(f"n\r\n{said}\r\nadmin:".encode())
    sizing.quiet()
    assert sizing.events[-1] == vos.Declined()


def test_an_answer_that_met_the_prompt_has_declined_too(sizing: Driver) -> None:
    sizing.feed(f"{SIZES}{PROCEED} \r\nadmin:".encode())
    sizing.feed(b"n\r\nNo valid command entered\r\nadmin:")
    sizing.quiet()
    assert sizing.events[-1] == vos.Declined()


@pytest.mark.parametrize("question", [HOST, PASS, HOST_KEY])
@pytest.mark.parametrize("sizes", [SIZES, ""])
def test_no_question_about_a_receiver_is_answered(
    sizing: Driver, question: str, sizes: str
) -> None:
    sizing.feed(f"{sizes}{question} ".encode())
    assert answers(sizing) == []
    [(code, _)] = failed(sizing.events)
    assert code == "command_refused"
    sizing.cli.interrupt()
    sizing.feed(b"^C\r\nadmin:")
    assert sizing.cli.at_prompt


def test_a_node_that_does_not_take_no_is_given_up(sizing: Driver) -> None:
    sizing.feed(SIZES.encode())
    for _ in range(4):
        sizing.feed(f"{PROCEED} n\r\n".encode())
    assert answers(sizing) == [b"n\r"] * 3
    assert [code for code, _ in failed(sizing.events)] == ["receiver_rejected"]


@pytest.mark.parametrize("said", [NO_FILES, "No files matched filter criteria\r\n"])
def test_nothing_that_matches_is_said_as_ever(sizing: Driver, said: str) -> None:
    sizing.feed(f"{said}\r\nadmin:".encode())
    sizing.quiet()
    assert sizing.events[-1] == vos.NothingMatched()


def test_a_refusal_before_the_sizes_has_its_code(sizing: Driver) -> None:
    sizing.feed(b"no such file or directory can be found\r\n\r\nadmin:")
    sizing.quiet()
    assert [code for code, _ in failed(sizing.events)] == ["invalid_path"]


def test_an_answer_that_was_not_sent_is_replaced() -> None:
    driver = with_receiver()
    driver.feed(f"{SIZES}{PROCEED} ".encode())
    assert driver.events == [SIZED, Send(b"y\r", "y")]
    assert driver.cli.decline(unanswered=True) == [Send(b"n\r", "n")]
    driver.feed(b"n\r\nadmin:")
    driver.quiet()
    assert driver.events[-1] == vos.Declined()


def test_an_answer_about_the_receiver_that_was_not_sent_breaks_the_dialogue() -> None:
    driver = with_receiver()
    driver.feed(f"{SIZES}{HOST} ".encode())
    [(code, _)] = failed(driver.cli.decline(unanswered=True))
    assert code == "command_refused"
    driver.feed(f"{PASS} ".encode())
    assert PASSWORD.encode() not in b"".join(answers(driver))


@pytest.mark.parametrize("until", range(2, len(NORMAL)))
def test_after_a_decline_nothing_about_the_receiver_is_sent(until: int) -> None:
    driver = with_receiver()
    for part in NORMAL[1:until]:
        driver.feed(f"{part} ".encode())
        driver.feed(b"\r\n")
    driver.cli.decline(unanswered=False)
    driver.events.clear()
    driver.feed("".join(f"{part} \r\n" for part in NORMAL[until:]).encode())
    assert set(answers(driver)) <= {b"n\r"}


def test_no_dialogue_is_declined_at_the_prompt() -> None:
    assert at_prompt().cli.decline(unanswered=True) == []


def with_receiver() -> Driver:
    driver = at_prompt()
    driver.feed(driver.type(REQUEST.command_line()) + GATHERING.encode())
    driver.events.clear()
    return driver
