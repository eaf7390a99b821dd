"""PURE. What a node announced against what came in, for one `file get`.

The one rule: nothing passes as whole that the client did not close, that the node did not call
completed, or that is smaller than announced. More than announced is noted, not refused: trace
files grow while they are collected.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cucmd.failure import Code, Failure, failure
from cucmd.node.ports import ReceivedFile


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
    """The failure of one command, or None if everything came."""
    whole = [file for file in received if file.complete]
    cut = [file.path for file in received if not file.complete]
    came = f"{len(whole)} files, {sum(file.size for file in whole)} bytes came"
    if not completed:
        said = "the node went back to its prompt without 'Transfer completed'"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {said}; {came}")
    if cut:
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: cut off: {', '.join(cut[:3])}; {came}")
    if compressed and not any(file.size for file in whole):  # an archive of nothing has a header
        what = "only an empty archive came" if whole else "no archive came"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {what}")
    if compressed:
        return None
    return _compare(path, announced, whole, came)


def _compare(
    path: str, announced: Announced, whole: Sequence[ReceivedFile], came: str
) -> Failure | None:
    if announced.files is None and not whole:
        nothing = f"{path}: the node announced nothing, and nothing came"
        return failure(Code.TRANSFER_INCOMPLETE, nothing)
    files = announced.files or 0
    size = announced.size or 0
    if len(whole) >= files and sum(file.size for file in whole) >= size:
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
