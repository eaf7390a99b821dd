"""How far a long transfer is, for programs that read lines."""

import io

import pytest

from cucmctl.text.progress_line import LINES, ProgressLine


def test_update_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C between two writes would put the next message in the same line."""
    writes: list[str] = []

    class Recorded(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    monkeypatch.setenv(LINES, "1")
    monkeypatch.setattr("sys.stderr", Recorded())
    ProgressLine("uploading", 100).tell(50)
    assert [text[-1] for text in filter(None, writes)] == ["\n"]
