"""Tests `cucmd` with a standard output that is full or closed: an exit code, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig.process import die_with_parent

PATIENCE = 60
CHECK = "check --config cucmd.toml"
LAB = ["lab", "--nodes", "1", "--port", "0"]


# pytest itself may run without buffers.
BUFFERED = {**os.environ, "PYTHONUNBUFFERED": ""}


def cucmd(folder: Path, *arguments: str, stdout: int) -> tuple[int, str]:
    """Returns the exit code and the standard error."""
    (folder / "cucmd.toml").touch()
    command = [sys.executable, "-m", "cucmd", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=BUFFERED,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [CHECK, " ".join(LAB), "demo"])
def test_full_disk_exits_74(tmp_path: Path, arguments: str) -> None:
    with open("/dev/full", "wb") as full:
        code, said = cucmd(tmp_path, *arguments.split(), stdout=full.fileno())
    assert (code, said.count("\n")) == (74, 1)
    assert said.startswith("cucmd: ")
    assert said.endswith(": No space left on device\n")


def test_closed_reader_exits_141(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert cucmd(tmp_path, *CHECK.split(), stdout=writer) == (141, "")
    finally:
        os.close(writer)


def test_neither_stream_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "cucmd.toml").touch()
    command = [sys.executable, "-m", "cucmd", "check", "--config", str(tmp_path / "cucmd.toml")]
    with open("/dev/full", "wb") as full:
        assert subprocess.call(command, env=BUFFERED, stdout=full, stderr=full) == 74


@pytest.mark.long
def test_lab_goes_on_without_reader() -> None:
    command = [sys.executable, "-m", "cucmd", *LAB, "--report"]
    with subprocess.Popen(
        command,
        env=BUFFERED,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        process.terminate()  # it would print a last report
        assert process.stderr.read() == ""
    assert process.returncode == 0
