"""Sets the clock of a node, or of the daemon's machine, while a job runs."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files, manifest
from rig.jobs import SDL, node, start
from rig.lab import Lab

pytestmark = pytest.mark.long

MakeLab = Callable[..., Lab]
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("fault", ["clock-back", "clock-back@0", "clock-ahead"])
def test_node_clock_jumps_between_pushes(daemon: Daemon, make_lab: MakeLab, fault: str) -> None:
    """A node names folders after its clock, so that names come in the wrong order or twice."""
    lab = make_lab(1, "--files", "3", "--fault", fault)
    with daemon.client() as client:
        job = client.wait(start(client, lab, paths=(f"{SDL}/*", SDL), last=None).job_id)
    assert node(job, 0).status == "succeeded"
    files = manifest(Path(job.directory))
    assert len(files) == 6
    assert all(file["complete"] for file in files)
    check_files(Path(job.directory))


class Clock:
    """Sets the daemon's own wall clock a number of seconds off."""

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


def test_clock_jump_deletes_nothing(tmp_path: Path, make_lab: MakeLab, clock: Clock) -> None:
    """The jobs ended before the jump and after it. Two of the starts follow the jump."""
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
                # The end of a job starts the search for too old jobs. So one more job must end.
                made.append(client.wait(start(client, lab).job_id).job_id)
            assert sorted(job.job_id for job in client.list(limit=99)) == sorted(made), restarted
            clock.set(
                timedelta(days=-50 if restarted else 50)
            )  # and the clock of the next start is wrong, too
