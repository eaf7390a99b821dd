"""The receiver's request handler and a client, without a network between them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.limits import ReceiverLimits
from rig.sftp_client import Client


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """`make_client(quota, handles=3)`: a session in a target with these limits.

    Called again, it makes another session in the same target.
    """
    clients: list[Client] = []

    def make(quota: Quota | None = None, **limits: int) -> Client:
        allowed = ReceiverLimits(**limits)
        accounting = (
            clients[0].accounting if clients else Accounting("job/node", quota or Quota(), allowed)
        )
        clients.append(Client(tmp_path / "target", accounting, allowed))
        return clients[-1]

    before = os.listdir("/proc/self/fd")
    yield make
    for client in clients:
        client.handler.close()
    assert os.listdir("/proc/self/fd") == before, "a descriptor was left open"


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
