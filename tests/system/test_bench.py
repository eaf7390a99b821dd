"""`python tests/bench` on a machine that lacks something: it skips that and measures the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

BENCH = Path(__file__).parents[1] / "bench"


def test_a_benchmark_that_cannot_run_here_is_skipped_with_its_reason(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "--json", str(tmp_path / "bench.json")]
    command += ["--only", "receive", "--only", "latency", "--only", "cluster", "--nodes", "2"]
    without_openssh = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(
        command, env=without_openssh, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    skipped = [row[:4] for row in rows if "measured" in row]
    assert skipped == [[name, "not", "measured", "needs"] for name in ("receive", "latency")]
    results = json.loads((tmp_path / "bench.json").read_text())
    assert results["cluster"]["dropped"] == 0
