"""A login that nodes refuse is not tried on all of them, in virtual time with scripted nodes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.failure import Code, fail
from cucmd.job import Collect, Job, Phase, Timeouts
from cucmd.jobs.hold_back import Trusted
from cucmd.node.ports import Credentials, NodeTask, Report, Retry
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
    report.phase(Phase.PREPARE)
    return ()


async def logs_in_and_works(task: NodeTask, report: Report) -> tuple[str, ...]:
    report.phase(Phase.LOGIN)
    await trio.sleep(1)
    report.phase(Phase.PREPARE)
    await trio.sleep(10)
    return ()


def codes(job: Job) -> list[str | None]:
    return [
        node.state.failure.code.value if node.status == "failed" else None for node in job.nodes
    ]


async def run(harness: SupervisorHarness, concurrency: int, **fields: object) -> Job:
    return await harness.ended(
        await harness.start(*MANY, concurrency=concurrency, **{"try_all": False, **fields})
    )


@pytest.mark.parametrize("concurrency", [1, 8, 40])
async def test_a_wrong_password_is_tried_on_two_nodes(tmp_path: Path, concurrency: int) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, fails_with(Code.AUTH_FAILED))
        job = await run(harness, concurrency)
        assert harness.contacted == MANY[:2]
        assert codes(job) == ["auth_failed"] * len(MANY)
        assert all(node.attempt == 0 for node in job.nodes[2:])
        assert all("not tried" in node.state.failure.message for node in job.nodes[2:])


@pytest.mark.parametrize("concurrency", [1, 8, 40])
async def test_one_node_with_another_password_does_not_stop_the_others(
    tmp_path: Path, concurrency: int, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, logs_in)
        harness.behaviours["n0"] = fails_with(Code.AUTH_FAILED)
        job = await run(harness, concurrency)
        assert codes(job) == ["auth_failed", *[None] * 11]


async def test_try_all_holds_nothing_back(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, fails_with(Code.AUTH_FAILED))
        await run(harness, 4, try_all=True)
        assert sorted(harness.contacted) == sorted(MANY)


async def test_the_others_go_on_when_the_first_is_logged_in_and_not_when_it_is_done(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, logs_in_and_works)
        began = trio.current_time()
        await run(harness, 40)
        # One login alone, then all the others at once.
        assert trio.current_time() - began == pytest.approx(1 + 11, abs=1)


@pytest.mark.parametrize("code", [Code.CONNECT_TIMEOUT, Code.HOST_KEY_CHANGED, Code.NOT_A_NODE])
async def test_a_node_that_fails_for_another_reason_passes_the_turn(
    tmp_path: Path, code: Code, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, logs_in)
        harness.behaviours |= dict.fromkeys(MANY[:5], fails_with(code))
        job = await run(harness, 8)
        assert codes(job) == [code.value] * 5 + [None] * 7
        assert harness.contacted[:6] == MANY[:6]


async def test_a_node_that_hangs_passes_the_turn_at_its_own_deadline(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = dict.fromkeys(MANY, logs_in)
        harness.behaviours["n0"] = hang
        job = await run(harness, 8, timeouts=Timeouts(node=5))
        # The deadline of the others has not run while they waited.
        assert codes(job) == ["node_timeout", *[None] * 11]


async def test_nodes_that_wait_end_with_their_job(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["n0"] = hang
        job = await run(harness, 8, timeouts=Timeouts(job=5))
        assert codes(job) == ["job_timeout"] * len(MANY)
        assert harness.contacted == ["n0"]


async def test_a_cancel_of_the_one_that_tries_passes_the_turn(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["n0"] = hang
        job_id = await harness.start(*MANY, concurrency=8, try_all=False)
        await harness.running(job_id)
        await harness.supervisor.cancel(job_id, ["n0"])
        job = await harness.ended(job_id)
        assert statuses(job) == ["cancelled", *["succeeded"] * 11]


async def test_a_cancel_of_one_that_waits_is_at_once(tmp_path: Path) -> None:
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


async def test_each_login_is_tried_for_itself(tmp_path: Path) -> None:
    def two_logins(task: NodeTask) -> NodeTask:
        name = "x" if int(task.node[1:]) % 2 else "y"
        return replace(task, login=Credentials(name, "secret"))

    async with supervisor_harness(tmp_path) as harness:
        _each(harness, two_logins)
        harness.behaviours = {
            name: fails_with(Code.AUTH_FAILED) for name in MANY if int(name[1:]) % 2
        }
        job = await run(harness, 8)
        assert codes(job) == [None, "auth_failed"] * 6
        assert [name for name in harness.contacted if int(name[1:]) % 2] == ["n1", "n3"]


async def test_a_credential_that_has_worked_on_the_cluster_is_not_held_back(
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
        # Once it is refused it is held back again.
        harness.behaviours = dict.fromkeys(MANY, fails_with(Code.AUTH_FAILED))
        await run(harness, 1)
        harness.contacted.clear()
        await run(harness, 8)
        assert harness.contacted == MANY[:2]


DOWN = MANY[:5]
CONNECT = 30.0


async def speaks_unless_down(host: str, port: int) -> bool:
    if host in DOWN:
        await trio.sleep_forever()
    return True


async def cannot_be_reached(task: NodeTask, report: Report) -> tuple[str, ...]:
    await trio.sleep(CONNECT)
    raise fail(Code.CONNECT_TIMEOUT, "it is down")


async def test_nodes_that_are_down_do_not_hold_up_the_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path, speaks=speaks_unless_down) as harness:
        harness.behaviours = dict.fromkeys(MANY, logs_in_and_works)
        harness.behaviours |= dict.fromkeys(DOWN, cannot_be_reached)
        began = trio.current_time()
        job = await run(harness, 40)
        assert codes(job) == ["connect_timeout"] * 5 + [None] * 7
        assert harness.contacted[0] not in DOWN
        # One login alone, then all the others at once.
        assert trio.current_time() - began == pytest.approx(1 + CONNECT, abs=1)


async def test_a_wrong_password_is_tried_on_two_nodes_also_beside_some_that_are_down(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path, speaks=speaks_unless_down) as harness:
        harness.behaviours = dict.fromkeys(MANY, fails_with(Code.AUTH_FAILED))
        job = await run(harness, 40)
        assert len(harness.contacted) == 2
        assert not {*harness.contacted} & {*DOWN}
        assert codes(job) == ["auth_failed"] * len(MANY)


@pytest.mark.parametrize("answer", [trio.sleep_forever, trio.lowlevel.checkpoint])
async def test_if_none_speaks_each_is_contacted_all_the_same(
    tmp_path: Path, answer: Callable, autojump_clock: MockClock
) -> None:
    async def speaks(host: str, port: int) -> bool:
        await answer()
        return False

    async with supervisor_harness(tmp_path, speaks=speaks) as harness:
        harness.behaviours = dict.fromkeys(MANY, cannot_be_reached)
        job = await run(harness, 8)
        assert codes(job) == ["connect_timeout"] * len(MANY)
        assert sorted(harness.contacted) == sorted(MANY)


async def test_a_node_that_is_looked_at_is_cancelled_at_once(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path, speaks=speaks_unless_down) as harness:
        harness.behaviours = dict.fromkeys(MANY, hang)
        job_id = await harness.start(*MANY, concurrency=40, try_all=False)
        await harness.running(job_id)
        job, _ = await harness.supervisor.cancel(job_id, DOWN)
        assert statuses(job)[:5] == ["cancelled"] * 5
        await harness.supervisor.cancel(job_id, None)
        await harness.ended(job_id)
        assert len(harness.contacted) == 1


async def test_the_only_node_with_its_login_is_not_looked_at(tmp_path: Path) -> None:
    looked_at = []

    async def speaks(host: str, port: int) -> bool:
        looked_at.append(host)
        return True

    async with supervisor_harness(tmp_path, speaks=speaks) as harness:
        harness.behaviours["n0"] = logs_in
        await harness.ended(await harness.start("n0", try_all=False))
        assert (harness.contacted, looked_at) == (["n0"], [])


def test_another_password_of_the_same_credential_has_not_worked() -> None:
    task = _task("secret")
    trusted = Trusted()
    trusted.add(task)
    assert trusted.has(task)
    assert not trusted.has(_task("another"))


def _task(password: str) -> NodeTask:
    login = Credentials("administrator", password)
    made = NodeTask(
        "x", "a", "a", 22, login, Collect(("x",)), Timeouts(), Retry(1, 1, 1), Path("x")
    )
    return replace(made, credential="lab", cluster="berlin")


async def logged_in(task: NodeTask, report: Report) -> None:
    report.phase(Phase.LOGIN)
    report.phase(Phase.PREPARE)


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
