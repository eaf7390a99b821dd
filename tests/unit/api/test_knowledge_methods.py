"""What callers can ask about clusters, profiles, credentials and kept logins."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.api.knowledge_methods import KnowledgeMethods
from cucmd.config import Config
from cucmd.job.work_request import Login
from cucmd.protocol.knowledge import (
    ClustersRequest,
    Credential,
    CredentialsRequest,
    ForgetLoginRequest,
    KeepLoginRequest,
    ProfilesRequest,
)
from cucmd.store import StoredDiscovery, StoreFailed
from cucmd.varlink import Caller, VarlinkError
from rig.credentials import named_credential
from unit.plan.test_known_clusters import IMP, NOW, PUB, SUB, config, discovery

CALLER = Caller(1000, 1000, frozenset(), 1)


async def unused(extra: object) -> tuple[str, ...]:
    """Stands for a reload, which must not be asked for."""
    raise AssertionError


class Discoveries:
    """Stands for the store."""

    def __init__(self, *kept: StoredDiscovery, error: Exception | None = None) -> None:
        self.kept, self.error = kept, error

    async def discoveries(self) -> tuple[StoredDiscovery, ...]:
        if self.error:
            raise self.error
        return self.kept


def knowledge(
    config: Config, *kept: StoredDiscovery, error: Exception | None = None
) -> KnowledgeMethods:
    return KnowledgeMethods(Discoveries(*kept, error=error), lambda: config, {}, unused)


async def test_clusters_have_nodes_only_by_name(tmp_path: Path) -> None:
    ask = knowledge(config(tmp_path), discovery("pub", PUB, SUB, IMP)).clusters
    berlin, bern = (await ask(CALLER, ClustersRequest())).clusters
    assert (berlin.nodes, berlin.nodes_total, berlin.nodes_configured) == (None, 4, 3)
    assert (berlin.discovered_at, bern.discovered_at) == (NOW, None)
    assert (berlin.publisher_name, bern.publisher_name) == ("pub", None)
    for name in ("berlin", "imp1"):
        (named,) = (await ask(CALLER, ClustersRequest(name))).clusters
        assert [node.node for node in named.nodes or ()] == [
            "PUB",
            "SUB1.example.org.",
            "gone",
            "10.0.0.3",
        ]
    assert (await ask(CALLER, ClustersRequest("berln"))).clusters == ()


async def test_unreadable_store_is_refused(tmp_path: Path) -> None:
    ask = knowledge(config(tmp_path), error=StoreFailed("no")).clusters
    with pytest.raises(VarlinkError) as caught:
        await ask(CALLER, ClustersRequest())
    assert caught.value.name.endswith(".StorageFailed")


async def test_full_disk_says_what_makes_room(tmp_path: Path) -> None:
    full = StoreFailed("no")
    full.__cause__ = sqlite3.OperationalError("database or disk is full")
    full.__cause__.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(VarlinkError) as caught:
        await knowledge(config(tmp_path), error=full).clusters(CALLER, ClustersRequest())
    assert "cucmctl prune" in caught.value.parameters.reason


async def test_profiles(tmp_path: Path) -> None:
    own = '[profiles.mine]\npaths = ["x"]\nlast = "1h"\n'
    ask = knowledge(config(tmp_path, own)).profiles
    everything = (await ask(CALLER, ProfilesRequest())).profiles
    assert {"mine", "callmanager"} <= {one.name for one in everything}
    (mine,) = (await ask(CALLER, ProfilesRequest("mine"))).profiles
    assert (mine.paths, mine.last) == (("x",), "1h")
    assert (mine.products, mine.leaves_out) == (None, None)
    (sip,) = (await ask(CALLER, ProfilesRequest("sip"))).profiles
    assert sip.products == ("Unified CM",)
    assert "callmanager" in (sip.leaves_out or "")
    with pytest.raises(VarlinkError) as caught:
        await ask(CALLER, ProfilesRequest("yours"))
    assert caught.value.name.endswith(".ProfileNotFound")


async def test_credentials_show_no_secret(tmp_path: Path) -> None:
    given = tmp_path / "given"
    more = named_credential(given, "ops", "admin-of-ops", "secret of ops")
    named_credential(given, "free", "admin-of-free", "secret of free")
    (given / "not a name.password").touch()
    more += '[credential.ops]\nclusters = ["berlin"]\n'
    ask = knowledge(config(tmp_path, more)).credentials
    reply = await ask(CALLER, CredentialsRequest())
    assert reply.credentials == (
        Credential("free", tied=False),
        Credential("ops", tied=True, nodes=(), clusters=("berlin",)),
    )
    assert "secret" not in str(reply)
    assert "admin" not in str(reply)


async def test_credentials_without_directory(tmp_path: Path) -> None:
    reply = await knowledge(config(tmp_path)).credentials(CALLER, CredentialsRequest())
    assert reply.credentials == ()
    gone = config(tmp_path, f'[credentials]\ndirectory = "{tmp_path / "gone"}"\n')
    with pytest.raises(VarlinkError) as caught:
        await knowledge(gone).credentials(CALLER, CredentialsRequest())
    assert caught.value.name.endswith(".StorageFailed")


# Kept logins

LOGIN = Login("bob", "secret of bob")


async def kept(ask: KnowledgeMethods, caller: Caller = CALLER) -> list[str]:
    reply = await ask.credentials(caller, CredentialsRequest())
    return [login.target for login in reply.logins or ()]


async def test_kept_login_is_shown_to_its_owner(tmp_path: Path, autojump_clock: MockClock) -> None:
    ask = knowledge(config(tmp_path))
    before = datetime.now(UTC)
    reply = await ask.keep_login(CALLER, KeepLoginRequest(("berlin", "x:2022"), LOGIN))
    berlin, _ = reply.logins
    assert (berlin.target, berlin.username, berlin.accept_nodes) == ("berlin", "bob", None)
    assert timedelta(0) <= berlin.until - before - timedelta(minutes=30) < timedelta(minutes=1)
    assert "secret" not in str(reply)
    for other in (replace(CALLER, uid=1001), replace(CALLER, asked_by="alice")):
        assert await kept(ask, other) == []
        assert (await ask.forget_login(other, ForgetLoginRequest())).forgotten == 0
    assert await kept(ask) == ["berlin", "x:2022"]
    assert (await ask.forget_login(CALLER, ForgetLoginRequest(("X:2022",)))).forgotten == 1
    assert await kept(ask) == ["berlin"]
    await trio.sleep(30 * 60)
    assert await kept(ask) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"login": Login("bob")}, "login"),
        ({"login": Login(credential="lab")}, "login"),
        ({"login": Login(password="secret")}, "login.username"),
        ({"login": Login("bob", "two\nlines")}, "login.password"),
        ({"duration": 0.5}, "duration"),
        ({"duration": 43201}, "duration"),
        ({"nodes": ("../x",)}, "nodes[0]"),
    ],
)
async def test_wrong_login_is_not_kept(
    tmp_path: Path, fields: dict[str, object], wrong: str
) -> None:
    ask = knowledge(config(tmp_path))
    with pytest.raises(VarlinkError) as caught:
        await ask.keep_login(CALLER, replace(KeepLoginRequest(("berlin",), LOGIN), **fields))
    assert caught.value.parameters.parameter == wrong
    assert await kept(ask) == []
