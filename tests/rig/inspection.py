"""Checks of a state directory that must hold at any time, whatever happened to the daemon.

They use only the documented layout on disk, and no code of the daemon.
"""

import hashlib
import json
import sqlite3
from pathlib import Path


def manifest(folder: Path) -> list[dict]:
    """Reads the files in the manifest of a job; none if there is no manifest.

    Of a path the last line counts; a last line without its end is still being written.
    """
    path = folder / "manifest.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return list({file["path"]: file for file in map(json.loads, lines)}.values())


def check_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def check_files(folder: Path) -> None:
    """Asserts that each file in the manifest exists with its checksum, and that no other exists."""
    named = {}
    for file in manifest(folder):
        path = folder / file["path"]
        assert path.stat().st_size == file["size"], f"{path}: not the size in the manifest"
        if file["complete"]:
            assert digest(path) == file["sha256"], f"{path}: not the checksum in the manifest"
        named[path] = file["complete"]
    for path in folder.glob("*/files/**/*"):
        assert path.is_dir() or path in named, f"{path}: in no manifest"
    assert not list(folder.glob(".*.new")), f"{folder}: a leftover"
    lines = folder / "manifest.jsonl"
    assert not lines.exists() or lines.read_bytes()[-1:] in {b"", b"\n"}, "a line without its end"
    assert not (folder / "manifest.json").exists(), "a manifest.json of the first version"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
