"""Whether a node has room for a capture, by its answer to `show status`."""

import pytest

from cucmd.failure import Code
from cucmd.job.capture import Capture
from cucmd.vos import Machine, parse_machine
from cucmd.work.capture import FULL, largest, no_room

MIB = 1024 * 1024


def status(used_percent: int, *, gib: int = 60, name: str = "logging") -> Machine:
    whole = gib * MIB  # KiB
    used = whole * used_percent // 100
    lines = [
        "Host Name    : cucm-pub",
        "Disk/active         19813288K        1234567K       18370776K (94%)",
        f"Disk/{name}       {whole + 3 * MIB}K  {whole - used}K  {used}K ({used_percent}%)",
    ]
    return parse_machine(lines)


@pytest.mark.parametrize("percent", [0, 61, FULL - 1])
def test_a_node_with_room(percent: int) -> None:
    assert no_room(status(percent), Capture("cucmd_x")) is None


@pytest.mark.parametrize("percent", [FULL, 92, 100])
def test_a_node_near_its_low_water_mark(percent: int) -> None:
    failure = no_room(status(percent), Capture("cucmd_x"))
    assert failure is not None
    assert failure.code == Code.COMMAND_REFUSED
    assert failure.hint is not None


def test_what_the_capture_may_take_counts() -> None:
    small = status(80, gib=1)  # 205 MiB are free, 51 MiB until it is too full
    assert no_room(small, Capture("cucmd_x", count=100_000)) is not None
    assert no_room(small, Capture("cucmd_x", count=20_000)) is None
    assert no_room(small, Capture("cucmd_x", count=100_000, size=96)) is None


def test_a_capture_that_is_larger_than_what_is_free() -> None:
    assert no_room(status(0, gib=0), Capture("cucmd_x")) is not None


def test_the_largest_file() -> None:
    assert largest(Capture("x", count=10)) == 10 * (1514 + 16)
    assert largest(Capture("x", count=10, size=96)) == 10 * (96 + 16)
    assert largest(Capture("x", count=10, size=9000)) == 10 * (1514 + 16)


@pytest.mark.parametrize("said", [Machine(), status(10, name="common")])
def test_a_node_that_does_not_say_how_full_it_is(said: Machine) -> None:
    failure = no_room(said, Capture("cucmd_x"))
    assert failure is not None
    assert failure.code == Code.COMMAND_REFUSED
