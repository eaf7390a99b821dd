"""Clocks that are set while a job runs, on the node and on the daemon's machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files, manifest
from rig.jobs import SDL, in_phase, node, start, until
from rig.lab import Lab

pytestmark = pytest.mark.long

MakeLab = Callable[..., Lab]
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("fault", ["clock-back", "clock-back@0", "clock-ahead"])
def test_a_node_whose_clock_is_set_between_two_pushes(
    daemon: Daemon, make_lab: MakeLab, fault: str
) -> None:
    """Its folders are named after its clock, and come in the wrong order, or twice."""
    lab = make_lab(1, "--files", "3", "--fault", fault)
    with daemon.client() as client:
        job = client.wait(start(client, lab, paths=(f"{SDL}/*", SDL), last=None).job_id)
    assert node(job, 0).status == "succeeded"
    files = manifest(Path(job.directory))
    assert len(files) == 6
    assert all(file["complete"] for file in files)
    check_files(Path(job.directory))


class Clock:
    """The daemon's own wall clock; seconds that it is off."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(timedelta())

    def set(self, off: timedelta) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(off.total_seconds()))
        fresh.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def odd(stack: ExitStack, tmp_path: Path, clock: Clock) -> Iterator[Daemon]:
    environ = {"CUCMD_TEST_CLOCK": str(tmp_path / "clock")}
    daemon = running_daemon(tmp_path / "cucmd", CONFIG, environ, module="rig.odd_daemon")
    return stack.enter_context(daemon)


def test_our_clock_set_back_ends_nothing_before_it_began(
    odd: Daemon, make_lab: MakeLab, clock: Clock
) -> None:
    lab = make_lab(2, "--files", "1", "--fault", "2=hang:command")
    with odd.client() as client:
        first = start(client, lab, command=3, connect=3, grace=0.5)
        until(client, first.job_id, lambda job: node(job, 1).phase == "command")
        clock.set(-HOUR)
        first = client.wait(first.job_id)
        second = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        assert [job.job_id for job in client.list()] == [second.job_id, first.job_id]
    assert [node(first, 0).status, node(first, 1).failure.code] == ["succeeded", "command_timeout"]
    for found in (first, *first.nodes, second, *second.nodes):
        assert found.started_at <= found.completed_at
    assert second.created_at < first.created_at - HOUR / 2, "the clock was not set"


def test_our_clock_set_forward_times_nothing_out(
    odd: Daemon, make_lab: MakeLab, clock: Clock
) -> None:
    lab = make_lab(1, "--files", "1", "--size", "400000", "--fault", "trickle@100000")
    with odd.client() as client:
        job = start(client, lab)
        until(client, job.job_id, in_phase("transfer"))
        clock.set(24 * HOUR)
        job = client.wait(job.job_id)
    assert job.status == "succeeded"
    assert job.completed_at - job.started_at > 23 * HOUR, "the clock was not set"


def test_a_clock_that_is_set_by_days_deletes_nothing(
    tmp_path: Path, make_lab: MakeLab, clock: Clock
) -> None:
    """Neither jobs that ended before it nor those that ended meanwhile, over restarts too."""
    lab = make_lab(1, "--files", "1")
    environ = {"CUCMD_TEST_CLOCK": str(tmp_path / "clock")}
    config = CONFIG + "[retention]\ndays = 2\n"
    made: list[str] = []
    offs = (0, 30, -30, 0, 400, 0)
    for restarted in range(2):
        with (
            running_daemon(tmp_path / "cucmd", config, environ, module="rig.odd_daemon") as odd,
            odd.client() as client,
        ):
            for off in offs:
                clock.set(off * 24 * HOUR)
                made.append(client.wait(start(client, lab).job_id).job_id)
                # Its end is followed by a look at what is too old; that of one more is after it.
                made.append(client.wait(start(client, lab).job_id).job_id)
            assert sorted(job.job_id for job in client.list(limit=99)) == sorted(made), restarted
            clock.set(timedelta(days=-50 if restarted else 50))  # and the next start is off, too
