"""A hub with two sites, for the tests of a module."""

from collections.abc import Iterator

import pytest

from cucmctl import Client
from rig.fleet import Fleet, running_fleet
from rig.lab import Lab, running_lab
from rig.leftovers import nothing_left_here


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs three nodes. The third hangs when it is to send files."""
    with running_lab(3, "--fault", "3=hang:command") as lab:
        yield lab


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with nothing_left_here(), running_fleet(folder, lab, "berlin", "munich") as fleet:
        yield fleet


@pytest.fixture
def nothing_is_left() -> None:
    """Checks nothing after each test: a test may start programs of the fleet again. What is left is
    checked after the module.
    """


@pytest.fixture
def same_jobs(fleet: Fleet) -> Iterator[None]:
    """Compares the accepted jobs, those of the sites and those of the hub, after the test."""
    yield
    fleet.assert_same_jobs()


@pytest.fixture
def client(fleet: Fleet) -> Iterator[Client]:
    with fleet.client() as client:
        yield client
