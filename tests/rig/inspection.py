"""Checks what must be true of a state directory at any time, whatever happened to the daemon.

These checks use only the documented layout on disk, and no code of the daemon.
"""

import hashlib
import json
import sqlite3
from pathlib import Path

from rig.quiet import wait_until


def manifest(folder: Path) -> list[dict]:
    """Returns the files in the manifest of a job that has ended; waits until the job is closed.

    Returns an empty list if the job has no folder.
    """
    if not folder.exists():
        return []
    path = folder / "manifest.json"
    wait_until(path.exists)
    return json.loads(path.read_text())


def check_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def check_files(folder: Path) -> None:
    """Asserts that the manifest names each file of a job, and that each complete file is whole."""
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
