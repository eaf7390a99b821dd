"""Measures a hub with many sites on one machine: how late it shows a job, and all memory.

    python tests/bench/fleet.py [--sites 40]

Each site has a daemon and an agent of its own, and two jobs that run all the time. Two further jobs
of each site are started, one after the other. What the hub adds is the time from the call of Start
to the watch that shows the end, without what the site's daemon says that its job took.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # for `rig`

from rig.fleet import CURRENT, Fleet, collect, run
from rig.jobs import in_phase, until
from rig.lab import Lab, running_lab
from rig.process import Child


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sites", type=int, default=40)
    sites = [f"site{number}" for number in range(parser.parse_args().sites)]
    with (
        tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder,
        running_lab(3, "--fault", "3=hang:command") as lab,
        ExitStack() as stack,
    ):
        fleet = Fleet(Path(folder), stack, CURRENT)
        for site in sites:
            fleet.add_site(site)
        fleet.start_nats()
        fleet.start_hub()
        for site in sites:
            fleet.start_daemon(site, lab, checks=False)
            fleet.start_agent(site)
        with fleet.client() as client:
            for site in sites * 2:
                job = collect(client, f"{site}/{lab.nodes[2]}")
                until(client, job.job_id, in_phase("command"))
        for site in sites:  # the first connection takes longer
            _added(fleet, lab, site)
        _print([_added(fleet, lab, site) for site in sites * 2])
        _print_memory(fleet, sites)


def _added(fleet: Fleet, lab: Lab, site: str) -> float:
    """Runs a job. Returns the milliseconds that the hub adds."""
    with fleet.client() as client:
        client.list(limit=1)  # connects
        began = time.perf_counter()
        job = client.wait(run(client, f"{site}/{lab.nodes[0]}").job_id, timeout=120)
        took = time.perf_counter() - began
    assert job.status == "succeeded"
    with fleet.daemons[site].client() as daemon:
        (own,) = daemon.list(labels={"hub": job.job_id})
    return (took - (own.completed_at - own.created_at).total_seconds()) * 1000


def _print(added: list[float]) -> None:
    ranks = statistics.quantiles(added, n=100, method="inclusive")
    figures = f"median {ranks[49]:.0f}, p99 {ranks[98]:.0f}, most {max(added):.0f}"
    print(f"ms that the hub adds: {figures}")


def _print_memory(fleet: Fleet, sites: list[str]) -> None:
    kinds = {
        "nats-server": ["nats"],
        "cucmhub": ["hub"],
        "all cucmagent": sites,
        "all cucmd": [f"{site}.cucmd" for site in sites],
    }
    for kind, names in kinds.items():
        total = sum(_share(fleet.processes[name]) for name in names)
        print(f"MB of {kind}: {total / 1e6:.0f}")


def _share(child: Child) -> int:
    """Returns the memory of a process and its descendants; what several share is divided."""
    total = 0
    for pid in child.tree():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
    return total


if __name__ == "__main__":
    main()
