"""`AddHostKey` adds the keys that a node shows, unless they replace a known key."""

from dataclasses import dataclass

import pytest

from cucmd.api.host_key_methods import HostKeyMethods
from cucmd.job.node import Node
from cucmd.protocol.knowledge import AddHostKeyRequest, ListHostKeysRequest
from cucmd.varlink import Caller, VarlinkError


@dataclass(frozen=True)
class Key:
    algorithm: str
    fingerprint: str

    def __str__(self):
        return f"{self.algorithm} {self.fingerprint}"


RSA, OTHER_RSA = Key("ssh-rsa", "SHA256:aaa"), Key("ssh-rsa", "SHA256:bbb")
ECDSA, OTHER_ECDSA = (
    Key("ecdsa-sha2-nistp256", "SHA256:ccc"),
    Key("ecdsa-sha2-nistp256", "SHA256:d"),
)


class Known:
    """The known keys of one node. `added` has the keys that were added."""

    def __init__(self, trusted):
        self.trusted = trusted
        self.added = []

    def entries(self):
        return [("10.0.0.3", key) for key in self.trusted] + [("|1|hash|", RSA)]

    def add(self, node, *keys, check=None):
        if check is not None:
            check(self.trusted)
        self.added += keys


def showing(*keys):
    async def scan(host, port):
        return keys

    return scan


async def add(known, scan, key=None):
    caller = Caller(uid=0, gid=0, groups=frozenset(), pid=1)
    await HostKeyMethods(known, scan).add(caller, AddHostKeyRequest("ccm-pub", key))


@pytest.mark.parametrize(
    ("trusted", "shown"),
    [
        ([], [RSA, ECDSA]),
        ([RSA], [RSA]),
        ([RSA], [RSA, ECDSA]),  # as after `accept-new`, which remembers the one of the login
        ([RSA, OTHER_RSA], [OTHER_RSA]),  # both were added
    ],
)
async def test_shown_key_is_added(trusted, shown):
    known = Known(trusted)
    await add(known, showing(*shown))
    assert known.added == [str(key) for key in shown]


@pytest.mark.parametrize(
    ("trusted", "shown", "named"),
    [
        ([RSA], [OTHER_RSA], [RSA, OTHER_RSA]),
        ([RSA], [ECDSA, OTHER_RSA], [RSA, OTHER_RSA]),
        ([RSA], [ECDSA], [RSA, ECDSA]),
        ([RSA, ECDSA], [RSA, OTHER_ECDSA], [ECDSA, OTHER_ECDSA]),
        ([RSA, OTHER_RSA], [ECDSA], [RSA, OTHER_RSA, ECDSA]),
    ],
)
async def test_changed_key_is_not_added(trusted, shown, named):
    known = Known(trusted)
    with pytest.raises(VarlinkError) as raised:
        await add(known, showing(*shown))
    refused = raised.value.parameters
    assert refused.parameter == "node"
    every = (RSA, OTHER_RSA, ECDSA, OTHER_ECDSA)
    assert {key for key in every if key.fingerprint in refused.reason} == set(named)
    assert "forget it" in refused.reason
    assert known.added == []


async def test_key_remembered_meanwhile_counts():
    known = Known([])

    async def scan(host, port):
        known.trusted = [RSA]
        return [OTHER_RSA]

    with pytest.raises(VarlinkError):
        await add(known, scan)
    assert known.added == []


async def test_keys_have_names_of_nodes():
    async def describe(nodes):
        return [Node(node.node, name="cucm-sub2") for node in nodes]

    keys = HostKeyMethods(Known([ECDSA]), showing(), describe)
    listed = (await keys.list(None, ListHostKeysRequest())).host_keys
    assert [(key.node, key.name) for key in listed] == [
        ("10.0.0.3", "cucm-sub2"),
        ("|1|hash|", None),
    ]
