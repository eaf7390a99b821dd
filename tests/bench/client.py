"""The wall time of `cucmctl status` beside a Python that does nothing, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rig.daemon import CONFIG, running_daemon

ROUNDS = 30


def run() -> dict[str, Any]:
    """Seconds, medians; `ratio` is the median over the pairs."""
    with (
        tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder,
        running_daemon(Path(folder) / "cucmd", CONFIG, checks=False) as daemon,
    ):
        script = str(Path(sys.executable).with_name("cucmctl"))
        status = [script, "--socket", str(daemon.socket), "status"]
        bare = [sys.executable, "-c", "pass"]
        _seconds(status), _seconds(bare)  # not measured: byte code, page cache
        pairs = [(_seconds(bare), _seconds(status)) for _ in range(ROUNDS)]
    return {
        "bare": statistics.median(bare for bare, _ in pairs),
        "status": statistics.median(status for _, status in pairs),
        "ratio": statistics.median(status / bare for bare, status in pairs),
    }


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
