"""`mask` replaces numbers, names and addresses in files by masks. `unmask` reverses it in a text.

`export --mask` uses this too. Nothing is written if an original is left, unless --allow-rest is
given.
"""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cucmctl.cli import exits, printer
from cucmctl.cli.options import OnlyOnce, UsageError, Verb, VerbParser
from cucmctl.client.client import Client
from cucmctl.client.errors import ClientError
from cucmctl.export.save import Format
from cucmctl.export.target import TargetExists, clean_up_at_signals, target, temporary_folder
from cucmctl.mask.key import key_folder
from cucmctl.text.progress_line import ProgressLine

if TYPE_CHECKING:
    from cucmctl.mask.bundle import Report
    from cucmctl.mask.pieces import PieceMasking
    from cucmctl.mask.sources import Source

# The most files with a rest that are named on the terminal, and the most that were left out.
_MOST_FILES = 10

# The functions below import what compiles many patterns, so that no other verb waits for that.


def add_mask_options(parser: VerbParser) -> None:
    """Declares the options that `export` and `mask` share."""
    parser.add_argument(
        "--word",
        metavar="WORD",
        action="append",
        default=[],
        help="also mask this word, wherever it stands; may be repeated",
    )
    parser.add_argument(
        "--word-file",
        metavar="FILE",
        type=Path,
        action=OnlyOnce,
        help="also mask the words of this file, one in each line",
    )
    parser.add_argument(
        "--allow-rest",
        action="store_true",
        help="write the file although originals are left in it",
    )


def write_masked(
    source: Path,
    to: Path,
    form: Format,
    arguments: argparse.Namespace,
    hosts: list[str],
) -> Report:
    """Writes the files of `source` with masks to `to`, and prints what was masked.

    hosts  names and addresses of nodes that are known already

    Raises `Failed` if originals are left, if no file could be masked, if a process died or if the
    key is damaged; also `UsageError`, `TargetExists` and `OSError`.
    """
    from cucmctl.mask.bundle import REPORT, Bundle  # noqa: PLC0415  # for these verbs only
    from cucmctl.mask.processes import WorkerDied  # noqa: PLC0415  # for these verbs only
    from cucmmask.masks import Masks  # noqa: PLC0415  # for these verbs only

    words = _words(arguments)
    tempfile.tempdir = str(to.parent)  # /tmp may be in memory; the new file needs room here anyway
    folder = key_folder(os.environ)
    masks = Masks(folder.key())
    clean_up_at_signals()
    try:
        with (
            _opened(source) as opened,
            temporary_folder(to.parent) as work,
            target(to, form, force=arguments.force) as sink,
            ProgressLine("masking", 2 * sum(map(opened.size, opened.names()))) as progress,
        ):
            if REPORT in opened.names():
                raise UsageError(f"{source} is masked already; expected the files without masks")
            bundle = Bundle(opened, masks, work, own=words, hosts=hosts, tell=progress.tell)
            bundle.collect()
            report = bundle.write(sink)
            if not report.files:
                _print(report)
                raise exits.Failed("nothing was written, because no file could be masked")
            if report.left and not arguments.allow_rest:
                _print(report)
                text = "nothing was written, because originals are left; with --allow-rest,"
                raise exits.Failed(f"{text} cucmctl writes the file nevertheless")
            folder.add(bundle.map())
    except WorkerDied as error:
        raise exits.Failed(f"nothing was written: {error}", exits.DEFECT) from None
    _print(report)
    return report


def known_hosts(client: Client) -> list[str]:
    """Returns the names and addresses of all nodes that the daemon knows from discoveries."""
    found: list[str] = []
    with suppress(ClientError):
        for cluster in client.clusters():
            name = cluster.name or cluster.asked
            for whole in client.clusters(name) if name else ():
                for node in whole.nodes or ():
                    found.append(node.node)
                    if node.member is not None:
                        found += filter(None, (node.member.address, node.member.name))
                        found += filter(None, (node.member.fqdn,))
    return found


def piece_masking(socket: str | None) -> PieceMasking:
    """Returns what masks the answers of a program, with the key of the user who runs it, and the
    nodes that the daemon knows now. Raises `BadKey` and `OSError`.
    """
    from cucmctl.mask.pieces import PieceMasking  # noqa: PLC0415

    with Client(socket) as client:
        return PieceMasking(key_folder(os.environ), known_hosts(client))


def _words(arguments: argparse.Namespace) -> list[str]:
    words: list[str] = list(arguments.word)
    if (file := arguments.word_file) is not None:
        try:
            words += file.read_text("utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise UsageError(f"--word-file: {file} cannot be read: {error}") from None
    words = [word.strip() for word in words if word.strip()]
    if short := [word for word in words if len(word) < 2]:
        raise UsageError(f"--word: {short[0]!r} is too short; expected two characters or more")
    return words


@contextmanager
def _opened(source: Path) -> Iterator[Source]:
    """Yields the files of an archive or a folder."""
    from cucmctl.mask import sources  # noqa: PLC0415  # for these verbs only

    try:
        if not source.is_dir() and zipfile.is_zipfile(source):
            with closing(sources.ZipSource(source)) as opened:
                yield opened
        elif source.is_file() and tarfile.is_tarfile(source):
            with (
                tempfile.TemporaryFile() as plain,
                closing(sources.TarSource(source, plain)) as tar,
            ):
                if tar.cut:
                    printer.note(f"{source} is cut: its last files are missing")
                yield tar
        elif source.is_dir() or source.is_file():
            yield sources.FolderSource(source)
        else:
            raise UsageError(f"{source}: no such file or folder; expected a zip, a tar or a folder")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UsageError(f"{source} is damaged: {error}") from None


def _print(report: Report) -> None:
    for line in report.lines(_MOST_FILES):
        printer.note(line)


def _mask_arguments(parser: VerbParser) -> None:
    parser.add_argument("source", metavar="IN", type=Path, help="a zip, a tar, a folder or a file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        action=OnlyOnce,
        required=True,
        help="the new zip; a name without .zip is a new folder",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file or folder")
    add_mask_options(parser)


def _mask(arguments: argparse.Namespace) -> int:
    if arguments.output.name.lower().endswith((".tar", ".tgz", ".gz")):
        raise UsageError(f"-o: {arguments.output} is no zip; expected OUT.zip, or a new folder")
    hosts: list[str] = []
    with suppress(ClientError), Client(arguments.socket) as client:
        hosts = known_hosts(client)
    form: Format = "zip" if arguments.output.suffix.lower() == ".zip" else "dir"
    try:
        report = write_masked(arguments.source, arguments.output, form, arguments, hosts)
    except TargetExists as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        printer.note(f"cannot write {arguments.output}: {error.strerror or error}")
        return exits.CANNOT_WRITE
    except KeyboardInterrupt:
        printer.note("interrupted; nothing was written")
        return exits.INTERRUPTED
    shown = {"path": str(arguments.output.absolute()), **fields(report)}
    text = printer.visible(str(arguments.output))
    printer.show(shown, [text], as_json=arguments.json)
    return code_of(report)


def fields(report: Report) -> dict[str, object]:
    """Returns the report for JSON."""
    return {
        "files": report.files,
        "masked": {kind.name.lower(): number for kind, number in report.masked.items() if number},
        "rest": {kind.name.lower(): number for kind, number in report.rest.items()},
        "left": {
            name: {kind.name.lower(): number for kind, number in kinds.items()}
            for name, kinds in report.left.items()
        },
        "left_out": [{"name": name, "reason": why} for name, why in report.left_out],
    }


def code_of(report: Report) -> int:
    return exits.PARTIAL if report.left_out or report.left else exits.DONE


def _unmask_arguments(parser: VerbParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a text with masks; - is standard input")


def _unmask(arguments: argparse.Namespace) -> int:
    from cucmmask.escapes import bytes_as_letters, letters_as_bytes  # noqa: PLC0415  # likewise
    from cucmmask.unmask import unmask  # noqa: PLC0415  # for these verbs only

    try:
        if arguments.file == "-":
            data = sys.stdin.buffer.read()
        else:
            data = Path(arguments.file).read_bytes()
    except OSError as error:
        raise UsageError(f"{arguments.file} cannot be read: {error.strerror}") from None
    if b"\0" in data:
        raise UsageError(f"{arguments.file} is no text; expected a text, such as an answer by mail")
    made = key_folder(os.environ).masks()
    if not made:
        raise exits.Failed("nothing was masked here yet, so there is nothing to reverse")
    text = unmask(bytes_as_letters(data.decode("utf-8", "surrogateescape")), made)
    for line in letters_as_bytes(text).splitlines():
        printer.line(printer.visible(line.replace("\t", "    ")))
    return exits.DONE


COMMANDS = {
    "mask": Verb(
        "Replaces numbers, names, addresses and devices in the files of an archive by masks, so\n"
        "that the files can be given away and calls can still be followed. The same original\n"
        "always has the same mask. The key and the map stay in $XDG_DATA_HOME/cucmctl/mask.",
        "  cucmctl mask case.zip -o masked.zip\n"
        "  cucmctl mask traces/ -o masked.zip --word Acme --word-file words.txt",
        "0 done, 1 originals are left and nothing was written, 3 files were left out, or with\n"
        "--allow-rest originals are left, 74 not written",
        _mask_arguments,
        _mask,
    ),
    "unmask": Verb(
        "Prints a text with the originals in place of masks that were made here.",
        "  cucmctl unmask reply.txt\n  cucmctl unmask reply.txt >real.txt",
        "0 done, 1 nothing was ever masked here",
        _unmask_arguments,
        _unmask,
    ),
}
