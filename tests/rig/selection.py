"""Hooks of pytest: which tests are run, in what order, and in how many processes.

A test that is named on the command line is run.
"""

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="run every test; without it those that are marked long run only where they are named",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests that are marked long unless they are asked for; then their files come first.

    A file is run by one process. A long one that came last would run alone.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    left_out = set() if _all_are_asked_for(config) else set(long) - set(_named(config, long))
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    first = {item.path for item in long if item not in left_out}
    items.sort(key=lambda item: item.path not in first)


def is_quick(config: pytest.Config) -> bool:
    """Whether the line of the README, or a folder, is run: no test is asked for by itself."""
    return not (_all_are_asked_for(config) or _named_files(config))


def _all_are_asked_for(config: pytest.Config) -> bool:
    options = ("all", "markexpr", "keyword", "lf", "failedfirst")
    # The last two are the cache's, and are not there with `-p no:cacheprovider`.
    return any(config.getoption(option, default=None) for option in options)


def _named(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    files = _named_files(config)
    return [item for item in items if item.path in files]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for each CPU, for system tests mostly wait; none where files are named, so that `-s`
    shows what they print.
    """
    if _named_files(config):
        return 0
    return 2 * len(os.sched_getaffinity(0))


def _named_files(config: pytest.Config) -> set[Path]:
    """The files that the command line names, with or without a test of theirs."""
    named = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return {path.resolve() for path in named if path.is_file()}
