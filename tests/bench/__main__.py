"""Measures speed and memory; prints a table, writes JSON.

    python tests/bench [--json FILE] [--only NAME] [--nodes N ...] [--size MB] [--rounds N]
    python tests/bench --against COMMIT [--short] [--cache FOLDER] ...

Everything that is compared is measured in one run, in turns. Without `--against` the table shows
the size of the machine, and a bad figure does not change the exit code.

With `--against` the program installs that commit and the checkout, both as users install them. It
drives the daemon of each from outside, on simulated nodes of the checkout, and measures one daemon
while the other has nothing to do. Processor time is that of all processes of the daemon, or of the
client and its children. `.ci/run` uses `--short`: the exit code is 1 if the best of three rounds of
the checkout takes more than ALLOWED times the processor time of the commit, in three measurements.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # for `rig`

import client
import export
import find
import logins
import mask
import page
import pushes
import receive
import starvation
import status
import web
from figures import (
    ALLOWED,
    Compared,
    Values,
    align_columns,
    find_slower,
    measure_in_turns,
    rows_of_one,
    rows_of_two,
)
from installed import HERE, CannotInstall, Version, install_checkout, install_commit

# These modules measure any version, from outside.
FROM_OUTSIDE = {
    "logins": logins,
    "receive": receive,
    "pushes": pushes,
    "status": status,
    "client": client,
    "web": web,
    "page": page,
    "export": export,
    "find": find,
    "mask": mask,
}
IN_SHORT = [
    name for name in FROM_OUTSIDE if name not in ("pushes", "page", "export", "find", "mask")
]
ALL = [*FROM_OUTSIDE, "starvation"]

SHORT = {"nodes": [200], "size": 256, "rounds": 3, "seconds": 1.5, "calls": 5}
LONG = {"nodes": [300, 900], "size": 512, "rounds": 5, "seconds": 5.0, "calls": 15}


def main() -> int:
    args = _arguments()
    results: dict[str, Any] = {"machine": describe_machine()}
    try:
        code = _compare(args, results) if args.against else _measure(args, results)
    except CannotInstall as error:
        print(f"tests/bench: {error}", file=sys.stderr)
        return 2
    args.json.write_text(json.dumps(results, indent=1) + "\n")
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__.splitlines()[0])
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--against", metavar="COMMIT", help="measure this too, in turns")
    parser.add_argument("--short", action="store_true", help="in two minutes, with a verdict")
    parser.add_argument("--only", choices=ALL, action="append")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--nodes", type=int, nargs="+", metavar="N", help="of each login figure")
    parser.add_argument("--size", type=int, metavar="MB", help="of what is received or exported")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each is measured")
    parser.add_argument("--seconds", type=float, help="of status calls, each way")
    parser.add_argument("--calls", type=int, help="of a verb of the client, in each round")
    parser.add_argument("--cache", type=Path, default=caches / "cucmd-bench", metavar="FOLDER")
    args = parser.parse_args()
    if args.short and not args.against:
        parser.error("--short compares: it needs --against")
    if args.against and "starvation" in (args.only or ()):
        parser.error("starvation is measured from inside, and of no other version")
    for name, value in (SHORT if args.short else LONG).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


def _measure(args: argparse.Namespace, results: dict[str, Any]) -> int:
    """Measures this version only, as it runs here."""
    size = "{cores} cores, {memory_gib} GiB, Python {python}".format(**results["machine"])
    rows = [(f"machine: {size}", "", "aim")]
    for name in args.only or ALL:
        if name == "starvation":
            results[name] = _announce(name, starvation.run)
            rows += starvation.rows_of(results[name])
            continue
        found = _announce(name, partial(_measure_versions, name, [HERE], args))
        if isinstance(found, str):
            rows.append((name, "not measured", found))
            continue
        rows += rows_of_one(found[0])
        results[name] = {figure.label: values for figure, values in found[0].items()}
    print(*align_columns(rows), sep="\n")
    return 0


def _compare(args: argparse.Namespace, results: dict[str, Any]) -> int:
    """Measures both versions. Returns 1 if the short form finds the checkout too slow."""
    versions = [install_commit(args.against, args.cache), install_checkout(args.cache)]
    rows = [("", *(version.name for version in versions), "ratio", "of the best")]
    slower: list[str] = []
    for name in args.only or (IN_SHORT if args.short else FROM_OUTSIDE):
        measure = partial(_measure_versions, name, versions, args)
        found = _announce(name, measure)
        if isinstance(found, str):
            rows.append((name, "not measured", found, "", ""))
            continue
        compared = Compared(*found)
        rows += rows_of_two(compared)
        results[name] = {
            figure.label: {"base": base, "present": compared.present[figure]}
            for figure, base in compared.base.items()
        }
        if args.short:
            again = partial(_announce, f"{name}, once more", partial(measure, last_first=True))
            slower += [figure.label for figure in find_slower(compared, again)]
    print(*align_columns(rows), sep="\n")
    for label in slower:
        name = versions[0].name
        print(f"more than {ALLOWED} times slower than {name}, three times: {label.strip()}")
    return 1 if slower else 0


def _measure_versions(
    name: str,
    versions: Sequence[Version],
    args: argparse.Namespace,
    *,
    last_first: bool = False,
) -> list[Values] | str:
    """Measures the versions; returns the values of each, or why there are none."""
    if reason := FROM_OUTSIDE[name].reason_to_skip(versions):
        return reason
    with FROM_OUTSIDE[name].prepared(versions, args) as measures:
        return measure_in_turns(measures, args.rounds, last_first=last_first)


def _announce(name: str, measure: Callable[[], Any]) -> Any:
    print(f"{name} ...", file=sys.stderr, flush=True)
    return measure()


def describe_machine() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
