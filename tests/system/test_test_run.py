"""The hooks of pytest: which tests are left out, and a test that hangs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
Run = Callable[..., str]

SETTINGS = """
[pytest]
addopts = -p rig.hooks -p no:cacheprovider --import-mode=importlib -n0
trio_mode = true
timeout = 60
timeout_method = signal
filterwarnings = error
markers = long: as in ours
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs pytest with our hooks over the tests of a text: what came of each that was run."""

    def run(text: str, *arguments: str) -> str:
        (tmp_path / "pytest.ini").write_text(SETTINGS)
        (tmp_path / "test_some.py").write_text(f"import pytest, time, trio\n{text}")
        command = [sys.executable, "-m", "pytest", "-v", "--tb=no", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        words = [line.split() for line in done.stdout.splitlines()]
        return " ".join(
            f"{line[0].partition('::')[2]}:{line[1].lower()}"
            for line in words
            if len(line) > 1 and line[0].startswith("test_some.py::")
        )

    return run


LONG = """
def test_quick(): pass
@pytest.mark.long
def test_long(): pass
"""


@pytest.mark.long
@pytest.mark.parametrize("asked", ["--all", "test_some.py::test_long", "-m long", ""])
def test_what_is_long_runs_only_where_it_is_asked_for(run: Run, asked: str) -> None:
    assert ("test_long:passed" in run(LONG, *asked.split())) == bool(asked)


BESIDE = """
async def test_first(): await trio.sleep(0)
@pytest.mark.timeout(0.5)
{hangs}
async def test_last(): await trio.sleep(0)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "hangs",
    [
        pytest.param("async def test_hangs(): time.sleep(60)", id="blocked-in-trio"),
        pytest.param(
            "async def test_hangs(autojump_clock):\n  while True: await trio.sleep(1)",
            id="with-a-clock-that-jumps",
        ),
        pytest.param(
            "async def test_hangs():\n"
            "  with trio.CancelScope(shield=True): await trio.sleep_forever()",
            id="not-to-be-cancelled",
        ),
    ],
)
def test_a_test_that_hangs_fails_alone(run: Run, hangs: str) -> None:
    ended = run(BESIDE.format(hangs=hangs))
    assert ended == "test_first:passed test_hangs:failed test_last:passed"
