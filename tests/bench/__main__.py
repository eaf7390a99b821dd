"""Measures speed and memory; prints a table, writes JSON.

    python tests/bench [--json FILE] [--only NAME] [--nodes N] [--size MB]

The one rule: whatever is compared is measured in the same run, in turns; the machine's size stands
beside the figures, and nothing here fails because a figure is bad.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # for `rig`

import client
import cluster
import export
import latency
import receive
import record
import starvation
from table import rows_of

MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "receive": lambda args: receive.run(args.size, args.rounds),
    "cluster": lambda args: cluster.run(args.nodes),
    "latency": lambda args: latency.run(args.seconds),
    "client": lambda _: client.run(),
    "record": lambda args: record.run(args.nodes),
    "starvation": lambda _: starvation.run(),
    "export": lambda args: export.run(args.gigabytes, args.exports),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--only", choices=list(MEASURES), action="append")
    parser.add_argument("--nodes", type=int, default=400)
    parser.add_argument("--size", type=int, default=512, metavar="MB")
    parser.add_argument("--gigabytes", type=int, default=6, help="of an export")
    parser.add_argument("--exports", type=int, default=1, help="how often")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=5.0, help="of status calls, each way")
    args = parser.parse_args()
    results: dict[str, Any] = {"machine": machine()}
    for name in args.only or MEASURES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = MEASURES[name](args)
    args.json.write_text(json.dumps(results, indent=1) + "\n")
    for label, value, aim in rows_of(results):
        print(f"{label:<52} {value:>14}  {aim}")
    return 0


def machine() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
