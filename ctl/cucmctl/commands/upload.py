"""`upload` hands a file over to the vendor, or to another server. `export` does this too.

Everything that can be known to be wrong is found before the export is made: the destination, the
token, and missing programs. What is encrypted is written beside the file, and stays there.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from cucmctl.cli import exits, password, printer
from cucmctl.cli.options import UPLOAD_TOKEN, OnlyOnce, UsageError, Verb, VerbParser
from cucmctl.text import render
from cucmctl.text.progress_line import ProgressLine
from cucmctl.upload import sftp_put
from cucmctl.upload.destination import CXD, Destination, Https, Sftp, destination_of
from cucmctl.upload.encryption import Encryption, check, checked_password

# The variable of the environment with another host of the vendor.
CXD_VARIABLE = "CUCM_CXD_HOST"


def add_upload_options(parser: VerbParser) -> None:
    """Declares the options that `export` and `upload` share."""
    parser.add_argument(
        "--case",
        metavar="NUMBER",
        action=OnlyOnce,
        help=f"the number of the vendor's case, for {CXD}",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        action=OnlyOnce,
        help="the token (or password) of the upload; - is standard input",
    )
    encrypt = parser.add_mutually_exclusive_group()
    encrypt.add_argument(
        "--encrypt-to",
        metavar="KEY",
        action=OnlyOnce,
        help="encrypt for a key of gpg first",
    )
    encrypt.add_argument(
        "--encrypt-with-password",
        dest="password_of_zip",
        action="store_const",
        const="",
        help="encrypt into a zip with AES-256 first; the password is asked for",
    )
    # Not in the group, whose usage Python 3.11 would not wrap.
    parser.add_argument(
        "--encrypt-with-password-file",
        dest="password_of_zip",
        metavar="FILE",
        action=OnlyOnce,
        help="the same with the password in a file; - is standard input, behind the token",
    )


def add_destination(parser: argparse.ArgumentParser, name: str) -> None:
    """Declares the destination, as an argument or as an option."""
    parser.add_argument(
        name,
        metavar="DESTINATION",
        # an option can be given only once; for an argument argparse sees to that
        action=OnlyOnce if name.startswith("-") else "store",
        help=f"{CXD} (the vendor), https://HOST/FOLDER/ or sftp://USER@HOST/FOLDER/",
    )


class Handover(NamedTuple):
    """What is done with a file: it is encrypted, uploaded, or both."""

    encryption: Encryption | None
    destination: Callable[[str], Destination] | None
    token: str | None

    def encrypt(self, path: Path, *, force: bool, keep: bool) -> Path:
        """Returns the path of the file that is handed over. Raises `Failed` and `UsageError`.

        keep  whether the file that was encrypted stays
        """
        if self.encryption is None:
            return path
        encrypted = self.encryption.encrypt(path, force=force)
        if not keep:
            path.unlink()
        return encrypted

    def upload(self, path: Path, *, as_json: bool) -> None:
        """Uploads the file, and prints its checksum. Raises `Failed` and `UsageError`."""
        if self.destination is None:
            return
        to = self.destination(path.name)
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            printer.note(f"uploading {path.name}, {render.size(size)}, to {to.address}")
            if isinstance(to, Sftp):
                checksum = sftp_put.put(file, to)
            else:
                checksum = _put(file, size, to, self.token)
        printer.note(f"uploaded to {to.address}")
        done = {"address": to.address, "bytes": size, "sha256": checksum}
        line = printer.visible(f"{checksum}  {path.name}")  # as sha256sum prints it
        printer.show(done, [line], as_json=as_json)


def _put(file: IO[bytes], size: int, to: Https, token: str | None) -> str:
    from cucmctl.upload import https_put  # noqa: PLC0415  # loads urllib3, which is not for sftp

    with ProgressLine("uploading", size) as progress:
        return https_put.put(file, size, to, token, progress.tell)


def _opened(path: Path) -> IO[bytes]:
    try:
        # O_NONBLOCK: a pipe without a writer would have to be waited for.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UsageError(f"{path} is not a file; expected one, such as case-698123456.zip")
    return file


def encryption_of(arguments: argparse.Namespace) -> Encryption | None:
    """Returns how to encrypt, still without the password; None if nothing is encrypted."""
    if arguments.encrypt_to is None and arguments.password_of_zip is None:
        return None
    if arguments.encrypt_to is not None and arguments.password_of_zip is not None:
        raise UsageError("--encrypt-with-password-file: is not allowed with --encrypt-to")
    return Encryption(arguments.encrypt_to)


def prepared(
    arguments: argparse.Namespace, typed: str | None, name: str, case: str | None
) -> Handover | None:
    """Checks the options before anything is done, and asks for the token and the password.

    Returns None if the file is neither encrypted nor uploaded. Raises `UsageError` and `Failed`.

    typed  the destination; None if nothing is uploaded
    name   a name that the file may have, for checks
    case   the number of the case if no option has it
    """
    encryption = encryption_of(arguments)
    if typed is None:
        for option in ("case", "token_file"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"--{option.replace('_', '-')}: is only for --upload")
        if encryption is None:
            return None
    destination, token = None, None
    if typed is not None:
        host = os.environ.get(CXD_VARIABLE, "")
        destination = partial(destination_of, typed, case=arguments.case or case, cxd_host=host)
    if encryption is not None:
        check(encryption)
    if destination is not None:
        to = destination(name)
        if isinstance(to, Sftp):
            sftp_put.check(to)
        if isinstance(to, Https) and to.user is not None:
            token = _token(arguments, to)
        elif arguments.token_file is not None:
            raise UsageError(f"--token-file: is only for {CXD} and https://USER@HOST/")
    if encryption is not None and encryption.key is None:
        encryption = Encryption(None, _password_of_zip(arguments.password_of_zip))
    return Handover(encryption, destination, token)


def _token(arguments: argparse.Namespace, to: Https) -> str:
    name = arguments.token_file
    if name is not None and not (name == "-" and sys.stdin is not None and sys.stdin.isatty()):
        return password.first_line_of(name, "--token-file", "token")
    token: str | None = arguments.upload_token
    if token and name is None:
        return token
    question = f"Token of {printer.visible(f'{to.user} at {to.host}')}: "
    return _asked(question, "token", f"give --token-file or ${UPLOAD_TOKEN}")


def _password_of_zip(file: str) -> str:
    """Returns the password in the first line of a file; without a file, asks for it twice."""
    if file:
        given = password.first_line_of(file, "--encrypt-with-password-file", "password")
        return checked_password(given)
    instead = "give --encrypt-with-password-file"
    typed = _asked("Password of the encrypted file: ", "password", instead)
    if _asked("The same password again: ", "password", instead) != typed:
        raise UsageError("the two passwords differ; nothing was started")
    return checked_password(typed)


def _asked(question: str, what: str, instead: str) -> str:
    try:
        return password.typed(question, what)
    except OSError:
        text = f"without a terminal, the {what} cannot be asked for; {instead}"
        raise UsageError(text) from None
    except KeyboardInterrupt:
        raise exits.Failed("interrupted; nothing was started", exits.INTERRUPTED) from None


def _upload_arguments(parser: VerbParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the file, which stays here")
    add_destination(parser, "destination")
    add_upload_options(parser)
    parser.add_argument("--force", action="store_true", help="replace an encrypted file")


def _upload(arguments: argparse.Namespace) -> int:
    path = arguments.file
    _opened(path).close()
    if arguments.force and encryption_of(arguments) is None:
        raise UsageError("--force: is only for --encrypt-to and --encrypt-with-password")
    handover = prepared(arguments, arguments.destination, path.name, None)
    assert handover is not None
    path = handover.encrypt(path, force=arguments.force, keep=True)
    handover.upload(path, as_json=arguments.json)
    return exits.DONE


COMMANDS = {
    "upload": Verb(
        "Hands a file over: to the vendor's case, or to a server with HTTPS or SFTP.\n"
        "Prints the SHA-256 of what was sent. Nothing is sent twice.",
        "  cucmctl upload case-698123456.zip cxd --case 698123456\n"
        "  cucmctl upload case.zip sftp://user@host/inbox/ --encrypt-to me@example.org",
        "0 uploaded, 1 not confirmed, 69 no connection, 77 login refused",
        _upload_arguments,
        _upload,
    ),
}
