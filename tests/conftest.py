"""What holds for every test."""

from hypothesis import HealthCheck, settings

# These machines are shared: how long an example takes says nothing about the code.
settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# `pytest --hypothesis-profile=long`: the longer hunt that the README names.
settings.register_profile("long", settings.get_profile("shared"), max_examples=20_000)
settings.load_profile("shared")
