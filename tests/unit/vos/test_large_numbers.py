"""What is read of an answer can be sent in a reply, whatever a node prints."""

import re
from collections.abc import Callable, Iterator
from typing import get_type_hints

import msgspec
import pytest

from cucmd.vos.services import parse_file_list
from unit.vos.test_answers import PARSERS, SAMPLES
from unit.vos.test_file_list import ANSWER

NUMBER = re.compile(r"\d+")
LINES = [(PARSERS[command], lines) for command, lines in SAMPLES.items()]
LINES.append((parse_file_list, ANSWER))


def with_large_numbers(line: str) -> Iterator[str]:
    """Yields the line with one of its numbers made larger, each in turn."""
    for found in NUMBER.finditer(line):
        for digits in (15, 18, 19, 20, 21, 40):
            yield f"{line[: found.start()]}{'9' * digits}{line[found.end() :]}"


@pytest.mark.parametrize(("parser", "lines"), LINES)
def test_no_number_is_too_large_to_send(
    parser: Callable[[list[str]], object], lines: list[str]
) -> None:
    decoder = msgspec.json.Decoder(get_type_hints(parser)["return"])
    for at, line in enumerate(lines):
        for larger in with_large_numbers(line):
            said = parser([*lines[:at], larger, *lines[at + 1 :]])
            assert decoder.decode(msgspec.json.encode(said)) == said
