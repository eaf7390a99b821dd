"""The verb `export`, with a closed terminal and with odd file names."""

import io
import json
import os
import signal
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

import pytest

from cucmctl import Client
from cucmctl.export.received import Export
from cucmctl.main import main
from cucmd.protocol.cases import ExportReply, Search, VerifyReply, WrongFile
from unit.ctl.conftest import make_job

JOB_ID = "3f2a00112233"
ODD = os.fsdecode(b"caf\xe9")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Restores the signals, which `main` changes because a process calls it only once."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class Daemon:
    """Sends a tar with one file, `a`. `begun` is called as the first bytes are read."""

    def __init__(self) -> None:
        with tarfile.open(fileobj=(tar := io.BytesIO()), mode="w") as packed:
            packed.addfile(tarfile.TarInfo("a"))
        self.length = len(tar.getvalue())
        self._bytes = io.BytesIO(tar.getvalue())
        self.begun: Callable[[], None] = lambda: None

    def receive_bytes(self, size: int, deadline: float) -> bytes:
        if not self._bytes.tell():
            self.begun()
        return self._bytes.read(size)

    def close(self) -> None: ...


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon: Any = Daemon()
    export = Export(daemon, ExportReply(JOB_ID, "x", daemon.length, 1, 0, 0))
    monkeypatch.setattr(Client, "export", lambda *_, **__: export)
    whole: Daemon = daemon
    return whole


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_closed_terminal_does_not_stop_exports(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No signal comes if the shell has disowned the process."""
    master, slave = os.openpty()
    daemon.begun = lambda: os.close(master)
    terminal = os.fdopen(slave, "w")
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stderr(terminal):
        assert main(["export", "3f2a", "-o", str(tmp_path / "x.zip")]) == 0
    with suppress(OSError):
        terminal.close()
    assert names_in(tmp_path / "x.zip") == ["a"]


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("output", [[], ["-o", f"{ODD}.zip"]])
def test_local_names_may_be_any_bytes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: list[str],
) -> None:
    (tmp_path / ODD).mkdir()
    monkeypatch.chdir(tmp_path / ODD)
    assert main(["--json", "export", "3f2a", *output]) == 0
    (made,) = Path().iterdir()
    assert names_in(made) == ["a"]
    said = json.loads(capsys.readouterr().out)["path"]
    assert said == str(made.absolute()).replace("\udce9", "\\xe9")


@pytest.mark.parametrize(
    ("words", "search"),
    [
        ("--found INVITE", Search(text="INVITE")),
        ("--found --number 7021004 --path sdl", Search(number="7021004", path="sdl")),
    ],
)
def test_found_takes_a_search(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, search: Search
) -> None:
    asked: dict[str, Any] = {}
    export = Export(daemon, ExportReply(JOB_ID, "x", daemon.length, 1, 0, 0))
    monkeypatch.setattr(Client, "export", lambda *_, **given: asked.update(given) or export)
    monkeypatch.setattr(Client, "status", lambda *_: make_job())
    assert main(["export", "3f2a", "-o", str(tmp_path / "x.zip"), *words.split()]) == 0
    assert asked["found"] == search


def test_unsearched_files_are_named(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unread = WrongFile("ccm-sub1", "a.gz", "is packed twice")
    reply = ExportReply(JOB_ID, "x", daemon.length, 1, 0, 0, unsearched=1, unread=(unread,))
    monkeypatch.setattr(Client, "export", lambda *_, **__: Export(daemon, reply))
    monkeypatch.setattr(Client, "status", lambda *_: make_job())
    assert main(["export", "3f2a", "-o", str(tmp_path / "x.zip"), "--found", "INVITE"]) == 3
    assert "ccm-sub1: a.gz is packed twice" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--number 7021004", "-i", "--found", "--found a --number 1"])
def test_found_needs_one_search(words: str) -> None:
    assert main(["export", "3f2a", *words.split()]) == 2


@pytest.mark.parametrize(("left_out", "said"), [(0, "no file came"), (2, "--incomplete")])
@pytest.mark.parametrize("output", ["x.zip", "x/", "-"])
def test_nothing_to_export_leaves_nothing(
    daemon: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    left_out: int,
    said: str,
    output: str,
) -> None:
    empty = Export(daemon, ExportReply(JOB_ID, "x", daemon.length, 0, 0, left_out))
    monkeypatch.setattr(Client, "export", lambda *_, **__: empty)
    monkeypatch.chdir(tmp_path)
    assert main(["export", "3f2a", "-o", output]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert list(tmp_path.iterdir()) == []


def test_verify_without_a_file_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Client, "verify", lambda *_: iter([VerifyReply(0, 0, ())]))
    assert main(["verify", "3f2a"]) == 1
    assert "no file" in capsys.readouterr().err
