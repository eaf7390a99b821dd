"""Words where an answer is due: a reason to give up, or part of the dialogue."""

from collections.abc import Iterable

import pytest

from cucmd import vos
from cucmd.failure import Code
from cucmd.vos.dialogue_events import Send
from rig.parameters import more
from unit.vos.dialogues import (
    COMPLETED,
    DIRECTORY,
    GATHERING,
    HOST,
    HOST_KEY,
    NORMAL,
    PASS,
    PORT,
    SIZES,
    USER,
    at_every_split,
    bytes_of,
    completed,
    start_file_get,
)
from unit.vos.driver import PASSWORD, failed

# A node may print these words before it has read any answer.
IN_DOUBT = [
    "{question}sftp is not allowed\r\n",
    "{question} \r\nsftp is not allowed\r\n",
    "{question} sftp is not allowed ",  # on the line of the prompt
    "{question} \r\nsftp is not allowed ",
    "{question} *** sftp is not allowed ***\r\n",
    "{question} \r\n*** sftp is not allowed\r\n",
]


def refused_at(question: str, words: str, before: Iterable[str], *, echo: bool) -> str:
    """Returns the message for a node that prints only these words after a question."""
    raw = bytes_of(before, echo=echo).removesuffix(b"\r\nadmin:")
    raw += words.format(question=question).encode() + b"admin:"
    events = at_every_split(raw)
    [(code, message)] = failed(events)
    assert code == Code.COMMAND_REFUSED
    assert repr(question) in message
    return message


@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no echo"])
@pytest.mark.parametrize("words", IN_DOUBT)
@pytest.mark.parametrize("question", [PASS, *more(HOST, PORT, USER)])
def test_words_alone_prove_nothing(question: str, words: str, echo: bool) -> None:
    before = NORMAL[: NORMAL.index(question)]
    message = refused_at(question, words, before, echo=echo)
    assert "sftp is not allowed" in message
    assert message.count("sftp is not allowed") == 1


def test_words_at_repeated_question_prove_nothing() -> None:
    again = f"{PASS} \r\nTry again\r\n"
    message = refused_at(PASS, "{question}\r\nToo many tries\r\n", (HOST, again), echo=True)
    assert "Too many tries" in message


@pytest.mark.parametrize(
    "shown",
    [
        f"{PASS} *********\r\nConnecting\r\n",  # the echo
        f"{PASS} {PASSWORD}\r\nConnecting\r\n",
        f"{PASS} \r\nConnecting\r\n{DIRECTORY} /in\r\n",
        f"{PASS} Connecting\r\n{HOST_KEY} yes\r\n",
        f"{PASS} Connecting\r\n....\r\n",
        f"{PASS} Connecting\r\n{SIZES}",
        f"{PASS} Connecting\r\nWarning: Permanently added 'x' to the list of known hosts.\r\n",
        f"{PASS} ssh: connect to host 192.0.2.5 port 2222: Connection timed out\r\n",
        f"{PASS} \r\nssh: connect to host 192.0.2.5 port 2222: anything\r\nLost\r\n",
    ],
)
def test_node_that_took_password_can_log_in(
    shown: str,
) -> None:
    events = at_every_split(bytes_of([GATHERING, SIZES, HOST, PORT, USER, shown]))
    assert failed(events) == []
    assert vos.CanLogIn() in events
    assert isinstance(events[-1], vos.FileGetDone)
    assert not events[-1].completed


def test_unknown_echo_makes_no_note() -> None:
    stars = f"{PASS} xxxxxxxxx\r\n"
    events = at_every_split(bytes_of([GATHERING, SIZES, HOST, PORT, USER, stars, COMPLETED]))
    assert completed(events)
    assert events[-1].notes == ()


def test_words_in_doubt_start_the_clock() -> None:
    """A firewall may swallow all that follows, so the stall timeout must start here."""
    driver = start_file_get()
    driver.feed(f"{PASS} ".encode())
    assert vos.CanLogIn() in driver.feed(b"\r\nConnecting to 192.0.2.5\r\n")


REFUSED = [
    f"Sorry, try again. {PASS} \r\n",
    "Sorry, try again.\r\n[sudo] password for administrator: \r\n",
    "Permission denied, please try again. cucmd-7f@192.0.2.5's password: \r\n",
    f"Login incorrect\r\n{PASS} \r\n",
    f"Wrong password {PASSWORD}\r\n",
]


@pytest.mark.parametrize("shown", ["", "*********\r\n", f"*********\r\n{DIRECTORY} /in\r\n"])
@pytest.mark.parametrize("words", REFUSED)
def test_refused_password_is_not_typed_again(words: str, shown: str) -> None:
    before = [GATHERING, SIZES, HOST, PORT, USER, f"{PASS} {shown}"]
    events = at_every_split(bytes_of([*before, words * 5]))
    [(code, message)] = failed(events)
    assert code == Code.RECEIVER_REJECTED
    assert PASSWORD not in message
    assert [event.shown for event in events if isinstance(event, Send)].count("*****") == 1


def test_same_words_before_password() -> None:
    events = at_every_split(bytes_of([*NORMAL[:-4], f"Sorry, try again. {PASS} \r\n", COMPLETED]))
    assert completed(events)


@pytest.mark.parametrize(
    "words",
    [
        "Failed to add the host to the list of known hosts: Permission denied\r\n",
        "Slow network, will try again\r\n",
    ],
)
def test_other_words_refuse_no_password(words: str) -> None:
    assert completed(at_every_split(bytes_of([*NORMAL[:-2], words, COMPLETED])))
