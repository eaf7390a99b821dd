"""How many examples hypothesis tries where its usual number is too few or too many.

The one rule: `pytest --hypothesis-profile=long` is the longer hunt everywhere, so no test says a
number that would win over the profile's.
"""

from hypothesis import settings


def tries(usual: int) -> settings:
    """For a test: `usual` examples, and as many times more as the profile has of others."""
    times = settings.default.max_examples / settings.get_profile("shared").max_examples
    return settings(max_examples=round(usual * times))
