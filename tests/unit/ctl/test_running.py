"""What runs now, of all jobs, as `top` shows it."""

from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from cucmctl.text.running import Running
from cucmd.protocol.jobs import Job
from rig.figures import STARTED, made_figures
from system.ctl.conftest import make_job, make_node

AT = STARTED + timedelta(minutes=1)


def job(job_id: str, **received: int) -> Job:
    nodes = [
        make_node(name.replace("_", "-"), status="running", phase="transfer", bytes_received=size)
        for name, size in received.items()
    ]
    return msgspec.convert(make_job("running", *nodes, job_id=job_id), Job)


def seen(*looks: tuple[Job, ...]) -> Running:
    running = Running()
    for second, jobs in enumerate(looks):
        running.observe(jobs, made_figures(), float(second))
    return running


def test_fastest_nodes_of_all_jobs_come_first() -> None:
    before = job("1" * 12, slow=0, still=500), job("2" * 12, fast=0)
    after = job("1" * 12, slow=1000, still=500), job("2" * 12, fast=5000)
    nodes = seen(before, after).nodes(AT)
    assert [(one.node, one.rate) for one in nodes] == [("fast", 5000), ("slow", 1000), ("still", 0)]


def test_ended_jobs_are_forgotten() -> None:
    running = seen((job("1" * 12, a=0),), (), (job("1" * 12, a=9000),))
    assert [one.rate for one in running.nodes(AT)] == [0]


def test_silent_node_shows_no_rate() -> None:
    at = datetime.now(AT.tzinfo)
    quiet = replace(job("1" * 12, a=0).nodes[0], heard_at=at - timedelta(seconds=72))
    running = seen((replace(job("1" * 12, a=0), nodes=(quiet,)),))
    assert "silent 1m12s" in [*running.lines(at)][-1]


@pytest.mark.parametrize("rows", [3, 4, 10, 23])
def test_lines_fit_the_screen(rows: int) -> None:
    names = {f"cucm-subscriber-{number}_of_a_large_cluster": number * 10**6 for number in range(40)}
    running = seen((job("1" * 12, **dict.fromkeys(names, 0)),), (job("1" * 12, **names),))
    lines = [*running.lines(AT, rows, columns=80, ascii_only=True)]
    assert len(lines) <= rows
    assert max(map(len, lines)) <= 80
    assert lines[-1] == f"and {40 - max(0, rows - 4)} more"


@pytest.mark.parametrize(("columns", "last"), [(80, "JOB"), (50, "FILES"), (36, "RATE")])
def test_narrow_screens_leave_out_columns(columns: int, last: str) -> None:
    running = seen((job("1" * 12, a_long_name_of_a_node=10**9),))
    lines = [*running.lines(AT, 23, columns=columns)]
    assert lines[2].split()[-1] == last
    assert max(map(len, lines)) <= columns
    coloured = [*running.lines(AT, 23, columns=columns, colour=True)]
    assert f"\x1b[1m{last}" in coloured[2]


def test_narrow_screens_cut_the_heading() -> None:
    lines = [*seen(()).lines(AT, 23, columns=30)]
    assert [len(line) <= 30 for line in lines] == [True, True]
