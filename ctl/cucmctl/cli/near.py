"""PURE. Names that are near to a misspelt one.

At most three are suggested, the nearest first.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST = 3
# A share of equal letters: one wrong letter in four, or two swapped in six.
ALIKE = 0.7


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are like `name`; case does not count."""
    from difflib import get_close_matches  # noqa: PLC0415  # only after a misspelt name

    spelled = {one.lower(): one for one in known}
    return [spelled[one] for one in get_close_matches(name.lower(), spelled, MOST, ALIKE)]


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message: `; did you mean berlin?`, or which names there are, or nothing."""
    names = sorted(known)
    if alike := near(name, names):
        return f"; did you mean {' or '.join(alike)}?"
    if not names or len(", ".join(names)) > 200:
        return ""
    return f"; there are {', '.join(names)}"
