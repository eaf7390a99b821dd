"""What the hub keeps in its file."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmd.job.work import StartRequest
from cucmd.job.work_request import Commands, Login
from cucmd.store import StartKey
from cucmfleet.hub_file import HubFile
from cucmfleet.messages import Asked, Command

REQUEST = StartRequest(("berlin/a", "munich/b"), Login(), commands=Commands(("show status",)))
ASKED = Asked("0123456789ab", datetime(2026, 12, 1, tzinfo=UTC), REQUEST, 0, "root")
COMMANDS = [Command(0, site, ASKED.job_id, "root", start=REQUEST) for site in ("berlin", "munich")]
KEY = StartKey(0, "k", "digest")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[HubFile]:
    with closing(HubFile(tmp_path / "hub.db")) as file:
        yield file


def numbers(found: tuple[list[Asked], list[Command]]) -> list[int]:
    return [command.number for command in found[1]]


async def test_commands_are_sent_once(file: HubFile) -> None:
    await file.add(COMMANDS, ASKED)
    assert (await file.to_send())[0] == [ASKED]
    await file.job_sent(ASKED.job_id)
    await file.command_sent(1)
    assert numbers(await file.to_send()) == [2]


async def test_full_site_is_skipped(file: HubFile) -> None:
    await file.add(COMMANDS, ASKED)
    assert numbers(await file.to_send({"berlin"})) == [2]


async def test_lost_stream_gets_what_is_not_done(file: HubFile) -> None:
    await file.add(COMMANDS, ASKED)
    await file.job_sent(ASKED.job_id)
    for number in (1, 2):
        await file.command_sent(number)
    await file.done(ASKED.job_id, "berlin", 1)
    await file.forget_sent(commands=True)
    assert numbers(await file.to_send()) == [2]
    await file.forget_sent(jobs=True)
    assert (await file.to_send())[0] == [ASKED]


async def test_key_finds_its_job(file: HubFile) -> None:
    assert await file.find_key(KEY) is None
    await file.add(COMMANDS, ASKED, KEY)
    assert await file.find_key(KEY) == ("digest", ASKED.job_id)
    assert await file.jobs() == [ASKED]


async def test_file_is_read_again(file: HubFile, tmp_path: Path) -> None:
    await file.add(COMMANDS, ASKED)
    await file.keep_end(ASKED.job_id, "berlin", 1)
    await file.keep_stream_created("CMD", "now")
    with closing(HubFile(tmp_path / "hub.db")) as again:
        assert await again.jobs() == [ASKED]
        assert await again.ends() == {(ASKED.job_id, "berlin"): 1}
        assert await again.stream_created("CMD") == "now"
