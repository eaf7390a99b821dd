"""A dry run asks a node for the sizes and pushes nothing, on virtual time."""

from pathlib import Path

import pytest
import trio

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code, NodeFailed
from cucmd.job.collect import Collect, DryRun, PathSize, Sizes
from cucmd.work.dry_run import dry_run
from rig.scripted_node import (
    COMPLETED,
    QUESTIONS,
    Answer,
    Node,
    RecordedReport,
    announce,
    appliance,
    by_path,
    matches_nothing,
    node_task,
    scripted,
)
from unit.work.test_cancel_anywhere import cancel_at_every_step


async def sized(
    node: Node,
    folder: Path,
    *paths: str,
    compress: bool = False,
    unverified: tuple[str, ...] = (),
    **fields: object,
) -> tuple[tuple[str, ...], Sizes | None]:
    task = node_task(
        folder, work=DryRun(Collect(paths, compress=compress, unverified=unverified)), **fields
    )
    report = RecordedReport()
    notes = await dry_run(task, task.work, node, report)
    return notes, report.last_sizes


def announces(files: int, size: int) -> Answer:
    """Goes back to the prompt after `n`, and asks on after anything else."""

    async def file_get(node: Node, line: str) -> None:
        await announce(node, files, size, QUESTIONS[:1])
        if node.lines[-1] != "n":
            for question in QUESTIONS[1:]:
                await node.ask(question)

    return file_get


async def asks_at_once(node: Node, line: str) -> None:
    await announce(node, 3, 30, ())
    await node.say(f"{QUESTIONS[1]} ", end="")
    while await node.read_line() != "^C":
        pass


async def asks_unsized(node: Node, line: str) -> None:
    await node.say(f"{QUESTIONS[1]} ", end="")
    while await node.read_line() != "^C":
        pass


async def goes_back_unsized(node: Node, line: str) -> None:
    await node.say("Number of files affected: 3", "40 bytes in all")
    await node.ask(QUESTIONS[0])


async def is_silent(node: Node, line: str) -> None:
    while await node.read_line() != "^C":
        pass


BOTH = by_path(syslog=announces(2, 20), core=announces(1, 5))


async def test_the_sizes_of_every_path_are_said_and_nothing_comes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(BOTH)) as node:
        notes, sizes = await sized(node, tmp_path, "syslog", "core")
        assert notes == ()
        assert sizes == Sizes(
            (PathSize("syslog", 2, 20), PathSize("core", 1, 5)), node.disk_room, fits=True
        )
        assert node.targets == []
        assert [line for line in node.lines if line in ("n", "y", "quit")] == ["n", "n", "quit"]
        assert [entry.name for entry in tmp_path.iterdir()] == ["transcript.log"]


async def test_a_path_without_files_is_a_note(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(by_path(syslog=announces(2, 20), core=matches_nothing))) as node:
        notes, sizes = await sized(node, tmp_path, "syslog", "core")
        assert notes == ("core: no files matched",)
        assert sizes is not None
        assert sizes.paths == (PathSize("syslog", 2, 20),)


async def test_an_unverified_path_without_files_is_no_note(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(by_path(syslog=announces(2, 20), core=matches_nothing))) as node:
        notes, _ = await sized(node, tmp_path, "syslog", "core", unverified=("core",))
    assert notes == ()


async def announces_nothing(node: Node, line: str) -> None:
    await announce(node, 0, 0, ())
    await node.say(COMPLETED)


@pytest.mark.parametrize("answer", [matches_nothing, announces_nothing])
async def test_no_path_with_files_fails_as_a_collection_does(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, answer: Answer
) -> None:
    async with scripted(appliance(answer)) as node:
        with pytest.raises(NodeFailed) as caught:
            await sized(node, tmp_path, "syslog")
    assert caught.value.failure.code == Code.NO_FILES_MATCHED


@pytest.mark.parametrize(
    ("compress", "fits"), [(False, False), (True, None)], ids=["plain", "compressed"]
)
@pytest.mark.parametrize("what", ["disk", "quota"])
async def test_the_paths_of_a_node_must_fit_together(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    what: str,
    compress: bool,
    fits: bool | None,
) -> None:
    quota = Quota(node=Allowance(22 if what == "quota" else 0))
    async with scripted(appliance(BOTH)) as node:
        node.disk_room = 22 if what == "disk" else 1000
        _, sizes = await sized(node, tmp_path, "syslog", "core", compress=compress, quota=quota)
        assert sizes is not None
        assert (sizes.fits, sizes.room) == (fits, node.disk_room)
        assert sizes.why is not None
        assert "3 bytes more" in sizes.why


@pytest.mark.parametrize(
    ("compress", "fits"),
    [(False, [True, False, True]), (True, [True, None, None])],
    ids=["plain", "compressed"],
)
async def test_the_nodes_of_a_job_must_fit_its_quota_together(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, compress: bool, fits: list[bool | None]
) -> None:
    """Two nodes have 25 bytes each, the last has 10. Those of a node that is turned away do not
    come, so the last fits.
    """
    of_job, found = Allowance(40), []
    for number, paths in enumerate([("syslog", "core"), ("syslog", "core"), ("core", "core")]):
        async with scripted(appliance(BOTH)) as node:
            folder, quota = tmp_path / str(number), Quota(job=of_job)
            _, sizes = await sized(node, folder, *paths, compress=compress, quota=quota)
            assert sizes is not None
            found.append(sizes)
    assert [sizes.fits for sizes in found] == fits
    assert found[1].why is not None
    assert "10 bytes more" in found[1].why


async def test_a_node_that_asks_for_a_receiver_at_once_is_given_ctrl_c(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(by_path(syslog=asks_at_once, core=announces(1, 5)))) as node:
        _, sizes = await sized(node, tmp_path, "syslog", "core")
        assert sizes is not None
        assert sizes.paths == (PathSize("syslog", 3, 30), PathSize("core", 1, 5))
        assert "192.0.2.1" not in node.lines


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (asks_unsized, Code.COMMAND_REFUSED),
        (goes_back_unsized, Code.COMMAND_REFUSED),
        (is_silent, Code.COMMAND_TIMEOUT),
    ],
)
async def test_without_sizes_the_node_fails_and_is_closed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, answer: Answer, code: Code
) -> None:
    async with scripted(appliance(answer)) as node:
        with pytest.raises(NodeFailed) as caught:
            await sized(node, tmp_path, "syslog")
        assert caught.value.failure.code is code
        assert node.lines[-1] == "quit"
        assert node.closed == 1


async def test_a_cancel_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def work(node: Node) -> None:
        await sized(node, tmp_path, "syslog", "core")

    await cancel_at_every_step(appliance(BOTH), work)
