"""Connects a client to the receiver's request handler, without a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmd.allowance import Quota
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login_files import LoginFiles
from rig.sftp_client import Client, received_by


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Returns a function that opens a session with given limits: `make_client(quota, handles=3)`.

    A second call makes another connection of the same login.
    """
    clients: list[Client] = []
    logins: list[LoginFiles] = []

    def make(quota: Quota | None = None, **limits: int) -> Client:
        allowed = ReceiverLimits(**limits)
        if not logins:
            logins.append(received_by(allowed, quota))
        clients.append(Client(tmp_path / "target", logins[0], allowed))
        return clients[-1]

    before = os.listdir("/proc/self/fd")
    yield make
    for client in clients:
        client.handler.close()
    assert os.listdir("/proc/self/fd") == before, "a descriptor was left open"


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
