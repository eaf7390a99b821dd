"""PURE. What a node announced against what came in, for one `file get`.

The one rule: a command succeeds only if the client closed every file that it opened, the node said
that the command is completed, and no fewer files and bytes came than it announced. More than
announced is noted and not refused: trace files grow while they are collected.

    what                                  outcome
    no 'Transfer completed'               transfer_incomplete
    a file that was not closed            transfer_incomplete
    compressed: no archive, or an empty   transfer_incomplete (the sizes announced are those before
                                          compression, so nothing else can be compared)
    fewer files or bytes than announced   transfer_incomplete
    nothing announced, nothing came       transfer_incomplete
    0 files announced, nothing came       no failure here; `collect.py` says no_files_matched

Where no login came of a node that could log in, `collect.py` makes of any of these
receiver_unreachable or receiver_rejected. The stages of the dialogue that lead here, and what a
prompt before a transfer means, are in vos/file_get.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cucmd.failure import Code, Failure, failure
from cucmd.received_file import ReceivedFile


class Announced(msgspec.Struct, frozen=True):
    """What the node said it would send for one command: files, and bytes before compression."""

    files: int | None = None
    size: int | None = None


def judge(
    path: str,
    announced: Announced,
    received: Sequence[ReceivedFile],
    *,
    completed: bool,
    compressed: bool,
) -> Failure | None:
    """The failure of one command, or None if everything came.

    `received`: the files that came since the command was typed.
    `completed`: the node said 'Transfer completed'.
    """
    closed = [file for file in received if file.closed]
    cut = [file.path for file in received if not file.closed]
    came = f"{len(closed)} files, {sum(file.size for file in closed)} bytes came"
    if not completed:
        said = "the node went back to its prompt without 'Transfer completed'"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {said}; {came}")
    if cut:
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: cut off: {', '.join(cut[:3])}; {came}")
    if compressed and not any(file.size for file in closed):  # an archive of nothing has a header
        what = "only an empty archive came" if closed else "no archive came"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {what}")
    if compressed:
        return None
    return _compare(path, announced, closed, came)


def _compare(
    path: str, announced: Announced, closed: Sequence[ReceivedFile], came: str
) -> Failure | None:
    if announced.files is None and not closed:
        nothing = f"{path}: the node announced nothing, and nothing came"
        return failure(Code.TRANSFER_INCOMPLETE, nothing)
    files = announced.files or 0
    size = announced.size or 0
    if len(closed) >= files and sum(file.size for file in closed) >= size:
        return None
    return failure(
        Code.TRANSFER_INCOMPLETE, f"{path}: {files} files, {size} bytes were announced; {came}"
    )


def surplus(path: str, announced: Announced, received: Sequence[ReceivedFile]) -> str | None:
    """A note where more came than was announced, or None."""
    files, size = announced.files, announced.size
    total = sum(file.size for file in received)
    if files is not None and len(received) > files:
        return f"{path}: {len(received)} files came, {files} were announced"
    if size is not None and total > size:
        return f"{path}: {total} bytes came, {size} were announced (files grow while collected)"
    return None
