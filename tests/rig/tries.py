"""Decides how much a test tries: examples of hypothesis, and places where bytes are split.

No test sets a fixed number. The profile of hypothesis decides: a quick run tries less than
`pytest --all`, and `--hypothesis-profile=long` tries more.
"""

from hypothesis import settings

# A quick run splits at every seventh place.
_STRIDE = 7


def tries(usual: int) -> settings:
    """Returns settings with `usual` examples for `--all`; other profiles have fewer or more."""
    return settings(max_examples=max(1, round(usual * _times())))


def split_places(length: int) -> range:
    """Returns the places where `length` bytes are split: all, or some of them in a quick run."""
    return range(1, length, 1 if _times() >= 1 else _STRIDE)


def _times() -> float:
    return settings.default.max_examples / settings.get_profile("shared").max_examples
