"""An export whose progress is shown on a terminal."""

import gc
import io
import os
import signal
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cucmctl import Client
from cucmctl.export.received import Export
from cucmctl.main import main
from cucmd.protocol.cases import ExportReply


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """`main` is meant to be called once in a process."""
    threshold, blocked = gc.get_threshold(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    gc.set_threshold(*threshold)


class Terminal:
    """Gives the bytes of a tar, and is closed as the first of them are read."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        self.file = os.fdopen(slave, "w")
        with tarfile.open(fileobj=(tar := io.BytesIO()), mode="w") as packed:
            packed.addfile(tarfile.TarInfo("a"))
        self.length = len(tar.getvalue())
        self._bytes = io.BytesIO(tar.getvalue())

    def receive_bytes(self, size: int, deadline: float) -> bytes:
        if not self._bytes.tell():
            os.close(self._master)
        return self._bytes.read(size)

    def close(self) -> None: ...


def test_a_terminal_that_is_closed_does_not_end_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its shell has let it go on: no signal comes."""
    terminal: Any = Terminal()
    export = Export(terminal, ExportReply("3f2a00112233", terminal.length, 1, 0, 0))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal.file)
    monkeypatch.setattr(Client, "export_files", lambda *_, **__: None)
    monkeypatch.setattr(Client, "export", lambda *_, **__: export)
    assert main(["export", "3f2a", "-o", str(tmp_path / "x.zip")]) == 0
    with suppress(OSError):
        terminal.file.close()
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == ["a"]
