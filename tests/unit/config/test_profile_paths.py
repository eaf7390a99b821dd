"""The paths of the built-in profiles are in the notes, and the lab's nodes have their files.

Section 7 of vos/NODES.md names the document that has a path. Section 7.3 has the paths for which no
document is known: profiles list these as `unverified`.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmd import vos
from cucmd.config import Profile
from cucmd.config.profiles import BUILT_IN
from cucmlab.files import EMPTY_FOLDER, Shape, files_of
from cucmlab.selection import CommandRefused, Get, select

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
NOTES = (Path(vos.__file__).parents[1] / "vos/NODES.md").read_text()
EVERY_PATH = [(profile, path) for profile in BUILT_IN.values() for path in profile.paths]
every_path = pytest.mark.parametrize(
    ("profile", "path"), EVERY_PATH, ids=[f"{profile.name} {path}" for profile, path in EVERY_PATH]
)


def rows(section: str) -> list[str]:
    """Reads the first cells of the tables of a section of the notes."""
    text = NOTES.partition(f"# {section} ")[2].partition("\n#")[0]
    return [line.strip("| ").split(" | ")[0] for line in text.splitlines() if line[:2] == "| "]


@every_path
def test_notes_have_the_source_of_a_path(profile: Profile, path: str) -> None:
    if profile.location == "install":
        assert f"path `{path}` (V: " in NOTES
        return
    verified, unverified = (
        [cell for cell in rows(section) if path in re.findall(r"`([^`]+)`", cell)]
        for section in ("7.", "7.3")
    )
    assert len(verified) + len(unverified) == 1
    assert bool(unverified) == (path in profile.unverified)


def collected(profile: Profile, path: str) -> list[str]:
    """Lists the files of a lab node, of any age, that `file get` of the path selects."""
    files = files_of(profile.location, 1, Shape())
    try:
        found = select(files, Get(profile.location, path, recurs=profile.recurs), NOW)
    except CommandRefused:  # the node has no such folder
        return []
    return [file.path for file in found]


@every_path
def test_lab_has_files_of_verified_paths(profile: Profile, path: str) -> None:
    missing = path in profile.unverified or (profile.location, path) == EMPTY_FOLDER
    assert bool(collected(profile, path)) != missing
