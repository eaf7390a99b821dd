"""While a disk hangs, no signal ends a process that writes to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from rig.small_disk import MIB, disk_that_can_hang, hanging, waits_for_a_disk

pytestmark = pytest.mark.long


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(500 * MIB)
    return path


async def test_cancel_fails_no_other_node(
    receiver: Any,
    open_target: Any,
    openssh: Any,
    until: Any,
    receiving: Any,
    large: Path,
    tmp_path: Path,
) -> None:
    """The disk of two logins hangs during the cancel, as it does while a snapshot is made."""
    with large.open("wb") as file:
        file.truncate(8 * MIB)
    with disk_that_can_hang(tmp_path / "hangs", 64) as disk:
        ends, stays = (open_target(receiver, f"hangs/{name}") for name in ("ends", "stays"))
        async with trio.open_nursery() as nursery:
            for target in (ends, stays):
                nursery.start_soon(openssh.sftp, target, f"put {large} a\n", "-l", "8000")
                await until(lambda: target.target.bytes_received > 0)  # noqa: B023
            with hanging(disk):
                await until(lambda: sum(map(waits_for_a_disk, receiving())) == 2, 30)
                began = trio.current_time()
                await ends.target.aclose()
                await trio.sleep_until(began + 2.5)  # a real disk hung for so long
        assert stays.target.refusal is None
        assert [file.closed for file in stays.target.files()] == [True]
        assert [file.closed for file in ends.target.files()] == [False]
