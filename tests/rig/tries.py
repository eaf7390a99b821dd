"""How many examples hypothesis tries in a test whose usual number is too small or too large.

The one rule: `--hypothesis-profile=long` makes every test try more, so no test sets a fixed number.
"""

from hypothesis import settings


def tries(usual: int) -> settings:
    """Settings with `usual` examples, multiplied as the profile multiplies those of other tests."""
    times = settings.default.max_examples / settings.get_profile("shared").max_examples
    return settings(max_examples=round(usual * times))
