"""Parses what commands have printed on nodes: what a process does for answers that are long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cucmd.vos.forms import FORMS
from cucmd.vos.services import parse_file_list
from cucmd.worker.forked import Channel
from cucmd.worker.frames import AnswerParsed, ParseAnswer

PARSERS: dict[str, Callable[[Sequence[str]], Any]] = {
    parser.__name__: parser
    for parser in (parse_file_list, *(form.parser for form in FORMS if form.parser))
}

_ASKED = msgspec.msgpack.Decoder(ParseAnswer)


def parse_answers(channel: Channel) -> None:
    """Runs as a process that parses what it is given."""
    while True:
        asked = channel.receive(_ASKED)
        said = PARSERS[asked.parser](asked.lines)
        channel.send(AnswerParsed(msgspec.Raw(msgspec.msgpack.encode(said))))
