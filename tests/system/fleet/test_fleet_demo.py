"""Tests `cucmhub demo`: it ends by itself, and removes everything, however it ends."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rig.killed import KILLS, kills
from rig.process import command_line, of_session
from rig.quiet import wait_until

pytestmark = pytest.mark.timeout(240 + 60 * KILLS)  # a demo takes 25 s, and more under load

DEMO = [str(Path(sys.executable).with_name("cucmhub")), "demo"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Yields the folder in which the demo makes its own. Its path is shorter than one of pytest."""
    with TemporaryDirectory(prefix="cucmd-") as folder:
        yield Path(folder)


def start_in(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        DEMO,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.long
def test_demo_ends_by_itself(temporary: Path) -> None:
    with start_in(temporary) as process:
        said, failed = process.communicate(timeout=240)
    assert process.returncode == 0, said + failed
    assert max(map(len, said.splitlines())) <= 80
    assert list(temporary.iterdir()) == []
    wait_until(lambda: not any(map(command_line, of_session(process.pid))))


@pytest.mark.exhaustive
def test_interrupted_demo_leaves_nothing(temporary: Path, dice: random.Random) -> None:
    for _ in kills(lambda: True):
        with start_in(temporary) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0, 25))
            for _ in range(2):  # people press Ctrl-C twice
                process.send_signal(signal.SIGINT)
                time.sleep(dice.uniform(0, 0.01))
            process.communicate(timeout=120)
        assert list(temporary.iterdir()) == []
        # Those of a killed daemon end by themselves.
        wait_until(lambda pid=process.pid: not any(map(command_line, of_session(pid))))


@pytest.mark.exhaustive
def test_killed_demo_leaves_no_process(temporary: Path, dice: random.Random) -> None:
    for _ in kills(lambda: True):
        with start_in(temporary) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0, 25))
            process.kill()
        wait_until(lambda pid=process.pid: not any(map(command_line, of_session(pid))))
