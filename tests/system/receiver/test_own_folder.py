"""What a process that receives may open: what is new, in the folders of its own logins, by asking.

In a file of its own, with a role in place of the daemon's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cucmd.receiver.processes import RECEIVE
from cucmd.worker.workers import Workers, open_workers

REFUSED = " ".join(["ECANCELED"] * 7)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    tests = str(Path(__file__).parents[2])
    roles = {RECEIVE: "rig.worker_roles:reach"}
    async with open_workers(tmp_path, roles, more_modules=tests) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "target"
    made.mkdir()
    (made / "file").write_text("of before")
    (made / "link").symlink_to(tmp_path)
    return made


async def test_it_opens_what_is_new_and_folders_and_nothing_that_is_there(
    receiver: Any,
    folder: Path,
    until: Any,
    connect_until_forked: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = receiver.open_upload_target(folder, name="one")
    await connect_until_forked(receiver.port)
    await until(lambda: caplog.text.count("one: ") == 2)
    said = "folder EEXIST ENOTDIR ENOTDIR file folder folder"
    assert caplog.messages == [f"one: {REFUSED}", f"one: {said}"]
    assert (folder / "file").read_text() == "of before"
    assert sorted(path.name for path in folder.iterdir()) == ["below", "file", "link", "new"]
    await target.aclose()
    assert "forgets: ECANCELED" in caplog.messages


async def test_it_opens_nothing_of_a_login_that_has_ended_nor_of_another_process(
    receiver: Any,
    folder: Path,
    tmp_path: Path,
    until: Any,
    connect_until_forked: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = receiver.open_upload_target(tmp_path / "ended", name="ended")
    await connect_until_forked(receiver.port)
    await until(lambda: caplog.text.count("ended: ") == 2)
    await ended.aclose()
    target = receiver.open_upload_target(folder, name="one", address="127.0.0.1")
    other = receiver.open_upload_target(tmp_path / "other", name="other", address="192.0.2.9")
    await connect_until_forked(receiver.port)
    # Of the first two logins and its own; of its own alone.
    await until(lambda: caplog.text.count("one: ") == 3 + 2)
    assert caplog.messages.count(f"one: {REFUSED}") == 2 + 1
    await until(lambda: caplog.text.count("other: ") == 4)
    for one in (target, other):
        await one.aclose()
    assert caplog.text.count("other: ") == 4, "one process was told of it, that of all addresses"
