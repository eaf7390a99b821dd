"""What follows the reply to `Export` with `descriptors`: structs of the interface.

The one rule: as in `structs.py`. They are apart since only an export and a verify load them.
"""

from __future__ import annotations

import msgspec


class ExportedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    size: int
    modified: int
    node: str | None = None
    sha256: str | None = None
    raw_name: bytes | None = None
    wrong: str | None = None

    @property
    def path(self) -> str:
        """The name, of any bytes, in the form of `os.fsdecode` for UTF-8."""
        if self.raw_name is None:
            return self.name
        return self.raw_name.decode("utf-8", "surrogateescape")


class ExportedFiles(msgspec.Struct, frozen=True):
    files: tuple[ExportedFile, ...]
    documents: tuple[ExportedFile, ...] | None = None
