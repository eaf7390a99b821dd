"""What a state directory must look like whatever happened to the daemon: read from outside.

The one rule: nothing of the daemon is used here but its documented layout on disk.
"""

import hashlib
import json
import sqlite3
from pathlib import Path


def manifest(folder: Path) -> list[dict]:
    """The files that the manifest of a job names; none without one."""
    path = folder / "manifest.json"
    return json.loads(path.read_text())["files"] if path.exists() else []


def check_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def check_files(folder: Path) -> None:
    """Every file of the manifest is there with its checksum; every file there is in it."""
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


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
