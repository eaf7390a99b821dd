"""A login that nodes refuse is not tried on all of them, in virtual time with scripted nodes."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.job.job import Job
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_run import FORGOTTEN
from cucmd.jobs.login_trials import NEXT_AFTER, LoginTrials, WorkingLogins
from cucmd.node.ports import Credentials, NodeTask, Postponed, Report, Retry
from rig.supervised import (
    SupervisorHarness,
    fails_with,
    hang,
    statuses,
    supervisor_harness,
)

MANY = [f"n{number}" for number in range(12)]


async def logs_in(task: NodeTask, report: Report) -> tuple[str, ...]:
    report.phase(Phase.LOGIN)
    report.password()
    report.authenticated()
    return ()


def codes(job: Job) -> list[str | None]:
    return [node.state.failure.code if node.status == "failed" else None for node in job.nodes]


async def run(harness: SupervisorHarness, concurrency: int, **fields: object) -> Job:
    return await harness.ended(
        await harness.start(*MANY, concurrency=concurrency, **{"try_all": False, **fields})
    )


@pytest.mark.parametrize("concurrency", [1, 8, 40])
async def test_wrong_password_reaches_two_nodes(tmp_path: Path, concurrency: int) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, fails_with(Code.AUTH_FAILED))
        job = await run(harness, concurrency)
        assert harness.contacted == MANY[:2]
        assert codes(job) == ["auth_failed"] * len(MANY)
        assert all(node.attempt == 0 for node in job.nodes[2:])
        assert all("not tried" in node.state.failure.message for node in job.nodes[2:])


async def test_waiting_is_shown(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(("n0", "n1"), hang)
        job_id = await harness.start("n0", "n1", "n2", concurrency=8, try_all=False)
        await harness.running(job_id)
        first = (await harness.supervisor.find(job_id)).nodes[2].state
        await trio.sleep(NEXT_AFTER + 1)
        now = (await harness.supervisor.find(job_id)).nodes[2].state
        assert (first.waits_for, now.waits_for) == (("n0",), ("n0", "n1"))
        assert first.waits_since == now.waits_since
        await harness.until(job_id, lambda job: job.nodes[2].settled)
        await harness.supervisor.cancel(job_id, None)


async def test_cancel_of_waiting_node(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["n0"] = hang
        job_id = await harness.start(*MANY, concurrency=8, try_all=False)
        await harness.running(job_id)
        await harness.supervisor.cancel(job_id, ["n3"])
        job = await harness.supervisor.find(job_id)
        assert job.nodes[3].status == "cancelled"
        await harness.supervisor.cancel(job_id, None)
        await harness.ended(job_id)
        assert harness.contacted == ["n0"]


@pytest.mark.parametrize(
    ("code", "forgotten"), [(Code.AUTH_FAILED, 2), (Code.LOGIN_TIMEOUT, 0), (None, 0)]
)
async def test_refused_login_is_not_kept(
    tmp_path: Path, code: Code | None, forgotten: int, autojump_clock: MockClock
) -> None:
    """A node to which the login was not sent does not say that the login was forgotten."""
    calls: list[None] = []
    async with supervisor_harness(tmp_path) as harness:
        _each(harness, lambda task: replace(task, forget_login=lambda: calls.append(None)))
        if code is not None:
            harness.behaviours = dict.fromkeys(MANY, fails_with(code))
        job = await run(harness, concurrency=8)
    hints = [node.state.failure.hint for node in job.nodes if node.status == "failed"]
    assert (len(calls), hints.count(FORGOTTEN)) == (forgotten, forgotten)


# The cluster of the last six nodes, or None if they are given by address only.
OTHERS = pytest.mark.parametrize("others", ["paris", None])


def _of_two_clusters(harness: SupervisorHarness, others: str | None) -> None:
    _each(
        harness,
        lambda task: replace(task, cluster="berlin" if task.node in MANY[:6] else others),
    )


@OTHERS
@pytest.mark.parametrize("concurrency", [1, 8, 40])
async def test_clusters_are_tried_separately(
    tmp_path: Path, concurrency: int, others: str | None, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        _of_two_clusters(harness, others)
        harness.behaviours = dict.fromkeys(MANY[:6], logs_in)
        harness.behaviours |= dict.fromkeys(MANY[6:], fails_with(Code.AUTH_FAILED))
        job = await run(harness, concurrency)
        assert codes(job) == [None] * 6 + ["auth_failed"] * 6
        assert sorted(set(harness.contacted)) == sorted(MANY[:8])


async def test_working_credential_is_not_limited(
    tmp_path: Path,
) -> None:
    def named(task: NodeTask) -> NodeTask:
        return replace(task, credential="lab", cluster="berlin")

    async with supervisor_harness(tmp_path) as harness:
        _each(harness, named)
        harness.behaviours["n0"] = _then(logged_in, fail_auth)
        await run(harness, 8)
        harness.behaviours = {"n0": hang}
        job_id = await harness.start(*MANY, concurrency=8, try_all=False)
        await harness.until(job_id, lambda job: statuses(job).count("succeeded") == 11)
        await harness.supervisor.cancel(job_id, None)
        # The job in which it is refused tries each node, once. Then it is held back again.
        harness.behaviours = dict.fromkeys(MANY, fails_with(Code.AUTH_FAILED))
        harness.contacted.clear()
        await run(harness, 1)
        assert harness.contacted == MANY
        harness.contacted.clear()
        await run(harness, 8)
        assert harness.contacted == MANY[:2]


# Nodes in every order, each with the time after which it does what it does.

TIMEOUT = 60.0
KINDS = ("hangs before", "hangs after", "refuses", "dead", "healthy")


class Account:
    """Notes what nodes see of one login. `right`: whether its password is."""

    def __init__(self, kinds: Sequence[str], *, right: bool) -> None:
        self.tasks = [_task("secret", node) for node in map(str, range(len(kinds)))]
        self.kinds = dict(zip((task.node for task in self.tasks), kinds, strict=True))
        self.right = right
        self.began = trio.current_time()
        self.trials = LoginTrials(self.tasks, WorkingLogins(), try_all=False)
        self.seen = 0  # passwords that were sent before one was accepted
        self.worked_at: float | None = None
        self.failures: dict[str, Failure | None] = {}

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            async with trio.open_nursery() as nodes:
                for task in self.tasks:
                    nodes.start_soon(self._run_node, task)
                    await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    async def _tick(self) -> None:
        while True:
            await trio.sleep(0.5)
            self.trials.give_turns()

    async def _run_node(self, task: NodeTask) -> None:
        while (ending := await self.trials.wait_for_turn(task)) is None:
            ending = None
            try:
                await self._log_in(task)
            except NodeFailed as error:
                ending = error.failure
            except Postponed:
                continue
            finally:
                self.trials.note_end(task, ending)
            break
        self.failures[task.node] = ending

    async def _log_in(self, task: NodeTask) -> None:
        kind = self.kinds[task.node]
        if kind == "dead":
            raise fail(Code.CONNECTION_REFUSED, "dead")
        await trio.sleep(TIMEOUT if kind == "hangs before" else 0.1)
        if kind == "hangs before":
            raise fail(Code.CONNECT_TIMEOUT, "hangs")
        if kind == "slow":  # all of them at the same moment
            await trio.sleep_until(self.began + 20)
        self.trials.permit_password(task)
        self.seen += self.worked_at is None
        await trio.sleep(TIMEOUT if kind == "hangs after" else 0.1)
        if kind == "hangs after":
            raise fail(Code.LOGIN_TIMEOUT, "hangs")
        if kind == "refuses" or not self.right:
            raise fail(Code.AUTH_FAILED, "refused")
        self.trials.note_accepted(task)
        if self.worked_at is None:
            self.worked_at = trio.current_time()


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("kinds", list(itertools.permutations(KINDS)))
async def test_no_account_sees_third_login(
    kinds: tuple[str, ...], autojump_clock: MockClock, *, right: bool
) -> None:
    account = Account((*kinds, "refuses", "healthy"), right=right)
    await account.run()
    assert account.seen <= 2
    assert set(account.failures) == set(account.kinds), "each has ended"


@pytest.mark.parametrize("right", [True, False])
async def test_simultaneous_nodes_are_postponed(autojump_clock: MockClock, *, right: bool) -> None:
    account = Account(["slow"] * 6, right=right)
    await account.run()
    assert account.seen == 2
    refused = [failed for failed in account.failures.values() if failed is not None]
    assert len(refused) == (0 if right else 6)
    assert sum("not tried" in failed.message for failed in refused) == (0 if right else 4)


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("place", range(6))
async def test_healthy_node_is_found_soon(
    after: int, place: int, autojump_clock: MockClock
) -> None:
    kinds = ["hangs before"] * (5 - after) + ["hangs after"] * after
    kinds.insert(place, "healthy")
    account = Account(kinds, right=True)
    began = trio.current_time()
    await account.run()
    assert account.worked_at is not None
    assert account.worked_at - began <= place * (NEXT_AFTER + 0.5) + 1


async def test_silent_nodes_count_as_refusals(
    autojump_clock: MockClock,
) -> None:
    account = Account(["hangs after", "hangs after", "healthy"], right=True)
    await account.run()
    assert account.seen == 2
    assert [failed and failed.code for failed in account.failures.values()] == [
        Code.LOGIN_TIMEOUT,
        Code.LOGIN_TIMEOUT,
        Code.AUTH_FAILED,
    ]
    assert "0 and 1" in str(account.failures["2"])


def test_lost_connection_gets_password_twice() -> None:
    task = _task("secret")
    trials = LoginTrials([task], WorkingLogins(), try_all=False)
    for _ in range(2):
        trials.permit_password(task)
    with pytest.raises(NodeFailed) as caught:
        trials.permit_password(task)
    assert caught.value.failure.code == Code.CONNECTION_LOST, "as the attempts before"


async def test_postponed_node_is_contacted_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def slow(task: NodeTask, report: Report) -> tuple[str, ...]:
        await trio.sleep(NEXT_AFTER * (5 - int(task.node[1:])))  # all ask at about the same time
        report.password()
        await trio.sleep(2)
        report.authenticated()
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY[:4], slow)
        job = await harness.ended(await harness.start(*MANY[:4], concurrency=8, try_all=False))
        assert codes(job) == [None] * 4
        assert len(harness.contacted) > 4


def _task(password: str, node: str = "a") -> NodeTask:
    login = Credentials("administrator", password)
    made = NodeTask(
        "x", node, node, 22, login, Collect(("x",)), Timeouts(), Retry(1, 1, 1), Path("x")
    )
    return replace(made, credential="lab", cluster="berlin")


async def logged_in(task: NodeTask, report: Report) -> None:
    report.password()
    report.authenticated()


async def fail_auth(task: NodeTask, report: Report) -> None:
    raise fail(Code.CONNECTION_LOST, "x")


def _then(*steps: Callable) -> Callable:
    async def behave(task: NodeTask, report: Report) -> tuple[str, ...]:
        for step in steps:
            await step(task, report)
        return ()

    return behave


def _each(harness: SupervisorHarness, change: Callable[[NodeTask], NodeTask]) -> None:
    make = harness.task
    harness.task = lambda job, node: change(make(job, node))
