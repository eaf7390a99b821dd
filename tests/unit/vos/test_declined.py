"""A `file get` that must push nothing: it gives its sizes and goes back to the prompt."""

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
    """Makes a driver in a `file get` without a receiver."""
    driver = at_prompt(request.param)
    driver.cli.file_get(REQUEST, None)
    driver.feed(f"{REQUEST.command_line()}\r\n{GATHERING}".encode())
    driver.events.clear()
    return driver


def answers(driver: Driver) -> list[bytes]:
    return [event.data for event in driver.events if isinstance(event, Send)]


def test_answers_no_after_sizes(sizing: Driver) -> None:
    sizing.feed(f"{SIZES}{PROCEED} ".encode())
    assert sizing.events == [SIZED, Send(b"n\r", "n")]
    sizing.feed(b"n\r\n\r\nadmin:")
    sizing.quiet()
    assert sizing.events[2:] == [vos.Declined()]
    assert sizing.cli.at_prompt


def test_answers_yes_before_sizes(sizing: Driver) -> None:
    sizing.feed(f"{PLEASE} ".encode())
    sizing.feed(f"y\r\n{SIZES}{PROCEED} ".encode())
    assert answers(sizing) == [b"y\r", b"n\r"]


@pytest.mark.parametrize(
    "text", ["", "Executed command unsuccessfully\r\n", "No valid command\r\n"]
)
def test_words_after_no_do_not_matter(sizing: Driver, text: str) -> None:
    sizing.feed(f"{SIZES}{PROCEED} ".encode())
    sizing.feed(f"n\r\n{text}\r\nadmin:".encode())
    sizing.quiet()
    assert sizing.events[-1] == vos.Declined()


@pytest.mark.parametrize("question", [HOST, PASS, HOST_KEY])
@pytest.mark.parametrize("sizes", [SIZES, ""])
def test_answers_no_question_about_receiver(sizing: Driver, question: str, sizes: str) -> None:
    sizing.feed(f"{sizes}{question} ".encode())
    assert answers(sizing) == []
    [(code, _)] = failed(sizing.events)
    assert code == "command_refused"
    sizing.cli.interrupt()
    sizing.feed(b"^C\r\nadmin:")
    assert sizing.cli.at_prompt


@pytest.mark.parametrize("text", [NO_FILES, "No files matched filter criteria\r\n"])
def test_nothing_matched(sizing: Driver, text: str) -> None:
    sizing.feed(f"{text}\r\nadmin:".encode())
    sizing.quiet()
    assert sizing.events[-1] == vos.NothingMatched()


def test_replaces_unsent_answer() -> None:
    driver = with_receiver()
    driver.feed(f"{SIZES}{PROCEED} ".encode())
    assert driver.events == [SIZED, Send(b"y\r", "y")]
    assert driver.cli.decline(unanswered=True) == [Send(b"n\r", "n")]
    driver.feed(b"n\r\nadmin:")
    driver.quiet()
    assert driver.events[-1] == vos.Declined()


def test_unsent_answer_about_receiver_breaks_dialogue() -> None:
    driver = with_receiver()
    driver.feed(f"{SIZES}{HOST} ".encode())
    [(code, _)] = failed(driver.cli.decline(unanswered=True))
    assert code == "command_refused"
    driver.feed(f"{PASS} ".encode())
    assert PASSWORD.encode() not in b"".join(answers(driver))


@pytest.mark.parametrize("until", range(2, len(NORMAL)))
def test_sends_nothing_about_receiver_afterwards(until: int) -> None:
    driver = with_receiver()
    for part in NORMAL[1:until]:
        driver.feed(f"{part} ".encode())
        driver.feed(b"\r\n")
    driver.cli.decline(unanswered=False)
    driver.events.clear()
    driver.feed("".join(f"{part} \r\n" for part in NORMAL[until:]).encode())
    assert set(answers(driver)) <= {b"n\r"}


def with_receiver() -> Driver:
    driver = at_prompt()
    driver.feed(driver.type(REQUEST.command_line()) + GATHERING.encode())
    driver.events.clear()
    return driver
