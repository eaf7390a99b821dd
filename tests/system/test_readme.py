"""Pastes the session of the README into a shell, up to each question for a password.

Its programs are the installed ones. Its ports are fixed, so only one such test can run at a time.
"""

import gzip
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cucmctl import Client
from system.ctl.terminal import Terminal

README = Path(__file__).parents[2] / "README.md"
SESSION, LATER = re.findall(
    r"```console\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL
)
QUESTION = "Password of administrator on the nodes:"
PATIENCE = 120.0


def typed(block: str) -> str:
    """Returns the lines that a person types: those with a prompt, and their continuations."""
    return "".join(re.findall(r"^\$ ((?:.*\\\n)*.*\n)", block, flags=re.MULTILINE))


class Shell(Terminal):
    """An interactive shell that prints the exit code of each command."""

    def __init__(self, environ: dict[str, str]) -> None:
        marks = {**environ, "TERM": "dumb", "PROMPT_COMMAND": 'echo "exit code $?."'}
        super().__init__(["/bin/bash", "--norc", "--noprofile", "-i"], marks, 200, 50)

    def codes(self) -> list[int]:
        return [int(code) for code in re.findall(r"exit code (\d+)\.", self.raw)]

    def until_codes(self, count: int) -> list[int]:
        self.read_until(lambda: len(self.codes()) >= count, PATIENCE)
        return self.codes()

    def answer(self, count: int, password: str) -> None:
        """Types the password when the question has come for the `count`th time."""
        self.read_until(lambda: self.raw.count(QUESTION) >= count, PATIENCE)
        self.type(f"{password}\n")


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Keeps the daemon away from the folders of the user who runs the test."""
    with TemporaryDirectory(prefix="cucmd-") as short:
        yield {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "STATE_DIRECTORY": str(tmp_path / "state"),
            "CUCMD_SOCKET": f"{short}/cucmd.sock",
        }


def test_session_can_be_pasted(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second, third = map(typed, SESSION.split(QUESTION))
    shell = Shell(environ)
    try:
        shell.until_codes(1)
        shell.type(first)
        shell.answer(1, "lab-password")
        assert shell.until_codes(4)[1:] == [0, 0, 0]  # the nodes, the daemon, start
        shell.type(second)
        shell.answer(2, "lab-password")
        assert shell.until_codes(7)[4:] == [3, 0, 0]  # watch, status, retry
        shell.type(third)
        assert shell.until_codes(10)[7:] == [0, 0, 0]  # files, find, export
        with Client(environ["CUCMD_SOCKET"]) as client:
            (collection, *_) = client.list()
            job = client.status(collection.job_id)
        assert [node.status for node in job.nodes] == ["succeeded"] * 3
        assert all((node.coverage or "").startswith("covers ") for node in job.nodes)
        with zipfile.ZipFile(tmp_path / "case-698123456.zip") as case:
            packed = [name for name in case.namelist() if name.endswith(".gz")]
            assert packed
            for name in packed:
                gzip.decompress(case.read(name))
    finally:
        shell.type(typed(LATER).splitlines()[-1] + "\nwait\nexit\n")
        shell.ended()
        shell.close()
