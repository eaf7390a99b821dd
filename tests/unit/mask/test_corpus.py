"""Masks corpus.txt: a call in the forms of published traces, with invented values."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from cucmmask.masks import Masks
from cucmmask.text import Text

MASKS = Masks(b"a key of the company")
CORPUS = Path(__file__).with_name("corpus.txt").read_text()
ORIGINALS = re.compile(
    r"(?i:10\.30\.|1e0a|184557066|c4f1aa37|be02|\b7019|\b7104|\b71(?=XX|\[)|305557|\b7999"
    r"|quux|\bzo[eë]|globex|berlin|hq-?pub|hqgw)"
)
# What a call is followed by: times, lines, processes, calls, ports, codecs, methods and causes.
FOLLOWED = re.compile(
    r"^\d{8}\.\d{3} \|[\d:.]+|\w+\((?:\d+,)+\d+\)|\bCI=\d+|TCPPid = \S+|on port \d+ index \d+"
    r"|(?<=\d):\d{4,5}\b|branch=\w+|^(?:INVITE|SIP/2\.0 \d+)|cause=\d+|RTP/AVP.*|CSeq.*|Length: \d+"
    r"|conferenceID=\d+|callReference=\d+|8c66ebf6-\S+|DeviceType=\d+|AppVersion: \S+ \S+",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def masked() -> str:
    collected = Text(MASKS)
    collected.collect(CORPUS)
    return Text(MASKS, collected.found).mask(CORPUS)


def test_corpus_has_originals() -> None:
    assert len(ORIGINALS.findall(CORPUS)) > 100


def test_no_original_is_left(masked: str) -> None:
    assert [line for line in masked.splitlines() if ORIGINALS.search(line)] == []


def test_what_a_call_is_followed_by_stays(masked: str) -> None:
    assert FOLLOWED.findall(masked) == FOLLOWED.findall(CORPUS)


def messages(text: str) -> list[tuple[str, str]]:
    """Returns the Call-ID and the first word or status of each message."""
    found = re.findall(r"^(INVITE|SIP/2\.0 \d+)(?:.*\n)+?Call-ID: (\S+)", text, re.MULTILINE)
    return [(call_id, first) for first, call_id in found]


def test_messages_of_each_call_stay_in_order(masked: str) -> None:
    def calls(text: str) -> list[list[tuple[str, str]]]:
        return [list(one) for _, one in groupby(sorted(messages(text)), lambda pair: pair[0])]

    of_calls = [[first for _, first in call] for call in calls(CORPUS)]
    assert sorted(of_calls) == [["INVITE", "SIP/2.0 180"], ["INVITE", "SIP/2.0 503"]]
    assert sorted([first for _, first in call] for call in calls(masked)) == sorted(of_calls)
    pairs = set(zip(messages(CORPUS), messages(masked), strict=True))
    assert len({before[0] for before, _ in pairs}) == len({after[0] for _, after in pairs}) == 2


def test_lengths_stay_but_of_dotted_addresses(masked: str) -> None:
    dotted = re.compile(r"\d+\.\d+\.\d+\.\d+")
    before, after = (dotted.sub("", text).encode() for text in (CORPUS, masked))
    assert len(before) == len(after)
