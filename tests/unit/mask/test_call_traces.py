"""Masks the traces of a cluster, in which a call is followed over two nodes."""

import re
from collections.abc import Iterator

import pytest

from cucmmask.dumps import whole_lines
from cucmmask.masks import Masks
from cucmmask.search import Search
from cucmmask.text import Text
from rig.call_traces import CALL_ID, Traces

MASKS = Masks(b"a key of the company")
# A message begins with its method or status, and its Call-ID follows.
MESSAGE = re.compile(r"^(\w+ sip:|SIP/2\.0 \d+).*?^Call-ID: (\S+)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def traces() -> Traces:
    return Traces().write(20)


@pytest.fixture(scope="module")
def texts(traces: Traces) -> list[str]:
    """The files of both nodes."""
    return [text.decode() for files in traces.files().values() for _, text in sorted(files.items())]


@pytest.fixture(scope="module")
def collected(texts: list[str]) -> Text:
    collected = Text(MASKS)
    for text in texts:
        collected.collect(text)
    return collected


@pytest.fixture(scope="module")
def masked(texts: list[str], collected: Text) -> list[str]:
    masker = Text(MASKS, collected.found)
    return [masker.mask(text) for text in texts]


def test_no_original_is_left(traces: Traces, masked: list[str]) -> None:
    texts = "\n".join(masked).lower()
    for phone in traces.phones:
        assert phone.mac not in texts
        assert not re.search(rf"(?<![\d.]){re.escape(phone.address)}(?![\d.])", texts)
        assert len(phone.number) < 6 or phone.number not in texts
    for node in traces.nodes:
        assert node.name not in texts
        assert bytes(map(int, node.address.split(".")))[::-1].hex() not in texts


def test_search_finds_nothing_with_blanks(texts: list[str], collected: Text) -> None:
    blank = Text(MASKS, collected.found, blank=True)
    search = Search(MASKS, collected.found)
    assert [search.look(blank.mask(text)) for text in texts] == [set()] * len(texts)


def test_search_finds_originals(texts: list[str], collected: Text, traces: Traces) -> None:
    search, unmasked, left = Search(MASKS, collected.found), Text(MASKS), set()
    for text in texts:
        unmasked.collect(text)
        left |= search.look(text) | search.look_marked(unmasked.fresh)
    found = {original for _, original in left}
    of_phones = {part for phone in traces.phones for part in (phone.mac, phone.number)}
    assert of_phones <= found


def messages(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        for match in MESSAGE.finditer(text):
            yield match[1].removesuffix("sip:"), match[2]


def test_messages_of_each_call_stay_in_order(texts: list[str], masked: list[str]) -> None:
    """The same methods follow each other, with Call-IDs that differ where they differed."""
    before, after = list(messages(texts)), list(messages(masked))
    assert [first for first, _ in before] == [first for first, _ in after]
    pairs = {(old, new) for (_, old), (_, new) in zip(before, after, strict=True)}
    assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)
    assert CALL_ID in {old for old, _ in pairs}


def test_pieces_do_not_matter(texts: list[str], collected: Text, masked: list[str]) -> None:
    text, pieces = texts[0], []
    masker = Text(MASKS, collected.found)
    while text:
        end = whole_lines(text[:5000]) or len(text)
        pieces.append(masker.mask(text[:end]))
        text = text[end:]
    assert "".join(pieces) == masked[0]


def test_masks_with_marks_are_the_same(
    texts: list[str], collected: Text, masked: list[str]
) -> None:
    masker = Text(MASKS, collected.found)
    assert [masker.mask(text, Text(MASKS).collect(text)) for text in texts] == masked


def test_lengths_stay_but_of_addresses(texts: list[str], masked: list[str]) -> None:
    dotted = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
    for before, after in zip(texts, masked, strict=True):
        assert len(dotted.sub("", before)) == len(dotted.sub("", after))
