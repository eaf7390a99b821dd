"""Hooks of pytest: which tests are run, in how many processes, and which of them together.

The one rule: whoever names a test gets it.
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
    _leave_out_what_is_long(config, items)
    for item in items:
        if _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))


def _leave_out_what_is_long(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Unless it was asked for, in whatever way."""
    asked = config.option
    if asked.all or asked.markexpr or asked.keyword or asked.lf or asked.failedfirst:
        return
    named = _named_files(config)
    kept, left_out = [], []
    for item in items:
        long = item.get_closest_marker("long") is not None
        (left_out if long and item.path not in named else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each CPU; none where files are named, so that `-s` shows what they print."""
    if _named_files(config):
        return 0
    return len(os.sched_getaffinity(0))


def _shares_with_its_module(item: pytest.Item) -> bool:
    """Whether a fixture of it is made once for its module: each process would make it again."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    return any(of_one_name[-1].scope == "module" for of_one_name in fixtures)


def _named_files(config: pytest.Config) -> set[Path]:
    """The files that the command line names, with or without a test of theirs."""
    named = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return {path.resolve() for path in named if path.is_file()}
