"""Whatever a node asks, announces, sends and says: it succeeds only if all of that fits."""

import tempfile
from pathlib import Path

import trio
from hypothesis import given
from hypothesis import strategies as st

from cucmd.failure import NodeFailed
from rig.scripted_node import (
    COMPLETED,
    QUESTIONS,
    Node,
    RecordedReport,
    appliance,
    collected,
    node_task,
    scripted,
)
from rig.tries import tries

PLEASE = "Please answer 'y' for <yes> or 'n' for <no>:"
HOST_KEY = "Are you sure you want to continue connecting (yes/no)?"

ASK = st.sampled_from([*QUESTIONS, PLEASE, HOST_KEY])
SIZES = st.tuples(st.integers(0, 3), st.integers(0, 12))
FILE = st.tuples(st.integers(0, 5), st.booleans())
WORDS = st.sampled_from([COMPLETED, "Some words", "No files matched filter criteria", ".."])
ACT = st.one_of(ASK, SIZES, FILE, WORDS)
USUAL = [*QUESTIONS, (1, 5), (5, True), COMPLETED]
# Dialogues at random seldom succeed; most of these differ from the usual one by a little.
DIALOGUE = st.one_of(
    st.lists(ACT, max_size=12),
    st.permutations(USUAL),
    st.tuples(st.integers(0, len(USUAL)), ACT).map(
        lambda one: [*USUAL[: one[0]], one[1], *USUAL[one[0] :]]
    ),
    st.integers(0, len(USUAL) - 1).map(
        lambda left_out: [*USUAL[:left_out], *USUAL[left_out + 1 :]]
    ),
)


async def act(node: Node, one: object) -> None:
    match one:
        case (int(size), bool(closed)):
            node.target.store(f"{len(node.target.came)}", size, closed=closed)
        case (int(files), int(size)):
            await node.say(f"Number of files affected: {files}", f"Total size in Bytes: {size}")
        case str(text) if text[-1] in "?:":
            await node.ask(text)
        case str(text):
            await node.say(text)


async def succeeds(dialogue: list[object]) -> bool:
    async def file_get(node: Node, line: str) -> None:
        for one in dialogue:
            await act(node, one)

    report = RecordedReport()
    with tempfile.TemporaryDirectory() as folder:
        async with scripted(appliance(file_get)) as node:
            try:
                await collected(node, node_task(Path(folder)), report)
            except NodeFailed:
                assert report.counted == []
                return False
            assert report.counted == [file.path for file in node.target.files()]
    return True


def run(dialogue: list[object]) -> bool:
    return trio.run(succeeds, dialogue, clock=trio.testing.MockClock(autojump_threshold=0))


@given(dialogue=DIALOGUE)
@tries(150)
def test_a_node_succeeds_only_if_all_of_it_fits(dialogue: list[object]) -> None:
    pairs = [one for one in dialogue if isinstance(one, tuple)]
    sizes = [one for one in pairs if not isinstance(one[1], bool)]
    files = [one for one in pairs if isinstance(one[1], bool)]
    if run(dialogue):
        assert COMPLETED in dialogue
        assert files
        assert all(closed for _, closed in files)
        assert len(files) >= max((count for count, _ in sizes), default=0)
        assert sum(size for size, _ in files) >= max((size for _, size in sizes), default=0)
        login = [*QUESTIONS[-2:], *sizes]
        last = len(dialogue) - 1 - dialogue[::-1].index(COMPLETED)
        assert any(one in login for one in dialogue[:last])


def test_the_usual_dialogue_succeeds() -> None:
    assert run(USUAL)
    assert run([*USUAL[:5], *USUAL[6:]])
