"""Says how much is tried in a test: examples of hypothesis, and places where bytes are split.

The profile of hypothesis decides, and no test sets a fixed number: a quick run tries less than
`pytest --all`, and `--hypothesis-profile=long` more.
"""

from hypothesis import settings

# A quick run splits at one place of so many.
_STRIDE = 7


def tries(usual: int) -> settings:
    """Settings with `usual` examples, multiplied as the profile multiplies those of other tests."""
    return settings(max_examples=max(1, round(usual * _times())))


def split_places(length: int) -> range:
    """Says where `length` bytes are split in two: at every place, or at some in a quick run."""
    return range(1, length, 1 if _times() >= 1 else _STRIDE)


def _times() -> float:
    return settings.default.max_examples / settings.get_profile("shared").max_examples
