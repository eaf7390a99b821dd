"""A disk that hangs keeps who writes to it in the kernel, where no signal ends it."""

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


async def test_a_login_can_be_ended_and_other_nodes_push_while_a_disk_hangs(
    receiver: Any,
    open_target: Any,
    openssh: Any,
    until: Any,
    receiving: Any,
    large: Path,
    tmp_path: Path,
) -> None:
    with disk_that_can_hang(tmp_path / "hangs", 64) as disk:
        target = open_target(receiver, "hangs/target", address="127.0.0.1")
        neighbour = open_target(receiver, "neighbour", address="127.0.0.2")
        async with trio.open_nursery() as nursery:
            # 1 MB a second: the disk must not be full before it hangs.
            nursery.start_soon(openssh.sftp, target, f"put {large} a\n", "-l", "8000")
            await until(lambda: target.target.bytes_received > 0)
            with hanging(disk):
                await until(lambda: any(map(waits_for_a_disk, receiving())))
                with trio.fail_after(30):
                    await target.target.aclose()
                files = target.target.files()
                from_another = ("-oBindAddress=127.0.0.2",)
                done = await openssh.sftp(neighbour, "put /etc/hostname a\n", *from_another)
                assert done.returncode == 0, done.stderr
        assert [file.closed for file in files] == [False]
        assert target.target.files() == files
        assert [file.closed for file in neighbour.target.files()] == [True]


async def test_a_cancel_fails_no_other_node(
    receiver: Any,
    open_target: Any,
    openssh: Any,
    until: Any,
    receiving: Any,
    large: Path,
    tmp_path: Path,
) -> None:
    """Both write to a disk that is slow for as long as the cancel takes, as one with snapshots."""
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
                await trio.sleep_until(began + 2.5)  # which was seen
        assert stays.target.refusal is None
        assert [file.closed for file in stays.target.files()] == [True]
        assert [file.closed for file in ends.target.files()] == [False]
