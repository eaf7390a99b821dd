"""PURE. Describes targets: places in a configuration, to which jobs are exported and uploaded.

`cucmweb` and `cucmagent` read tables such as `[targets.vendor]`, and run `cucmctl export` for them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from cucmctl.cli.options import UsageError
from cucmctl.upload.destination import Https, destination_of
from cucmd.toml_file import TomlFile, text

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


def check_absolute(path: str) -> None:
    """Raises `ValueError` unless this is an absolute path."""
    if not Path(path).is_absolute() or "\0" in path:
        raise ValueError("expected an absolute path")


_Path = Annotated[str, text(check_absolute, may_be_empty=True)]


class TargetSettings(Struct, frozen=True):
    """Describes a target to which jobs can be handed over, such as `[targets.vendor]`."""

    url: str  # cxd, https://HOST/FOLDER/, https://USER@HOST/FOLDER/ or sftp://USER@HOST/FOLDER/
    token_file: _Path = ""  # has the token or password; without a file each request has the token
    mask: Literal["always", "yes", "no"] = "yes"  # yes and no are for requests that do not say it
    word_file: _Path = ""  # words that are masked too, one in each line
    encrypt_to: str = ""  # encrypt for this key of gpg
    encrypt_with_password: bool = False  # into a zip; each request has the password

    @property
    def has_login(self) -> bool:
        """Returns whether an upload needs a token or password."""
        to = destination_of(self.url, "file", case="0")
        return isinstance(to, Https) and to.user is not None

    def options(self, *, masked: bool, case: str | None = None) -> list[str]:
        """Returns the options of `cucmctl export`. None of them is a secret.

        case  the number of the case; without it, cucmctl takes that in the job's label `case`
        """
        options = ["--upload", self.url, *(["--case", case] if case else [])]
        if masked:
            options += ["--mask"]
            options += ["--word-file", self.word_file] if self.word_file else []
        options += ["--encrypt-to", self.encrypt_to] if self.encrypt_to else []
        options += ["--encrypt-with-password-file", "-"] if self.encrypt_with_password else []
        options += ["--token-file", self.token_file or "-"] if self.has_login else []
        return options


class Uploaded(Struct):
    """Says what a target has confirmed."""

    address: str
    bytes: int
    sha256: str


def uploaded(printed: bytes | bytearray) -> Uploaded | None:
    """Returns what `cucmctl --json export` has uploaded, or None if no upload was confirmed.

    printed  its standard output. After a confirmed upload, the last line is the result
    """
    try:
        return msgspec.json.decode((printed.splitlines() or [b""])[-1], type=Uploaded)
    except msgspec.MsgspecError:
        return None


def read_targets(file: TomlFile, value: object) -> dict[str, TargetSettings]:
    """Returns the targets in the table `targets`. Raises `ConfigError`, which never has a secret.

    value  the value of that table in the file
    """
    names = value if isinstance(value, dict) else ()
    tables = file.table(("targets",), value, names)
    return {name: _target(file, name, table) for name, table in tables.items()}


def _target(file: TomlFile, name: str, table: object) -> TargetSettings:
    if not _NAME.fullmatch(name):
        reason = "expected a name of 1 to 40 letters, digits, _ and -"
        raise file.error(("targets", name), reason)
    target = file.convert(("targets", name), table, TargetSettings)
    key, reason = "url", ""
    try:
        to = destination_of(target.url, "file", case="0")
        if isinstance(to, Https) and to.query:
            reason = "has a query; expected none, since a presigned address is for one file"
        elif target.token_file and not target.has_login:
            key, reason = "token_file", "is only for cxd and https://USER@HOST/FOLDER/"
        elif target.encrypt_to and target.encrypt_with_password:
            key, reason = "encrypt_with_password", "expected either this or encrypt_to"
        elif not target.url.endswith(("cxd", "/")):
            reason = "expected a / at the end, behind which the name of each file is added"
    except UsageError as error:
        reason = str(error)
    if reason:
        raise file.error(("targets", name, key), reason)
    return target
