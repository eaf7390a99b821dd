"""Encrypts a file: for a key with the program `gpg`, or with a password into a zip with AES-256.

The vendor's page ("Customer File Uploads to Cisco Technical Assistance Center", Encrypting Files)
names both. A zip does not encrypt the names in it, so the file is put into a new zip as a whole.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from cucmctl.cli import exits
from cucmctl.cli.options import UsageError
from cucmctl.export.target import TargetExists, clean_up_at_signals, new_file
from cucmctl.upload.program import require_program, run_program

_PIECE = 128 * 1024


class Encryption(NamedTuple):
    """How to encrypt: for the gpg key `key`, or with `password` if `key` is None."""

    key: str | None
    password: str = ""

    def name_of(self, path: Path) -> Path:
        """Returns the path of the encrypted file."""
        if self.key is not None:
            return path.with_name(f"{path.name}.gpg")
        return path.with_name(f"{path.name.removesuffix('.zip')}.aes.zip")

    def plain_name(self, name: str) -> str:
        """Returns the name before encryption, if `name` is that of an encrypted file."""
        if self.key is not None:
            return name.removesuffix(".gpg")
        return f"{name.removesuffix('.aes.zip')}.zip" if name.endswith(".aes.zip") else name

    def encrypt(self, path: Path, *, force: bool) -> Path:
        """Writes the encrypted file beside `path`, and returns its path. Raises `Failed`."""
        new = self.name_of(path)
        clean_up_at_signals()
        try:
            with path.open("rb") as file, new_file(new, force=force) as out:
                if self.key is None:
                    self._into_zip(file, path.name, out)
                elif run_program(_gpg(self.key), file, out):
                    raise exits.Failed(f"gpg could not encrypt {path}; it is not encrypted")
        except TargetExists as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            text = f"cannot write {new}: {error.strerror or error}; {path} is not encrypted"
            raise exits.Failed(text, exits.CANNOT_WRITE) from None
        except KeyboardInterrupt:
            text = f"interrupted; {path} is not encrypted"
            raise exits.Failed(text, exits.INTERRUPTED) from None
        return new

    def _into_zip(self, file: IO[bytes], name: str, out: IO[bytes]) -> None:
        from stream_zip import ZIP_64, stream_zip  # noqa: PLC0415  # an extra, and heavy

        def pieces() -> Iterator[bytes]:
            yield from iter(partial(file.read, _PIECE), b"")

        member = (name, datetime.now(), 0o100600, ZIP_64, pieces())
        # Level 0, because most of a case is compressed already.
        for piece in stream_zip(
            [member],
            password=self.password,
            get_compressobj=lambda: zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS),
        ):
            out.write(piece)


def _gpg(key: str) -> list[str]:
    # Without --no-auto-key-locate, gpg asks the network for the key of an unknown e-mail address.
    # --quiet leaves out what gpg says about its own files; errors are printed.
    return ["gpg", "--batch", "--quiet", "--no-auto-key-locate", "--encrypt", "--recipient", key]


def checked_password(password: str) -> str:
    """Returns the password if a zip can have it. Raises `UsageError`."""
    # 7-Zip takes 99 bytes, and programs differ in how they encode other letters.
    if not (password.isascii() and password.isprintable() and len(password) <= 99):
        raise UsageError("the password of a zip may have at most 99 letters, all of them ASCII")
    return password


def check(encryption: Encryption) -> None:
    """Raises `UsageError` if a program or library is missing, or if gpg does not take the key."""
    if encryption.key is None:
        try:
            import stream_zip  # noqa: F401, PLC0415
        except ImportError:
            text = "--encrypt-with-password needs stream-zip: pip install 'cucmd[aes-zip]'"
            raise UsageError(text) from None
        return
    require_program("gpg", "--encrypt-to")
    with open(os.devnull, "r+b") as nothing:
        if run_program(_gpg(encryption.key), nothing, nothing):
            text = f"--encrypt-to: gpg cannot encrypt for {encryption.key!r}; expected a key that"
            text += " it has and trusts, and that has not expired"
            raise UsageError(f"{text} (gpg --list-keys, gpg --lsign-key)")
