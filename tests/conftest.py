"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

# These machines are shared: how long an example takes says nothing about the code. With CI set the
# answer belongs to the commit and not to the day: the hunt is for those who have time to look.
settings.register_profile(
    "shared",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
)
# `pytest --hypothesis-profile=long`: the longer hunt that the README names.
settings.register_profile(
    "long", settings.get_profile("shared"), max_examples=20_000, derandomize=False
)
settings.load_profile("shared")
