"""A login is kept for one user, some nodes and some time, and nothing else gets it."""

import gc
import logging
import weakref
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.config import Config, InvalidValue, load
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.plan.kept_logins import MOST_TARGETS, KeptLogins, targets_of
from cucmd.plan.planner import Planned, Planner
from cucmd.protocol.jobs import RetryRequest
from rig.asking import plan_retry
from rig.credentials import named_credential
from unit.plan.test_known_clusters import NOW, PUB, SUB, discovery

ME, BOSS = (1000, None), (1000, "boss")
CLUSTERS = '[clusters.berlin]\npublisher = "pub"\nnodes = ["sub"]\n[clusters.bern]\nnodes = ["b"]\n'
KEPT = Login("bob", kept=True)


class Asked:
    """Plans the jobs of users for whom logins are kept."""

    def __init__(self, folder: Path, more: str = "") -> None:
        file = folder / "cucmd.toml"
        file.write_text(CLUSTERS + more)
        self.config: Config = load(file, {})
        self.planner = Planner(self.config, {}, Path("/x").joinpath)
        self.logins = KeptLogins()

    def keep(
        self,
        *names: str,
        owner: tuple[int, str | None] = ME,
        username: str = "bob",
        seconds: float = 60,
        accept_nodes: bool = False,
    ) -> None:
        login = (username, f"secret of {username}")
        targets = targets_of(self.config, names)
        self.logins.keep(owner, targets, login, seconds, accept_nodes=accept_nodes)

    def plan(
        self,
        *nodes: str,
        owner: tuple[int, str | None] = ME,
        login: Login = KEPT,
        **fields: object,
    ) -> Planned:
        request = StartRequest(nodes, login, Collection(paths=("x",)), **fields)
        _, work = request.work()
        found = [discovery("pub", PUB, SUB)]
        kept = self.logins.of(owner)
        return self.planner.plan(nodes, request.login, work, request, found, kept=kept)

    def refused(self, *nodes: str, **fields: object) -> str:
        """Returns the name of the wrong parameter."""
        with pytest.raises(InvalidValue) as caught:
            self.plan(*nodes, **fields)
        return caught.value.parameter


def passwords(planned: Planned) -> list[str]:
    return [task.login.password for task in planned[1] if task]


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


@pytest.mark.parametrize(
    ("kept", "nodes"),
    [(["berlin"], ["berlin"]), (["berlin"], ["SUB:22"]), (["x", "berlin"], ["pub", "X."])],
)
async def test_targets_get_the_login(asked: Asked, kept: list[str], nodes: list[str]) -> None:
    asked.keep(*kept)
    for login in (KEPT, Login(kept=True), Login("bob"), Login()):
        job, tasks = asked.plan(*nodes, login=login)
        assert {task.login.password for task in tasks if task} == {"secret of bob"}
        assert (job.username, job.resumable) == ("bob", False)


@pytest.mark.parametrize(
    ("nodes", "wrong"),
    [
        (["b"], "login"),
        (["pub:2022"], "login"),
        (["berlin", "b"], "login.kept"),
        (["pub", "b", "sub"], "login.kept"),
    ],
)
async def test_no_other_node_gets_it(asked: Asked, nodes: list[str], wrong: str) -> None:
    asked.keep("berlin")
    assert asked.refused(*nodes) == wrong
    assert asked.refused(*nodes, login=Login()) == wrong


async def test_nobody_else_gets_it(asked: Asked) -> None:
    asked.keep("berlin")
    for other in ((1001, None), BOSS, (0, None)):
        assert asked.refused("berlin", owner=other) == "login"
    asked.keep("berlin", owner=BOSS, username="boss")
    assert asked.refused("berlin", login=Login("boss", kept=True)) == "login"
    asked.logins.forget(BOSS, None)
    assert asked.plan("berlin")[0].username == "bob"


async def test_each_node_gets_its_own(asked: Asked) -> None:
    asked.keep("berlin", "bern")
    asked.keep("sub", username="eve")
    assert passwords(asked.plan("pub", "sub", "b", login=Login(kept=True))) == [
        "secret of bob",
        "secret of eve",
        "secret of bob",
    ]
    asked.keep("bern", username="eve")
    assert passwords(asked.plan("b", login=Login())) == ["secret of eve"]


async def test_nodes_of_discovery_need_acceptance(asked: Asked) -> None:
    asked.keep("berlin")
    both = {"discovered": ("berlin",)}
    assert asked.refused("berlin", **both) == "login.kept"
    assert len(passwords(asked.plan("berlin", **both, accept_nodes=True))) == 3
    asked.keep("berlin", accept_nodes=True)
    assert len(passwords(asked.plan("berlin", **both))) == 3


async def test_kept_login_before_credential(tmp_path: Path) -> None:
    """The credential of a cluster is used if the kept login does not cover the whole job, but
    never in place of a password that was kept or typed in.
    """
    more = named_credential(tmp_path, "ops", "ops", "secret of ops")
    more += '[clusters.rome]\nnodes = ["r", "s"]\ncredential = "ops"\n'
    asked = Asked(tmp_path, more)
    asked.keep("r")
    assert passwords(asked.plan("r", login=Login())) == ["secret of bob"]
    assert passwords(asked.plan("r", "s", login=Login())) == ["secret of ops"] * 2
    assert asked.refused("r", "s") == "login.kept"
    job, _ = asked.plan("r")
    with pytest.raises(InvalidValue) as caught:
        plan_retry(asked.planner, job.begin(NOW).cancel(NOW), RetryRequest(job.job_id))
    assert caught.value.parameter == "login"


async def test_retry_uses_the_login(asked: Asked) -> None:
    job, _ = asked.plan("pub", login=Login("bob", "typed"))
    ended = job.begin(NOW).cancel(NOW)
    again = {"names": None, "login": None, "try_all": False}
    asked.keep("pub", username="eve")
    with pytest.raises(InvalidValue):
        asked.planner.plan_retry(ended, **again, kept=asked.logins.of(ME))
    asked.keep("pub")
    retried = asked.planner.plan_retry(ended, **again, kept=asked.logins.of(ME))
    assert (retried[0].resumable, passwords(retried)) == (False, ["secret of bob"])


async def test_time_ends_a_login(asked: Asked, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asked.logins.run)
        asked.keep("berlin", seconds=1800)
        await trio.sleep(1)
        asked.keep("b", seconds=60)
        await trio.sleep(59.9)
        assert len(asked.logins.of(ME)) == 2
        await trio.sleep(0.1)
        assert list(asked.logins.of(ME)) == ["berlin"]
        await trio.sleep(1740)
        assert asked.refused("berlin") == "login"
        assert asked.logins.forget(ME, None) == 0
        nursery.cancel_scope.cancel()


async def test_time_is_kept_without_task(asked: Asked, autojump_clock: MockClock) -> None:
    asked.keep("berlin", seconds=60)
    await trio.sleep(60)
    assert asked.refused("berlin") == "login"


class Secret(str):
    """A text of which can be asked whether any live object still holds it."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("by", ["logout", "refusal", "time"])
async def test_no_object_holds_a_forgotten_password(
    asked: Asked, autojump_clock: MockClock, by: str
) -> None:
    secret = Secret("kept-for-a-while")
    held = weakref.ref(secret)
    targets = targets_of(asked.config, ["pub"])
    asked.logins.keep(ME, targets, ("bob", secret), 60, accept_nodes=False)
    del secret
    planned = asked.plan("pub")
    assert passwords(planned) == [held()]
    match by:
        case "logout":
            asked.logins.forget(ME, None)
        case "refusal":
            planned[1][0].forget_login()
        case "time":
            with trio.move_on_after(61):
                await asked.logins.run()
    del planned  # a job that still runs needs the password until it ends
    gc.collect()
    assert held() is None


async def test_forgetting(asked: Asked) -> None:
    asked.keep("berlin", "b", "c")
    assert asked.logins.forget(ME, ["berlin", "unknown"]) == 1
    assert asked.logins.forget((1001, None), None) == 0
    assert asked.refused("berlin") == "login"
    assert asked.logins.forget(ME, None) == 2


async def test_refusal_forgets_all_of_one_call(asked: Asked) -> None:
    asked.keep("berlin", "b")
    asked.keep("c", owner=BOSS)
    asked.keep("c")
    _, tasks = asked.plan("b")
    tasks[0].forget_login()
    assert list(asked.logins.of(ME)) == [("c", 22)]
    assert asked.logins.of(BOSS)


async def test_number_is_limited(asked: Asked) -> None:
    most = [f"n{number}" for number in range(MOST_TARGETS - 1)]
    asked.keep(*most)
    asked.keep("x", owner=BOSS)
    asked.keep(*most)  # again
    for owner in (ME, BOSS, (1000, "other")):
        with pytest.raises(InvalidValue) as caught:
            asked.keep("y", owner=owner)
        assert caught.value.parameter == "nodes"
    asked.keep("y", owner=(1001, None))


@pytest.mark.parametrize(
    ("names", "wrong"), [([], "nodes"), (["a", "b c"], "nodes[1]"), (["berlin:cups"], "nodes[0]")]
)
async def test_wrong_targets(asked: Asked, names: list[str], wrong: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        asked.keep(*names)
    assert caught.value.parameter == wrong


async def test_password_is_not_shown(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked.keep("berlin")
    job, tasks = asked.plan("berlin")
    shown = f"{asked.logins.of(ME)} {job} {tasks}"
    asked.logins.forget(ME, None)
    assert "bob" in shown
    assert "secret" not in shown + caplog.text
    assert "berlin" in caplog.text
