"""PURE. Compares the files that a node announced with those that came, for one `file get`.

A command succeeds only if the client closed every file that it opened, the node said that the
command is completed, and no fewer files and bytes came than the node announced. More may come,
since trace files grow while they are collected.

    what                                  outcome
    no 'Transfer completed'               transfer_incomplete
    a file that was not closed            transfer_incomplete
    compressed: no archive, or an empty   transfer_incomplete
    compressed: an archive that is cut    transfer_incomplete, whatever the sizes are
      or that is no archive
    compressed: fewer files or bytes in   transfer_incomplete (the sizes announced are those before
      the archives than announced         compression)
    a gzip that is cut                    transfer_incomplete; the other files count
    fewer files or bytes than announced   transfer_incomplete
    nothing came, no number announced     transfer_incomplete
    a size that was not announced         not compared, with a note (`note_if_not_compared`); if an
                                          upload was refused, the reason for that (`collect.py`)
    0 files announced, nothing came       no failure here; `collect.py` says no_files_matched

If the node could have logged in to the receiver and never did, `collect.py` turns any of these
failures into receiver_unreachable or receiver_rejected.

Nodes announce only sums, so the growth of one file can hide the truncation of another. Therefore
every gzip is read to its end, which its format marks (`reading/completeness.py`). For other files,
and for a gzip that is empty or cut exactly between two members, only the sums can be compared.

A gzip can also be cut on the node itself, or still be written there. The hint says so if the sums
agree to the byte, since then nothing has grown. The file counts as incomplete. It is kept, and the
other files and the other paths of the node count.

vos/file_get.py describes the dialogue that leads here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.received_file import Contents, FileRead, ReceivedFile
from cucmd.vos import quote

# The suffixes of what nodes have packed. `*.gzo` is a gzip without an end that the node still
# writes. The number is the one that the receiver adds to a second file of the same name.
_GZIP = re.compile(r"\.t?gz(?:\.\d+)?$", re.IGNORECASE)
# The most files that are named in a message.
_MOST_NAMED = 3

_PACKED_HINT = (
    "collect again, or without --compress; what came is kept, and cucmctl export --incomplete "
    "takes it as it is"
)
_CUT_HINT = (
    "collect again; a file that is cut again is cut on the node, or the node still writes it: "
    "--match can leave it out, and cucmctl export --incomplete takes it as it is"
)
_CUT_ON_THE_NODE = (
    "as many bytes came as were announced, so the file is cut on the node too, or the node still "
    "writes it: --match can leave it out, and cucmctl export --incomplete takes it as it is"
)


class Announced(msgspec.Struct, frozen=True):
    """Holds what the node announced for a command: files, and bytes before compression."""

    files: int | None = None
    size: int | None = None


def files_to_read(files: Sequence[ReceivedFile], *, compressed: bool) -> list[ReceivedFile]:
    """Returns the files that are read to their end: all if the node packs them, else each gzip."""
    return [file for file in files if compressed or _is_gzip(file)]


def _is_gzip(file: ReceivedFile) -> bool:
    return _GZIP.search(file.path) is not None


def compare(
    path: str,
    announced: Announced,
    received: Sequence[ReceivedFile],
    *,
    completed: bool,
    compressed: bool,
) -> Failure | None:
    """Returns the failure of one command, or None if everything came.

    received: the files that came since the command was typed. completed: the node said 'Transfer
    completed'.
    """
    closed = [file for file in received if file.closed]
    cut = [file.path for file in received if not file.closed]
    size = sum(file.size for file in closed)
    broken = f"cut off: {', '.join(cut[:_MOST_NAMED])}; " if cut else ""
    whole = f"{counted(len(closed), 'file')}, {counted(size, 'byte')}"
    came = f"{broken}{whole if closed else 'no complete file'} came"
    if not completed:
        why = "the node went back to its prompt without 'Transfer completed'"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {why}; {came}")
    if cut:
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {came}")
    if compressed and not any(file.size for file in closed):  # even an empty archive has a header
        what = "only an empty archive came" if closed else "no archive came"
        return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {what}")
    if compressed:
        return None
    if announced.files is None and not closed:
        nothing = f"{path}: the node announced no number of files, and nothing came"
        return failure(Code.TRANSFER_INCOMPLETE, nothing)
    shortfall = _describe_shortfall(announced, len(closed), size)
    return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {shortfall}") if shortfall else None


def _describe_shortfall(announced: Announced, files: int, size: int | None) -> str:
    """Returns a text such as `1 byte short: 1,799,999 of 1,800,000`, or "" if nothing is missing.

    size: the bytes that came, or None if they are not known.
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
    """Returns the number with its unit, such as `1 file` or `1,800,000 bytes`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shorten(count: int, texts: Sequence[str], what: str = "") -> list[str]:
    """Returns the first `count` texts, and a text such as "and 3 more notes" for the others."""
    left_out = len(texts) - count
    return [*texts[:count], *([f"and {left_out} more {what}".rstrip()] if left_out > 0 else ())]


def note_if_not_compared(path: str, announced: Announced, lines: Sequence[str]) -> str | None:
    """Returns a note if a size was not announced in known words, so that it was not compared.

    lines: masked lines of the node that may have the size.
    """
    sizes = (("number of files", announced.files), ("size in bytes", announced.size))
    missing = " and ".join(what for what, number in sizes if number is None)
    if not missing:
        return None
    words = f"; it said: {quote(lines)}" if lines else ""
    return f"{path}: not compared, as it was not announced in known words: {missing}{words}"


def compare_contents(
    path: str,
    announced: Announced,
    received: Sequence[ReceivedFile],
    read: Mapping[ReceivedFile, FileRead],
    *,
    compressed: bool,
) -> tuple[Failure | None, frozenset[str]]:
    """Returns the failure that reading the files has shown, and the paths of incomplete files.

    received: the files of one command for which `compare` found no failure.
    """
    damage: dict[str, str] = {}
    for file, content in read.items():
        if content.wrong is not None:
            damage[file.path] = content.wrong
        elif compressed and _is_gzip(file) and content.contents is None and content.unread is None:
            damage[file.path] = "is no archive"  # cut before its first byte, or damaged
    unread = {
        file.path: _describe_unread(content)
        for file, content in read.items()
        if content.unread is not None
    }
    if damage:
        received_sum = Announced(len(received), sum(file.size for file in received))
        cut_hint = _CUT_ON_THE_NODE if received_sum == announced else _CUT_HINT
        hint = _PACKED_HINT if compressed else cut_hint
        return _not_whole(path, damage, hint), frozenset((*damage, *(unread if compressed else ())))
    if not compressed:
        return None, frozenset()
    everything = frozenset(file.path for file in received)
    if unread:
        return _not_whole(path, unread, _PACKED_HINT), everything
    contents = [
        content.contents or Contents(1, file.size, packed=False) for file, content in read.items()
    ]
    files_in_archive = sum(content.files for content in contents)
    sizes = [content.size for content in contents if content.size is not None]
    total = sum(sizes) if len(sizes) == len(contents) else None
    if not files_in_archive:
        shortfall = "only an empty archive came"
    elif announced == Announced() and not any(content.packed for content in contents):
        shortfall = "no archive came"
    elif shortfall := _describe_shortfall(announced, files_in_archive, total):
        shortfall = f"the archive is {shortfall}"
    else:
        return None, frozenset()
    return failure(Code.TRANSFER_INCOMPLETE, f"{path}: {shortfall}"), everything


def _not_whole(path: str, damage: Mapping[str, str], hint: str) -> Failure:
    texts = [f"{PurePosixPath(file).name} {why}" for file, why in damage.items()]
    message = f"{path}: {'; '.join(shorten(_MOST_NAMED, texts))}"
    return failure(Code.TRANSFER_INCOMPLETE, message, hint=hint)


def reading_notes(
    path: str, announced: Announced, read: Mapping[ReceivedFile, FileRead]
) -> list[str]:
    """Returns a note on each file that was not read to its end, and on each archive whose size
    could not be compared with the announced size.
    """
    notes = []
    for file, content in read.items():
        name = PurePosixPath(file.path).name
        if content.unread is not None:
            notes.append(f"{path}: {name} {_describe_unread(content)}")
        elif (
            content.contents is not None
            and content.contents.size is None
            and announced.size is not None
        ):
            why = "its bytes were not compared with those announced"
            notes.append(f"{path}: {name} has links, or files with holes: {why}")
    return notes


def _describe_unread(content: FileRead) -> str:
    return f"was not read to its end: {content.unread}"
