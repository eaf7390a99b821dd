"""PURE. A node's words, made fit for a message of ours.

The one rule: text that a node sent goes through a `Mask` and then through `printable` before it
stands in a message; in that order, for what is left of a secret on a cut is not found any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# A node's text -> the same without the secrets that it may have repeated. `str` where we have none.
Mask: TypeAlias = Callable[[str], str]


def printable(text: str, limit: int = 300) -> str:
    """A node's text for a message: one line, no controls, at most `limit` characters.

    A message ends on a terminal; 300 characters tell what there is to tell.
    """
    clean = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "…"
