"""Masks tables, such as the call detail records of CUCM, whose first line names the columns.

Only the name of a column says what its values are. So the value 2001 of a known column is masked
as if the text were `"callingPartyNumber":"2001"`. Other columns are masked like any other text.

The numbers in columns such as `origIpAddr` are addresses: 32 bits with a sign, the first byte of
the address being the lowest one (Cisco's "Call Detail Records Administration Guide").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address

from cucmmask.places import FIELDS

_CELL = re.compile(r'(?:^|,)("(?:[^"]|"")*"|[^,]*)')
_NAME = re.compile(r'"?\ufeff?[A-Za-z][\w ./()-]*"?')
_ADDRESS = re.compile(r"(?i:ipaddr|address_ip)")
_TYPE = re.compile(r"INTEGER|VARCHAR\(\d+\)|UNIQUEIDENTIFIER")
# Values of which the masks are remembered.
_REMEMBERED = 1 << 14
# Fewer columns are a sentence rather than a table.
_LEAST_COLUMNS = 4


class Table:
    """A table whose columns are known."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns
        self._masked: dict[tuple[str, str], str] = {}  # (column, value) -> mask

    def change(self, text: str, change: Callable[[str], str]) -> str:
        """Returns some lines of the table with masks. `change` masks the parts of the lines.

        If `change` only collects originals and returns "", this returns "", too.
        """
        lines = [_cells(line) for line in text.split("\n")]
        marked = [self._marked(cells, change) for cells in lines]
        rest = change("\n".join(map(",".join, lines)))
        if not rest:
            return ""
        new = [_cells(line) for line in rest.split("\n")]
        for cells, values in zip(new, marked, strict=True):
            for at, value in values.items():
                cells[at] = value
        return "\n".join(map(",".join, new))

    def _marked(self, cells: list[str], change: Callable[[str], str]) -> dict[int, str]:
        """Takes the values of known columns out of a line, and returns their masks."""
        masked = {}
        for at, (column, cell) in enumerate(zip(self._columns, cells, strict=False)):
            value = cell.strip('"\r')
            if not value or not (column in FIELDS or _ADDRESS.search(column)):
                continue
            if _TYPE.fullmatch(value) or value.replace(" ", "").lower().startswith(column):
                continue  # the lines with the names and the types of the columns
            if (column, value) not in self._masked:
                if len(self._masked) >= _REMEMBERED:
                    self._masked.clear()
                self._masked[column, value] = _changed(column, value, change)
            masked[at] = cell.replace(value, self._masked[column, value])
            cells[at] = ""
        return masked


def table_of(text: str) -> Table | None:
    """Returns the table that begins with this text, or None if the text is no table."""
    names = _cells(text.partition("\n")[0].rstrip("\r"))
    if len(names) < _LEAST_COLUMNS or not all(map(_NAME.fullmatch, names)):
        return None
    # "Directory Number 1" in an export of phones is `directorynumber`.
    columns = [re.sub(r"[\W]|(?<= )\d+$", "", name.strip('"')).lower() for name in names]
    return None if FIELDS.keys().isdisjoint(columns) else Table(columns)


def _cells(line: str) -> list[str]:
    cells: list[str] = _CELL.findall(line)
    return cells if ",".join(cells) == line else [line]


def _changed(column: str, value: str, change: Callable[[str], str]) -> str:
    if column in FIELDS:
        before = f'"{column}":"'
        return change(f'{before}{value}"')[len(before) : -1]
    try:
        address = int(value).to_bytes(4, "little", signed=True)
    except (ValueError, OverflowError):
        return change(value)
    masked = change(str(IPv4Address(address)))
    return str(int.from_bytes(IPv4Address(masked).packed, "little", signed=True)) if masked else ""
