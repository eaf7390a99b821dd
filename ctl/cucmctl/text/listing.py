"""Lists the files of a node: a heading with their sum, and a line for each file.

Checksums, and the folders that a node makes for each command (`IP/DATE`), are only shown with
`long`. They do not fit 80 columns, and do not help to find a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.table import cut_mark
from cucmd.protocol.cases import File

_LEAST_NAME = 20  # characters; a narrower terminal wraps the lines


def files(
    node: str, found: Sequence[File], *, long: bool, **layout: Unpack[Layout]
) -> Iterator[str]:
    """Yields the lines for the files of a node."""
    counted = [file for file in found if file.exported]
    total = render.size(sum(file.size for file in counted))
    heading = f"{visible(node)}  {render.count_of(len(counted), 'file')}, {total}"
    if left := len(found) - len(counted):
        heading += f"; {left} that {'does' if left == 1 else 'do'} not count"
    yield f"\x1b[1m{heading}\x1b[m" if layout.get("colour") else heading
    columns = layout.get("columns")
    for file in found:
        state = "" if file.exported else "  superseded" if file.complete else "  incomplete"
        modified = render.local(file.modified) if file.modified else "-" * 19
        line = f"  {render.size(file.size):>8}  {modified}  "
        if long:
            checksum = file.sha256 or "-" * 64
            yield f"{line}{checksum}  {file.attempt or '-'}  {visible(file.path)}{state}"
            continue
        name = visible(short_path(file.path))
        if columns is not None:
            space = max(_LEAST_NAME, columns - len(line) - len(state))
            cut = cut_mark(ascii_only=layout.get("ascii_only", False))
            if len(name) > space:  # cut the beginning, because the end tells files apart
                name = cut + name[len(name) - space + len(cut) :]
        yield line + name + state


def short_path(path: str) -> str:
    """Returns the path of a file without the folders that the node makes for each command."""
    folders = path.split("/", 2)
    return folders[-1] if len(folders) == 3 and folders[0] != "output" else path
