"""Time that has passed for sure: over restarts, other boots, and a file that is of no use."""

from pathlib import Path

import pytest

from cucmd.cases.elapsed import Elapsed, boot_id, boottime


class Machine:
    """`boot` and `now` are those of the kernel."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "elapsed.json"
        self.boot = "one"
        self.now = 1000.0

    def daemon(self, at_least: float = 0.0) -> Elapsed:
        elapsed = Elapsed(self.file, boot=lambda: self.boot, clock=lambda: self.now)
        elapsed.load(at_least)
        return elapsed


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_counts_from_the_first_start(machine: Machine) -> None:
    elapsed = machine.daemon()
    assert elapsed.seconds() == 0
    machine.now += 50
    assert elapsed.seconds() == 50


def test_a_daemon_that_was_down_for_a_while_has_counted_that(machine: Machine) -> None:
    elapsed = machine.daemon()
    machine.now += 50
    elapsed.save()
    machine.now += 500  # it ran on, was killed, and is started again
    assert machine.daemon().seconds() == 550


def test_of_a_machine_that_was_off_only_the_time_since_it_is_on_counts(machine: Machine) -> None:
    elapsed = machine.daemon()
    machine.now += 50
    elapsed.save()
    machine.boot, machine.now = "two", 7.0
    assert machine.daemon().seconds() == 57


def test_without_an_id_of_the_boot_each_start_is_one(machine: Machine) -> None:
    machine.boot = ""
    machine.daemon().save()
    machine.now = 1300.0
    assert machine.daemon().seconds() == 1300


def test_no_start_has_less_than_the_newest_mark(machine: Machine) -> None:
    assert machine.daemon(at_least=90).seconds() == 90
    elapsed = machine.daemon()
    machine.now += 100
    elapsed.save()
    assert machine.daemon(at_least=90).seconds() == 100


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "one", "boottime": 1, "total": -5}'])
def test_a_file_that_is_of_no_use_counts_nothing(machine: Machine, text: str) -> None:
    machine.file.write_text(text)
    assert machine.daemon(at_least=3).seconds() == 3
    machine.daemon(at_least=3).save()
    assert machine.daemon().seconds() == 3


def test_a_clock_of_the_kernel_that_went_back_counts_nothing(machine: Machine) -> None:
    machine.daemon(at_least=9).save()
    machine.now = 4.0
    assert machine.daemon().seconds() == 9


def test_a_full_disk_fails_nothing(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.file.mkdir()
    machine.daemon().save()
    assert "elapsed.json" in caplog.text


def test_the_kernel_has_both() -> None:
    assert boot_id()
    assert 0 < boottime() <= boottime()
