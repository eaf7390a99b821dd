"""Reads published_outputs.txt: answers of real nodes, each with its source and its command."""

from collections.abc import Iterator
from pathlib import Path

import msgspec


class Output(msgspec.Struct, frozen=True):
    source: str
    command: str
    lines: tuple[str, ...]


def published() -> Iterator[tuple[str, Output]]:
    text = Path(__file__).with_name("published_outputs.txt").read_text(encoding="utf-8")
    for part in text.split("\n=== ")[1:]:
        name, source, command, *lines = part.splitlines()
        head, typed = "source: ", "command: "
        assert source.startswith(head) and command.startswith(typed), name  # noqa: PT018
        yield name, Output(source[len(head) :], command[len(typed) :], tuple(lines))


OUTPUTS = dict(published())
