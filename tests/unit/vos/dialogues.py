"""Makes dialogues of `file get`, and plays them at every split of their bytes.

A dialogue is a list of parts. After a part with a question comes the echo of our answer, or nothing
if the node does not echo.
"""

from collections.abc import Iterable
from itertools import pairwise

from cucmd import vos
from cucmd.vos.dialogue_events import Event, Send
from rig.tries import split_places
from unit.vos.driver import PASSWORD, RECEIVER, Driver, at_prompt

GATHERING = "Please wait while the system is gathering files info ...done.\r\n"
SIZES = "Number of files affected: 2\r\nTotal size in Bytes: 2434450\r\n"
COMPLETED = "Transfer completed.\r\n"
DOTS = "...\r\n"

PROCEED = "Would you like to proceed [y/n]?"
PLEASE = "Please answer 'y' for <yes> or 'n' for <no>:"
HOST_KEY = "Are you sure you want to continue connecting (yes/no)?"
HOST, PORT = "SFTP server IP:", "SFTP server port [22]:"
USER, PASS, DIRECTORY = "User ID:", "Password:", "Download directory:"
RECEIVER_QUESTIONS = (HOST, PORT, USER, PASS, DIRECTORY)
ANSWERS = {
    PROCEED: "y",
    PLEASE: "y",
    HOST_KEY: "yes",
    HOST: RECEIVER.host,
    PORT: str(RECEIVER.port),
    USER: RECEIVER.username,
    PASS: RECEIVER.password,
    DIRECTORY: RECEIVER.directory,
}


def bytes_of(parts: Iterable[str], *, echo: bool = True) -> bytes:
    """Returns the bytes of a node, from the echo of the command to its prompt."""
    text = "file get activelog cm/trace/ccm/sdl reltime hours 2\r\n" if echo else ""
    for part in parts:
        answer = "*" * len(PASSWORD) if part == PASS else ANSWERS.get(part, "")
        text += f"{part} {answer if echo else ''}\r\n" if part in ANSWERS else part
    return f"{text}\r\nadmin:".encode()


def start_file_get() -> Driver:
    driver = at_prompt()
    driver.type("file get activelog cm/trace/ccm/sdl reltime hours 2")
    driver.events.clear()
    return driver


def play(raw: bytes, cuts: Iterable[int] = ()) -> list[Event]:
    """Returns the events of a `file get` for which `raw` comes in pieces."""
    driver = start_file_get()
    places = [0, *sorted(cuts), len(raw)]
    for begin, end in pairwise(places):
        driver.feed(raw[begin:end])
    assert driver.cli.quiet_after is not None
    driver.quiet()
    assert driver.cli.at_prompt
    return driver.events


def at_every_split(raw: bytes) -> list[Event]:
    """Returns the events of `raw`, which must be the same at every split."""
    events = play(raw)
    assert play(raw, range(1, len(raw))) == events
    for place in split_places(len(raw)):
        assert play(raw, [place]) == events, f"split at {place}"
    return events


def answers(events: Iterable[Event]) -> list[str]:
    return [event.data.decode().strip() for event in events if isinstance(event, Send)]


def completed(events: list[Event]) -> bool:
    last = events[-1]
    return isinstance(last, vos.FileGetDone) and last.completed


NORMAL = (GATHERING, SIZES, PROCEED, *RECEIVER_QUESTIONS, DOTS, COMPLETED)
