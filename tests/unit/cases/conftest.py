"""A job with files, whose coverage is read in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unit.cases.coverages import Cases, opened


@pytest.fixture
async def cases(tmp_path: Path) -> AsyncIterator[Cases]:
    async with opened(tmp_path) as cases:
        yield cases
