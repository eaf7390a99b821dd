"""A dry run asks a node for the sizes and pushes nothing."""

import pytest

from cucmd.allowance import Allowance, Quota
from cucmd.durable import RESERVE
from cucmd.failure import Code
from cucmd.job.collect import Collect, DryRun, PathSize, Sizes
from rig.scripted_node import (
    COMPLETED,
    QUESTIONS,
    Answer,
    announce,
    appliance,
    by_path,
    matches_nothing,
)


def announces(files: int, size: int) -> Answer:
    """Goes back to the prompt after `n`, and asks on after anything else."""

    async def file_get(node, line):
        await announce(node, files, size, QUESTIONS[:1])
        if node.lines[-1] != "n":
            for question in QUESTIONS[1:]:
                await node.ask(question)

    return file_get


async def asks_at_once(node, line):
    await announce(node, 3, 30, ())
    await asks_unsized(node, line)


async def asks_unsized(node, line):
    await node.say(f"{QUESTIONS[1]} ", end="")
    await is_silent(node, line)


async def goes_back_unsized(node, line):
    await node.say("Number of files affected: 3", "40 bytes in all")
    await node.ask(QUESTIONS[0])


async def is_silent(node, line):
    while await node.read_line() != "^C":
        pass


async def announces_nothing(node, line):
    await announce(node, 0, 0, ())
    await node.say(COMPLETED)


BOTH = by_path(syslog=announces(2, 20), core=announces(1, 5))


@pytest.fixture
def size(play):
    """Returns a function that asks for the sizes of syslog and core.

    room: of the disk.
    """

    def size(file_get=BOTH, paths=("syslog", "core"), *, room=10**15, **options):
        task = {key: options.pop(key) for key in ("quota", "folder") if key in options}

        def arrange(node):
            node.disk_room = room

        return play(appliance(file_get), DryRun(Collect(paths, **options)), arrange=arrange, **task)

    return size


def test_sizes_come_and_no_file(size, folder):
    done = size()
    assert done.notes == ()
    paths = (PathSize("syslog", 2, 20), PathSize("core", 1, 5))
    assert done.result == Sizes(paths, 10**15, fits=True, reserved=10**9 + RESERVE)
    assert done.node.targets == []
    assert [line for line in done.node.lines if line in ("n", "y", "quit")] == ["n", "n", "quit"]
    assert [entry.name for entry in folder.iterdir()] == ["transcript.log"]


@pytest.mark.parametrize("unverified", [(), ("core",)])
def test_a_path_without_files(size, unverified):
    done = size(by_path(syslog=announces(2, 20), core=matches_nothing), unverified=unverified)
    assert done.notes == (() if unverified else ("core: no files matched",))
    assert done.result.paths == (PathSize("syslog", 2, 20),)


@pytest.mark.parametrize(
    ("file_get", "code"),
    [
        (matches_nothing, Code.NO_FILES_MATCHED),
        (announces_nothing, Code.NO_FILES_MATCHED),
        (asks_unsized, Code.COMMAND_REFUSED),
        (goes_back_unsized, Code.COMMAND_REFUSED),
        (is_silent, Code.COMMAND_TIMEOUT),
    ],
)
def test_without_sizes_the_node_fails(size, file_get, code):
    done = size(file_get, ("syslog",))
    assert (done.code, done.node.lines[-1]) == (code, "quit")


@pytest.mark.parametrize(("compress", "fits"), [(False, False), (True, None)])
@pytest.mark.parametrize("full", ["disk", "quota"])
def test_all_paths_must_fit(size, full, compress, fits):
    quota = Quota(node=Allowance(22 if full == "quota" else 0))
    room = 22 if full == "disk" else 1000
    done = size(room=room, quota=quota, compress=compress)
    assert (done.result.fits, done.result.room) == (fits, room)
    assert "3 bytes more" in done.result.why


@pytest.mark.parametrize(
    ("compress", "fits"), [(False, [True, False, True]), (True, [True, None, None])]
)
def test_all_nodes_must_fit_the_quota(size, tmp_path, compress, fits):
    """Two nodes have 25 bytes each, the last has 10. A node that does not fit takes no quota, so
    the last one fits.
    """
    quota, found = Quota(job=Allowance(40)), []
    for number, paths in enumerate([("syslog", "core"), ("syslog", "core"), ("core", "core")]):
        folder = tmp_path / str(number)
        found.append(size(BOTH, paths, compress=compress, quota=quota, folder=folder).result)
    assert [sizes.fits for sizes in found] == fits
    assert "10 bytes more" in found[1].why


def test_an_early_question_gets_ctrl_c(size):
    done = size(by_path(syslog=asks_at_once, core=announces(1, 5)))
    assert done.result.paths == (PathSize("syslog", 3, 30), PathSize("core", 1, 5))
    assert "192.0.2.1" not in done.node.lines
