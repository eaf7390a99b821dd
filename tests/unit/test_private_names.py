"""Libraries whose private names are used: one minor version is allowed."""

import tomllib
from asyncio import selector_events
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from rig.sources import DAEMON


@pytest.mark.parametrize("library", ["asyncssh", "trio-asyncio"])
def test_one_minor_version_is_allowed(library: str) -> None:
    project = tomllib.loads((DAEMON.parent.parent / "pyproject.toml").read_text())["project"]
    bounds = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    major, minor, *_ = map(int, version(library).split("."))
    assert version(library) in bounds[library]
    assert f"{major}.{minor + 1}.0" not in bounds[library]
    assert f"{major}.{minor - 1}.99" not in bounds[library]


def test_asyncio_has_the_name_that_is_set() -> None:
    """How much asyncio reads at once is not documented. Setting another name would do nothing."""
    assert selector_events._SelectorSocketTransport.max_size > 0
