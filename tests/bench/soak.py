"""Runs many jobs on simulated nodes with faults, and cancels some of them at random moments.

    python tests/bench/soak.py [--jobs 10000] [--at-once 48] [--json FILE]

`--jobs 0` goes on until Ctrl-C.

One daemon runs all jobs. After the first jobs and after each tenth the program waits until the
daemon has nothing to do. Then it prints what the daemon holds (memory, Python objects, descriptors,
threads, tasks) and how long `start` and `list` take.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # for `rig`

from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL, start
from rig.lab import Lab, running_lab
from rig.leftovers import Holdings
from rig.quiet import wait_until

QUIET = 12.0  # seconds, in which the daemon returns memory and idle threads end
FAULTS = (
    "3=refuse-login",
    "4=drop:transfer",
    "5=hang:command",
    "6=no-files",
    "7=announce-more",
    "8=drop:login",
)
MORE = """\
connections = 400
sessions_per_node = 8
jobs = 64
queued = 10000
connections_per_uid = 400
watchers_per_uid = 400
[retry]
attempts = 2
base = 0.01
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000, help="0: without end")
    parser.add_argument("--at-once", type=int, default=48)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cucmd-soak-") as folder:
        config = CONFIG.replace("[retry]\nbase = 0.05\n", "") + MORE
        options = [word for fault in FAULTS for word in ("--fault", fault)]
        lab = running_lab(24, "--files", "2", "--size", "1000", *options)
        daemon = running_daemon(Path(folder) / "cucmd", config, checks=False)
        with lab as lab, daemon as daemon:
            rows = Soak(daemon, lab, args.jobs, args.at_once).run()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


class Soak:
    """Starts so many jobs, from `at_once` threads with a client each."""

    def __init__(self, daemon: Daemon, lab: Lab, jobs: int, at_once: int) -> None:
        self._daemon, self._lab, self._jobs, self._at_once = daemon, lab, jobs, at_once
        self._left = jobs
        self._stopped = False
        self._lock = threading.Lock()
        self._starts: list[float] = []
        self._outcomes: Counter[str] = Counter()

    def run(self) -> list[dict[str, Any]]:
        self._batch(min(self._jobs or 50, 50))  # not measured: the first jobs load modules
        rows = [self._row(0)]
        done, step = 0, max(self._jobs // 10, 1) if self._jobs else 1000
        while not self._stopped and (not self._jobs or done < self._jobs):
            count = min(step, self._jobs - done) if self._jobs else step
            done += self._batch(count)
            rows.append(self._row(done))
        print(dict(self._outcomes))
        return rows

    def _batch(self, count: int) -> int:
        """Runs `count` jobs, or fewer after Ctrl-C; returns how many."""
        self._left = count
        self._starts.clear()
        threads = [threading.Thread(target=self._work) for _ in range(self._at_once)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._stopped = True
            for thread in threads:
                thread.join()
        return len(self._starts)

    def _work(self) -> None:
        with self._daemon.client() as client:
            while self._take():
                nodes = random.sample(self._lab.nodes, random.randint(1, 4))
                began = time.perf_counter()
                job = start(client, self._lab, nodes, paths=(SDL,), connect=2, command=2, grace=0.5)
                took = time.perf_counter() - began
                if random.random() < 0.3:
                    cancelled_after = random.random() * 0.3
                    time.sleep(cancelled_after)
                    client.cancel(job.job_id)
                job = client.wait(job.job_id)
                with self._lock:
                    self._starts.append(took)
                    self._outcomes[job.status] += 1

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self._stopped

    def _row(self, done: int) -> dict[str, Any]:
        wait_until(lambda: self._lab.report()["connections_now"] == 0)
        time.sleep(QUIET)
        with self._daemon.client() as client:
            lists = []
            for _ in range(50):
                began = time.perf_counter()
                client.list(limit=20)
                lists.append(time.perf_counter() - began)
        held = Holdings.of(self._daemon)
        row = {
            "jobs": done,
            "memory": self._daemon.memory(),
            "objects": held.objects,
            "descriptors": len(held.descriptors),
            "threads": self._daemon.threads(),
            "tasks": held.tasks,
            "start": statistics.median(self._starts or [math.nan]),
            "list": statistics.median(lists),
        }
        print(
            f"{done:>6} jobs  {row['memory'] / 1e6:5.1f} MB  {row['objects']:>6} objects  "
            f"{row['descriptors']} descriptors  {row['threads']} threads  {row['tasks']} tasks  "
            f"start {row['start'] * 1000:.1f} ms  list {row['list'] * 1000:.2f} ms",
            flush=True,
        )
        return row


if __name__ == "__main__":
    sys.exit(main())
