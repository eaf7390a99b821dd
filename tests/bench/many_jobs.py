"""Writes a database: `python many_jobs.py DATABASE JOBS NODES`. Prints the id of the largest job.

Half of the nodes of that job have failed, each with a different message. The logs of the other
half have gaps.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.coverage import Covered, Gap, LogCoverage, Span
from cucmd.job.job import Job
from cucmd.job.node import Node, Phase
from cucmd.job.timeouts import Timeouts
from cucmd.store import open_store

MINUTE, NOW = timedelta(minutes=1), datetime.now(UTC) - timedelta(hours=1)
PATHS = tuple(f"cm/trace/service{number}/sdl/SDL*.txt" for number in range(12))
SPANS = tuple(
    Span(NOW - MINUTE * (120 - at), NOW - MINUTE * (113 - at)) for at in range(0, 120, 10)
)


def bad_node(number: int) -> Node:
    address = f"10.{number // 250}.7.{number % 250 + 1}"
    node = Node(address, name=f"cucm-site{number}", zone="Europe/Berlin").begin(NOW, 1)
    for place, phase in enumerate([Phase.LOGIN, *[Phase.COMMAND, Phase.TRANSFER] * 9]):
        node = node.enter(phase, NOW + MINUTE * place)
    if number % 2:
        says = f"{address} refused file get activelog {PATHS[0]} after {number} bytes"
        node = node.fail(NOW + MINUTE * 30, failure(tuple(Code)[number % len(Code)], says))
        return node.retry(1).begin(NOW, 2).fail(NOW + MINUTE * 30, node.state.failure)
    gaps = [Gap(path, "middle", seconds=180 + number, at=NOW, until=NOW) for path in PATHS]
    covered = Covered("", tuple(gaps), tuple(LogCoverage(path, SPANS) for path in PATHS))
    notes = (f"the clock of {address} is {number} s ahead",)
    return node.succeed(NOW + MINUTE * 30, notes).with_coverage(covered)


async def write(database: Path, jobs: int, nodes: int) -> None:
    database.parent.mkdir(mode=0o700, parents=True)
    small, large = [Node("10.0.0.1").begin(NOW, 1).succeed(NOW)], list(map(bad_node, range(nodes)))
    async with open_store(database) as store, trio.open_nursery() as nursery:
        for number in range(1, jobs + 1):
            ended = large if number == jobs else small
            work = Collect(PATHS, profile="calls", since=SPANS[0].begin, until=NOW)
            names = tuple(Node(node.node) for node in ended)
            labels = {"case": f"69{number:07}"}
            job = Job(f"{number:012x}", NOW, work, Timeouts(), 9, names, labels=labels).begin(NOW)
            for position, node in enumerate(ended):
                job = job.replace_node(position, node, NOW)
            nursery.start_soon(store.add_job, job)
    print(job.job_id)  # the daemon closes these jobs when it starts


trio.run(write, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
