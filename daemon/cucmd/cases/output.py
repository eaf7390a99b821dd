"""What the commands of a job have printed, as it is on disk.

An output is read once it is on record, which it is when its node has ended; and before that, where
whoever runs the job says that it is whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec

from cucmd.cases.files import counts, folder
from cucmd.cases.transcript import read_transcript
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.run import OUTPUT, Run
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

# Files of a node: one for each of its commands, and there are fewer.
_MOST = 100


class Printed(msgspec.Struct, frozen=True):
    """The output of one command on one node. `path`: of the file; its text is masked.

    `complete`: the command came to its end.
    """

    number: int
    path: Path
    complete: bool


async def printed(
    store: Store,
    job: Job,
    work: Run,
    node: Node,
    directory: Path,
    *,
    written: Sequence[ReceivedFile] = (),
) -> list[Printed]:
    """The outputs of a node, in the order of its commands. Raises `StoreFailed`.

    `written`: those that are whole on disk, and need not be on record.
    """
    numbers = {
        f"{folder(node)}/{work.output_of(number)}": number
        for number in range(1, len(work.commands) + 1)
    }
    # Before them are the files that the node pushed, of a job that has collected.
    after = (node.node, f"{folder(node)}/{OUTPUT}")
    on_record = await store.files_after(job.job_id, after, _MOST)
    files = {file.path: file for file in (*on_record, *written)}.values()
    found = [
        Printed(numbers[file.path], directory / file.path, file.complete)
        for file in files
        if file.node == node.node and file.path in numbers and counts(file, node)
    ]
    return sorted(found, key=lambda one: one.number)


async def read_output(path: Path) -> AsyncGenerator[tuple[str, bool], None]:
    """Its text, in pieces of whole lines, and with each whether it is the last.

    One piece at least; an empty one for a file that is gone. Raises `OSError`.
    """
    before: str | None = None
    async with aclosing(read_transcript(path, lambda: False)) as pieces:
        async for piece in pieces:
            if before is not None:
                yield before, False
            before = piece
    yield before or "", True
