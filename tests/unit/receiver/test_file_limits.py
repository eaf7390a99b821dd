"""How many files one login may have, and all logins together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from cucmd.allowance import Quota
from cucmd.failure import Code
from cucmd.receiver.limits import ReceiverLimits, Status
from cucmd.receiver.login_files import ConnectionFiles, FileCount, LoginFiles
from cucmd.receiver.messages import Open

LIMITS = ReceiverLimits(files_total=4, files_share=2)


def fill(login: LoginFiles) -> int:
    """Opens files until one is refused. Returns how many were opened."""
    files = ConnectionFiles(login, LIMITS)
    for number in count():
        request = Open("new file", str(number))
        if files.check_open(request) is not None:
            return number
        files.opened(request)
    raise AssertionError


@pytest.fixture
def logins() -> list[LoginFiles]:
    all_logins = FileCount()
    return [LoginFiles(LIMITS, Quota(), all_logins) for _ in range(2)]


def test_login_has_limited_files(make_client: Callable[..., Any]) -> None:
    client = make_client(files=2)
    for name in (b"a", b"b"):
        assert client.put(name, b"1").status == Status.OK
    assert client.open(b"c").status == Status.FAILURE
    assert not (client.folder / "c").exists()
    refusal = client.received.refusal
    assert refusal.code == Code.QUOTA_EXCEEDED
    assert "limits." not in refusal.hint, "no setting of the configuration changes it"


def test_crowd_leaves_each_login_its_share(logins: list[LoginFiles]) -> None:
    greedy, modest = logins
    assert fill(greedy) == 4
    assert greedy.refusal is not None
    assert greedy.refusal.code == Code.QUOTA_EXCEEDED
    assert fill(modest) == 2


def test_closed_login_counts_no_more(logins: list[LoginFiles]) -> None:
    first, second = logins
    fill(first)
    for _ in range(2):
        first.close()
    first.opened(Open("new file", "later"))
    assert fill(second) == 4
