"""Keeps the key of the masks, and the map from masks to originals.

Both are in $XDG_DATA_HOME/cucmctl/mask, and only their owner can read them. The map is needed only
to turn masks back into originals. With another key, all masks are different.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cucmctl.cli import exits


class BadKey(exits.Failed):
    """The key or the map cannot be used."""


class KeyFolder:
    """The folder with the key and the map.

    path  the folder; it is made with the first key
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def key(self) -> bytes:
        """Returns the key, and makes one if the folder has no key. Raises `BadKey`."""
        with self._locked():
            file = self.path / "key"
            try:
                key = bytes.fromhex(file.read_text("ascii"))
            except FileNotFoundError:
                key = secrets.token_bytes(32)
                self._write(file, key.hex().encode() + b"\n")
            except ValueError:
                key = b""
        if len(key) < 32:
            raise BadKey(f"{file}: expected 64 hexadecimal digits; restore the file or remove it")
        return key

    def add(self, masks: Mapping[str, Mapping[str, str]]) -> None:
        """Adds masks to the map: kind -> mask -> original. Raises `BadKey`."""
        with self._locked():
            known = self._read()
            for kind, originals in masks.items():
                known.setdefault(kind, {}).update(originals)
            self._write(self.path / "map.json", json.dumps(known).encode())

    def masks(self) -> dict[str, dict[str, str]]:
        """Returns the map. Raises `BadKey` and `OSError`."""
        return self._read()

    def _read(self) -> dict[str, dict[str, str]]:
        file = self.path / "map.json"
        try:
            known: dict[str, dict[str, str]] = json.loads(file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise BadKey(f"{file}: is no JSON ({error}); restore the file or remove it") from None
        return known

    def _write(self, file: Path, content: bytes) -> None:
        """Replaces a file. Nobody sees it half written, and only its owner can read it."""
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(descriptor)
        new.replace(file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.mkdir(0o700, parents=True, exist_ok=True)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield
            finally:
                os.close(folder)
        except OSError as error:  # would else be taken for an error of the masked file
            text = f"the key and the map of masks cannot be in {self.path}: {error.strerror}"
            raise BadKey(text, exits.CANNOT_WRITE) from None


def key_folder(environ: Mapping[str, str]) -> KeyFolder:
    """Returns the folder of the user, by the XDG Base Directory Specification."""
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return KeyFolder(Path(data) / "cucmctl" / "mask")
