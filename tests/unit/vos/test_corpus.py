"""The transcripts of corpus/ give the same events, however their bytes are split."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.dialogue_events import Event
from rig.tries import split_places
from unit.vos.driver import PASSWORD, Driver, byte_by_byte, whole

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.raw"))


def replay(raw: bytes, expected: list[str], split) -> list[str]:
    """Plays `raw`, and types the commands of `expected` at the prompts. Returns the events."""
    driver = Driver(split)
    typed = iter([line.removeprefix("> ") for line in expected if line.startswith("> ")])
    lines: list[str] = []
    *parts, last = raw.split(b"\0")
    for part in parts:
        driver.feed(part)
        driver.quiet()
        lines += shown(driver)
        if driver.cli.at_prompt and (line := next(typed, None)) is not None:
            lines.append(f"> {line}")
            driver.type(line)
    driver.feed(last)
    driver.close()
    return lines + shown(driver)


def shown(driver: Driver) -> list[str]:
    lines = [line(event) for event in driver.events]
    driver.events.clear()
    return lines


def line(event: Event) -> str:
    if isinstance(event, vos.Broken):
        return f"Broken({event.failure.code}: {event.failure.message})"
    return repr(event)


def load(name: str) -> tuple[bytes, list[str]]:
    expected = (CORPUS / f"{name}.events").read_text()
    return (CORPUS / f"{name}.raw").read_bytes(), expected.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_events_of_transcript(name):
    raw, expected = load(name)
    assert replay(raw, expected, whole) == expected


@pytest.mark.parametrize("name", NAMES)
def test_byte_by_byte(name):
    raw, expected = load(name)
    assert replay(raw, expected, byte_by_byte) == expected


@pytest.mark.parametrize("name", NAMES)
def test_split_in_two_at_every_byte(name):
    raw, expected = load(name)
    for position in split_places(max(map(len, raw.split(b"\0")))):
        split = lambda part: (part[:position], part[position:])  # noqa: B023, E731
        assert replay(raw, expected, split) == expected, f"split at {position}"


@given(name=st.sampled_from(NAMES), data=st.data())
def test_split_at_random_places(name, data):
    raw, expected = load(name)
    cuts = sorted(data.draw(st.sets(st.integers(1, 200), max_size=8)))

    def split(part: bytes) -> list[bytes]:
        return [part[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]

    assert replay(raw, expected, split) == expected


@pytest.mark.parametrize("name", NAMES)
def test_events_show_no_secret(name):
    raw, expected = load(name)
    assert PASSWORD not in "".join(replay(raw, expected, whole))
