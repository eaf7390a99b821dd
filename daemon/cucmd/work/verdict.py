"""PURE. Compares what a node announced with what came in, for one `file get`.

A command succeeds only if the client closed every file that it opened, the node said that the
command is completed, and no fewer files and bytes came than it announced. More may come:
trace files grow while they are collected.

    what                                  outcome
    no 'Transfer completed'               transfer_incomplete
    a file that was not closed            transfer_incomplete
    compressed: no archive, or an empty   transfer_incomplete
    compressed: an archive that is cut    transfer_incomplete, whatever the sizes are
      or is none
    compressed: fewer files or bytes in   transfer_incomplete (the sizes announced are those before
      the archives than announced         compression)
    a gzip that is cut                    transfer_incomplete; the other files count
    fewer files or bytes than announced   transfer_incomplete
    nothing came, no number announced     transfer_incomplete
    a size that was not announced         not compared, and `uncompared` says so; where an upload
                                          was refused, why it was (`collect.py`)
    0 files announced, nothing came       no failure here; `collect.py` says no_files_matched

Where no login came of a node that could log in, `collect.py` makes of any of these
receiver_unreachable or receiver_rejected.

Only sums are announced, so the growth of one file can hide the truncation of another. Therefore
each file that says itself where it ends, a gzip, is read to its end (`reading/whole.py`). Of the
others, and of a gzip that is empty or was cut exactly between two members, the sums are all there
is. A gzip can be cut on the node too, or be written there still: the hint says so where the sums
agree to the byte, since then nothing has grown. It is incomplete all the same, for nobody can read
its end; it is kept, and the other files, and the other paths of the node, count.

The stages of the dialogue that lead here, and what a prompt before a transfer means, are in
vos/file_get.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.received_file import Contents, FileRead, ReceivedFile
from cucmd.vos import quote

# As nodes name what they have packed. `*.gzo` is a gzip without an end: the node still writes it.
_GZIP = (".gz", ".tgz")
# Files whose names a message has.
_MOST_NAMED = 3

_PACKED_HINT = (
    "collect again, or without --compress; what came is kept, and cucmctl export --incomplete "
    "takes it as it is"
)
_CUT_HINT = (
    "collect again; what is cut again is so on the node, or is still written there: --match can "
    "leave it out, and cucmctl export --incomplete takes it as it is"
)
_CUT_ON_THE_NODE = (
    "as many bytes came as were announced, so it is cut on the node too, or is still written "
    "there: --match can leave it out, and cucmctl export --incomplete takes it as it is"
)


class Announced(msgspec.Struct, frozen=True):
    """Holds what the node said it would send for a command: files, and bytes before compression."""

    files: int | None = None
    size: int | None = None


def to_read(files: Sequence[ReceivedFile], *, compressed: bool) -> list[ReceivedFile]:
    """Returns those of the files that are read: all of a command that packs, else those named as
    gzip.
    """
    return [file for file in files if compressed or _is_gzip(file)]


def _is_gzip(file: ReceivedFile) -> bool:
    """Says whether it is named as one."""
    return file.path.lower().endswith(_GZIP)


def judge(
    path: str,
    announced: Announced,
    received: Sequence[ReceivedFile],
    *,
    completed: bool,
    compressed: bool,
) -> Failure | None:
    """Returns the failure of one command, or None if everything came.

    `received`: the files that came since the command was typed.
    `completed`: the node said 'Transfer completed'.
    """
    closed = [file for file in received if file.closed]
    cut = [file.path for file in received if not file.closed]
    size = sum(file.size for file in closed)
    broken = f"cut off: {', '.join(cut[:_MOST_NAMED])}; " if cut else ""
    came = f"{broken}{counted(len(closed), 'file')}, {counted(size, 'byte')} came"
    if not completed:
        said = "the node went back to its prompt without 'Transfer completed'"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {said}; {came}")
    if cut:
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {came}")
    if compressed and not any(file.size for file in closed):  # an archive of nothing has a header
        what = "only an empty archive came" if closed else "no archive came"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {what}")
    if compressed:
        return None
    if announced.files is None and not closed:
        nothing = f"{path}: the node announced no number of files, and nothing came"
        return failure(Code.TRANSFER_INCOMPLETE, nothing)
    lacks = _lacks(announced, len(closed), size)
    return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {lacks}") if lacks else None


def _lacks(announced: Announced, files: int, size: int | None) -> str:
    """Says what came less than was announced: `1 byte short: 1,799,999 of 1,800,000`; "": nothing.

    size  None: not known
    """
    if announced.files and not files:
        return f"nothing came of {counted(announced.files, 'file')}"
    compared = ((announced.files, files, "file"), (announced.size, size, "byte"))
    return ", ".join(
        f"{counted(most - came, what)} short: {came:,} of {most:,}"
        for most, came, what in compared
        if most is not None and came is not None and came < most
    )


def counted(number: int, what: str) -> str:
    """Returns `1 file`, `1,800,000 bytes`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def at_most(count: int, texts: Sequence[str], what: str = "") -> list[str]:
    """Returns so many of the texts, and behind them how many `what` more there are."""
    left_out = len(texts) - count
    return [*texts[:count], *([f"and {left_out} more {what}".rstrip()] if left_out > 0 else ())]


def uncompared(path: str, announced: Announced, said: Sequence[str]) -> str | None:
    """Returns a note where a size was not announced, or in words that are not known: what was not
    announced was not compared. None if both were.

    said: lines of the node in which it may stand, masked.
    """
    sizes = (("number of files", announced.files), ("size in bytes", announced.size))
    missing = " and ".join(what for what, number in sizes if number is None)
    if not missing:
        return None
    words = f"; it said: {quote(said)}" if said else ""
    return f"{path}: not compared, as it was not announced in known words: {missing}{words}"


def judge_read(
    path: str,
    announced: Announced,
    received: Sequence[ReceivedFile],
    read: Mapping[ReceivedFile, FileRead],
    *,
    compressed: bool,
) -> tuple[Failure | None, frozenset[str]]:
    """Returns the failure that reading has shown, and the paths of the files incomplete for it.

    `received`: the files of one command, of which `judge` has said that everything came.
    """
    wrong: dict[str, str] = {}
    for file, one in read.items():
        if one.wrong is not None:
            wrong[file.path] = one.wrong
        elif compressed and _is_gzip(file) and one.contents is None and one.unread is None:
            wrong[file.path] = "is no archive"  # it was cut before its first byte, or is damaged
    unread = {file.path: _unread(one) for file, one in read.items() if one.unread is not None}
    if wrong:
        came = Announced(len(received), sum(file.size for file in received))
        cut_hint = _CUT_ON_THE_NODE if came == announced else _CUT_HINT
        hint = _PACKED_HINT if compressed else cut_hint
        return _not_whole(path, wrong, hint), frozenset((*wrong, *(unread if compressed else ())))
    if not compressed:
        return None, frozenset()
    everything = frozenset(file.path for file in received)
    if unread:
        return _not_whole(path, unread, _PACKED_HINT), everything
    contents = [one.contents or Contents(1, file.size, packed=False) for file, one in read.items()]
    unpacked = sum(one.files for one in contents)
    sizes = [one.size for one in contents if one.size is not None]
    total = sum(sizes) if len(sizes) == len(contents) else None
    if not unpacked:
        lacks = "only an empty archive came"
    elif announced == Announced() and not any(one.packed for one in contents):
        lacks = "no archive came"
    elif lacks := _lacks(announced, unpacked, total):
        lacks = f"the archive is {lacks}"
    else:
        return None, frozenset()
    return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {lacks}"), everything


def _not_whole(path: str, wrong: Mapping[str, str], hint: str) -> Failure:
    said = [f"{PurePosixPath(file).name} {why}" for file, why in wrong.items()]
    message = f"{path}: {'; '.join(at_most(_MOST_NAMED, said))}"
    return failure(Code.TRANSFER_INCOMPLETE, message, hint=hint)


def reading_notes(
    path: str, announced: Announced, read: Mapping[ReceivedFile, FileRead]
) -> list[str]:
    """Returns a note of each file that was not read to its end, and of each archive with whose
    bytes the size that was announced could not be compared.
    """
    notes = []
    for file, one in read.items():
        name = PurePosixPath(file.path).name
        if one.unread is not None:
            notes.append(f"{path}: {name} {_unread(one)}")
        elif one.contents is not None and one.contents.size is None and announced.size is not None:
            why = "its bytes were not compared with those announced"
            notes.append(f"{path}: {name} has links, or files with holes: {why}")
    return notes


def _unread(one: FileRead) -> str:
    return f"was not read to its end: {one.unread}"
