"""What the handler of a signal raises ends an export, at whatever step of Python's that is."""

from __future__ import annotations

import os
import signal
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from cucmctl.export import files as export_files
from cucmctl.export.files import pack
from cucmd.protocol.cases import ExportedFile
from rig.tries import split_places

if TYPE_CHECKING:
    from typing import Self

PIECE = 64
SIZE = 2 * PIECE  # twice as much as may wait to be written


class Signalled(Exception):
    """The handler raises it."""


class Files:
    """Has what `pack` uses of an `OpenExport`."""

    def __init__(self, path: Path) -> None:
        self.left = 0
        self.open = {os.open(path, os.O_RDONLY)}

    def documents(self) -> Iterator[tuple[ExportedFile, Iterator[bytes]]]:
        yield from ()

    def files(self) -> Iterator[tuple[ExportedFile, int]]:
        for descriptor in sorted(self.open):
            yield ExportedFile(f"{descriptor}.log", SIZE, 0), descriptor

    def close_file(self, descriptor: int) -> None:
        self.open.remove(descriptor)
        os.close(descriptor)

    def at_work(self) -> None: ...

    def close(self) -> None:
        while self.open:
            os.close(self.open.pop())


class Nowhere:
    def raw(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        assert sum(map(len, content)) == member.size


class SignalAt:
    """Raises at one step of this thread: a call, a line or a return, wherever it is.

    came: whether it has. What is raised where a generator is thrown away has no effect.
    """

    def __init__(self, step: int) -> None:
        self.came = False
        self._left = step
        self._before = sys.gettrace()

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, _frame: FrameType, event: str, _argument: object) -> Any:
        if event != "exception" and signal.SIGINT not in signal.pthread_sigmask(
            signal.SIG_BLOCK, []
        ):
            self._left -= 1
            if not self._left:
                self.came = True
                raise Signalled
        return self._trace


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_at_any_step_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_files, "_PIECE", PIECE)
    monkeypatch.setattr(export_files, "_AHEAD", SIZE // 2)
    monkeypatch.setattr(export_files, "_MOST_THREADS", 1)
    (tmp_path / "file").write_bytes(bytes(SIZE))
    for step in split_places(10_000):
        export: Any = Files(tmp_path / "file")
        with suppress(Signalled), SignalAt(step) as interrupting:
            pack(export, Nowhere())
        if not interrupting.came:
            break
        export.close()
    assert not interrupting.came
    assert not export.open
