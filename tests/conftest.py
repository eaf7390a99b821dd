"""Chooses the tests that run, and their processes, examples and signals."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from rig.hooks import (
    is_quick,
    not_ignored_by_children,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_timeout_set_timer,
    pytest_xdist_auto_num_workers,
)

__all__ = [
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_timeout_set_timer",
    "pytest_xdist_auto_num_workers",
]

# The machines are shared, so the time of an example says nothing about the code. If CI is set, each
# run tries the same examples, so that its result depends on the commit only.
settings.register_profile(
    "shared",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
)
# `pytest --hypothesis-profile=long`: the longer search that .github/CONTRIBUTING.md names.
settings.register_profile(
    "long", settings.get_profile("shared"), max_examples=20_000, derandomize=False
)
# A quick run tries a few examples, and `pytest --all` more of them. See rig/tries.py.
settings.register_profile("quick", settings.get_profile("shared"), max_examples=30)
settings.load_profile("shared")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "exhaustive: repeats at length; run by `pytest --long`")
    if config.getoption("long"):
        os.environ.setdefault("CUCMD_KILLS", "20")  # see rig/killed.py
    if is_quick(config) and not config.getoption("--hypothesis-profile", None):
        settings.load_profile("quick")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names long bytes after their argument. Those of a gzip hold the time, and so they would be
    different in each process that runs tests."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(scope="session", autouse=True)
def no_mask_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps the tests away from the key and the map in the home of whoever runs them."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session", autouse=True)
def no_signal_is_ignored() -> Iterator[None]:
    """Sets the signals in the processes that run tests, and not in the one that starts them."""
    with not_ignored_by_children():
        yield
