"""The hooks of pytest: which tests are left out, a test that hangs, and signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.signals import OF_A_TERMINAL, not_ignored_by_children

TESTS = Path(__file__).parents[1]
Run = Callable[..., str]

SETTINGS = """
[pytest]
addopts = -p rig.selection -p rig.time_limit -p no:cacheprovider --import-mode=importlib -n0
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
@pytest.mark.parametrize(
    "asked", ["--all", "test_some.py", "test_some.py::test_long", "-m long", "-k long"]
)
def test_what_is_long_runs_where_it_is_asked_for(run: Run, asked: str) -> None:
    assert "test_long:passed" in run(LONG, *asked.split())


@pytest.mark.long
@pytest.mark.parametrize("asked", [[], ["."], ["-p", "no:cacheprovider"]])
def test_what_is_long_is_left_out_elsewhere(run: Run, asked: list[str]) -> None:
    assert run(LONG, *asked) == "test_quick:passed"


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
        pytest.param("def test_hangs(): time.sleep(60)", id="blocked"),
        pytest.param("async def test_hangs(): await trio.sleep_forever()", id="in-trio"),
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


IGNORED = """
import signal
numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
print([number for number in numbers if signal.getsignal(number) is signal.SIG_IGN])
"""


def test_children_get_the_signals_that_this_process_ignores() -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in OF_A_TERMINAL}
    try:
        with not_ignored_by_children():
            ignored = subprocess.check_output([sys.executable, "-c", IGNORED], text=True)
            for number in OF_A_TERMINAL:
                os.kill(os.getpid(), number)
        assert ignored == "[]\n"
        assert {signal.getsignal(number) for number in OF_A_TERMINAL} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
