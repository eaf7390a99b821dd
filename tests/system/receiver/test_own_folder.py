"""A process can open only new files, in the folder of the login that it has presented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.worker_processes import connect_and_tell


@pytest.fixture
def role() -> str:
    return "reach"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "target"
    made.mkdir()
    (made / "file").write_text("of before")
    (made / "link").symlink_to(tmp_path)
    return made


async def test_login_opens_only_new_files(
    receiver: Any, folder: Path, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    target = receiver.open_upload_target(folder, name="one")
    async with connect_and_tell(receiver, target):
        await until(lambda: "reached: " in caplog.text)
    assert caplog.messages == ["reached: folder EEXIST ENOTDIR ENOTDIR file folder folder"]
    assert (folder / "file").read_text() == "of before"
    assert sorted(path.name for path in folder.iterdir()) == ["below", "file", "link", "new"]
    await target.aclose()


async def test_without_login_nothing_is_opened(
    receiver: Any, folder: Path, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that hostile bytes have taken over could otherwise open files for any login."""
    target = receiver.open_upload_target(folder, name="one")
    async with connect_and_tell(receiver, target, password="another"):
        await until(lambda: "has no login" in caplog.text)
    assert target.files() == ()
    assert sorted(path.name for path in folder.iterdir()) == ["file", "link"]
