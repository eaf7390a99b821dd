"""Shows the files of a node to people: a heading with their sum, and a line a file.

What is equal in all of them, and in the way at 80 columns, is in `long` alone: checksums, and the
folders that a node makes for each command (`IP/DATE`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.table import mark
from cucmd.protocol.cases import File

_LEAST_NAME = 20  # a narrower terminal wraps the lines


def files(
    node: str, found: Sequence[File], *, long: bool, **layout: Unpack[Layout]
) -> Iterator[str]:
    counted = [file for file in found if file.exported]
    total = render.size(sum(file.size for file in counted))
    heading = f"{visible(node)}  {render.counting(len(counted), 'file')}, {total}"
    if left := len(found) - len(counted):
        heading += f"; {left} that {'does' if left == 1 else 'do'} not count"
    yield f"\x1b[1m{heading}\x1b[m" if layout.get("colour") else heading
    columns = layout.get("columns")
    for file in found:
        state = _state(file)
        modified = render.local(file.modified) if file.modified else "-" * 19
        line = f"  {render.size(file.size):>8}  {modified}  "
        if long:
            checksum = file.sha256 or "-" * 64
            yield f"{line}{checksum}  {file.attempt or '-'}  {visible(file.path)}{state}"
            continue
        name = visible(_without_attempt(file.path))
        if columns is not None:
            space = max(_LEAST_NAME, columns - len(line) - len(state))
            name = _shortened(name, space, mark(ascii_only=layout.get("ascii_only", False)))
        yield line + name + state


def _state(file: File) -> str:
    return "" if file.exported else "  superseded" if file.complete else "  incomplete"


def _without_attempt(path: str) -> str:
    parts = path.split("/", 2)
    return parts[-1] if len(parts) == 3 and parts[0] != "output" else path


def _shortened(name: str, space: int, mark: str) -> str:
    """Cuts a name to its end, which says which file it is."""
    return name if len(name) <= space else mark + name[len(name) - space + len(mark) :]
