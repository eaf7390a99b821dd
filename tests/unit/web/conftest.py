"""A hub of event streams."""

from collections.abc import AsyncIterator

import pytest
import trio

from unit.web.event_hub import BEGUN, Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A hub that watches the daemon."""
    async with trio.open_nursery() as nursery:
        hub = Hub(nursery)
        await hub.told(BEGUN)
        yield hub
        nursery.cancel_scope.cancel()
