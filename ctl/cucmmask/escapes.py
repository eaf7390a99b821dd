"""Reads and writes what stands for other signs: `%2B` in a URI, and bytes that are no UTF-8.

Names of other encodings, such as Latin-1 or GBK, have bytes that are no UTF-8. When a text is read
with `surrogateescape`, each such byte is a lone surrogate, which is no letter. So it is replaced by
a letter, and then masked like any letter. These letters are of the Inuit, and in no trace. The mask
of one is another one, and thus again one byte.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

# A sign in a parameter of a URI, as in `Refer-To: <sip:1@h?Replaces=1%40192.0.2.1%3Bto-tag%3D2>`.
ESCAPED = re.compile(r"(%[0-9A-Fa-f]{2})")

_BYTES = {0xDC80 + at: 0x1480 + at for at in range(128)}
_LETTERS = {letter: byte for byte, letter in _BYTES.items()}
_BYTE, _LETTER = re.compile("[\udc80-\udcff]"), re.compile("[\u1480-\u14ff]")


def bytes_as_letters(text: str) -> str:
    """Returns a text in which each byte that is no UTF-8 is a letter."""
    return text.translate(_BYTES) if not text.isascii() and _BYTE.search(text) else text


def letters_as_bytes(text: str) -> str:
    """Reverses `bytes_as_letters`."""
    return text.translate(_LETTERS) if not text.isascii() and _LETTER.search(text) else text


def unescaped(word: str) -> tuple[str, set[str]]:
    """Returns a word with signs in place of `%2B` and so on, and the set of these signs.

    A sign that the word also has unescaped stays escaped, so that `escaped` can tell them apart.
    """
    others = ESCAPED.sub("", word)
    if not others.isascii():
        return word, set()
    read = unquote(word, errors="surrogateescape")
    signs = {sign for sign in set(read) - set(others) if sign >= " " and sign != "%"}
    for sign in signs:
        escaped = "".join(map("%{:02x}".format, sign.encode("utf-8", "surrogateescape")))
        word = re.sub(escaped, sign.replace("\\", r"\\"), word, flags=re.IGNORECASE)
    return word, signs


def escaped(text: str, signs: set[str], like: str) -> str:
    """Escapes the signs in a text again: as `%2b` if those of `like` are small, else as `%2B`."""
    is_small = any(sign != sign.upper() for sign in ESCAPED.findall(like))
    write = ("%{:02x}" if is_small else "%{:02X}").format
    return "".join(
        "".join(map(write, sign.encode("utf-8", "surrogateescape")))
        if sign in signs or sign > "\x7f"
        else sign
        for sign in text
    )
