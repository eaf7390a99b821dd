"""A supervisor with a store in the folder of the test, and nodes that do what a test says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rig.supervised import SupervisorHarness, supervisor_harness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[SupervisorHarness]:
    async with supervisor_harness(tmp_path) as harness:
        yield harness
