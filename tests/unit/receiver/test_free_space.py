"""A part of the disk stays free, and the disk is looked at rarely while much is free."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB


class Disk:
    def __init__(self) -> None:
        self.free = 100 * MIB
        self.looks = 0

    def fstatvfs(self, _: int) -> SimpleNamespace:
        self.looks += 1
        return SimpleNamespace(
            f_bavail=self.free // 4096, f_frsize=4096, f_blocks=1000 * MIB // 4096
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("os.fstatvfs", disk.fstatvfs)
    return disk


@pytest.mark.parametrize(("floor", "ratio"), [(100 * MIB, 0.0), (0, 0.1), (50 * MIB, 0.1)])
def test_greater_minimum_stays_free(disk: Disk, floor: int, ratio: float) -> None:
    space = FreeSpace(floor, ratio)
    assert space.current_shortage(0) is None
    disk.free -= 4096
    assert re.findall(r"\d+ MiB", space.current_shortage(0) or "") == ["99 MiB", "100 MiB"]


def test_disk_is_read_every_16_mib(disk: Disk) -> None:
    space = FreeSpace(MIB, 0.0)
    for _ in range(64):
        assert space.shortage(0, MIB) is None
    assert disk.looks == 4


def test_bytes_above_minimum_can_be_written(disk: Disk) -> None:
    space = FreeSpace(97 * MIB, 0.0)
    given = 0
    while space.shortage(0, 1000) is None:
        given += 1000
        disk.free -= 1000
    assert 3 * MIB - 1000 - 4096 < given <= 3 * MIB


def test_all_processes_stop_at_the_minimum(disk: Disk) -> None:
    disk.free = 500 * MIB
    processes = [FreeSpace(100 * MIB, 0.0, 33) for _ in range(33)]
    while processes:  # each writes as much as it may in its turn
        for space in tuple(processes):
            if space.shortage(0, 4096):
                processes.remove(space)
            else:
                disk.free -= 4096
    assert disk.free >= 100 * MIB - 33 * 4096


def test_freed_space_is_noticed(disk: Disk) -> None:
    space = FreeSpace(100 * MIB, 0.0)
    disk.free = 0
    assert space.shortage(0, 1)
    assert space.shortage(0, 1)
    disk.free = 101 * MIB
    assert space.shortage(0, 1) is None
