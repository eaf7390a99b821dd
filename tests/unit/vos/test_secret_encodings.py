"""Passwords with characters beyond ASCII are masked, whatever encoding the node uses."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.vos.secrets import MASK, Secrets
from unit.vos.driver import Log

PASSWORDS = ["pässwört", "élan-vital", "Grüße", "secretÜ", "£pound£", "mañana€99", "日本-ключ-ä"]


def in_latin_1(text: str) -> bytes:
    return text.encode("latin-1", "replace")


WRITTEN = {
    "UTF-8": str.encode,
    "Latin-1": in_latin_1,
    "Windows-1252": lambda text: text.encode("cp1252", "replace"),
    "Latin-9": lambda text: text.encode("iso8859-15", "replace"),
    "ASCII": lambda text: text.encode("ascii", "replace"),
    "UTF-8 taken for Latin-1": lambda text: text.encode().decode("latin-1").encode(),
    "UTF-8 with an escape sequence after each byte": lambda text: b"".join(
        bytes([byte]) + b"\x1b[0m" for byte in text.encode()
    ),
}


def transcript(secret: str, *parts: bytes) -> str:
    """Returns what the node has said, without the times."""
    log = Log((secret,))
    text = "".join(log.received(part, "1") for part in parts) + log.flush()
    return text.removeprefix("1 < ").removesuffix("\n")


def splits(data: bytes) -> Iterator[tuple[bytes, ...]]:
    yield (data,)
    yield tuple(bytes([byte]) for byte in data)
    for cut in range(1, len(data)):
        yield data[:cut], data[cut:]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("secret", PASSWORDS)
def test_masks_at_every_split(secret, written):
    for parts in splits(b"it is <" + WRITTEN[written](secret) + b">, you know"):
        assert transcript(secret, *parts) == f"it is <{MASK}>, you know", parts


@pytest.mark.parametrize("secret", PASSWORDS)
@pytest.mark.parametrize(("before", "after"), [("«", "»"), ("Ã", "§"), ("é", "é"), ("â", "€")])
def test_masks_beside_other_letters(secret, before, after):
    """A byte of it may make one character with a byte beside it, if both are read as UTF-8."""
    data = f"it is {before}{secret}{after}".encode("cp1252", "replace")
    for parts in splits(data):
        shown = transcript(secret, *parts)
        rest = shown.removeprefix("it is").replace(MASK, "")
        assert MASK in shown
        assert not any(char.isascii() and char.isalnum() for char in rest), shown


def test_masks_where_text_is_cut():
    said = in_latin_1("a question about pässwört:").decode("utf-8", "replace")
    cut = said.index("ssw")
    assert Secrets(("pässwört",)).mask(said, cut) == f"{MASK}:"


def test_shows_other_text():
    assert transcript("pässwört", "Grüße: päss, wört\r\n??".encode()) == "Grüße: päss, wört\n1 < ??"
    assert transcript("äöü", b"??? aou") == "??? aou"


@given(secret=st.text("aäÜ£", min_size=2, max_size=6), around=st.text("bé§", max_size=4))
def test_shows_no_letter_of_secret(secret, around):
    for encoding in ("utf-8", "latin-1"):
        data = f"{around}{secret}{around}".encode(encoding)
        for parts in splits(data):
            assert "a" not in transcript(secret, *parts)
