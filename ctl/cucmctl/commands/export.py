"""`export` writes a job into one file that can be handed on. `verify` compares checksums.

Standard output has only the export, or a line for each file that differs. Everything else is
printed on standard error.
"""

from __future__ import annotations

import argparse
import os
import signal
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import IO, cast

from cucmctl.cli import exits, printer
from cucmctl.cli.options import OnlyOnce, UsageError, Verb, VerbParser, add_job, add_nodes_of_job
from cucmctl.client.client import Client
from cucmctl.client.wire import Remote
from cucmctl.commands import mask, upload
from cucmctl.commands.find import add_search, search_of, with_times
from cucmctl.commands.lookup import keeps_files
from cucmctl.commands.upload import Handover
from cucmctl.export.received import Export, ResumedExport
from cucmctl.export.save import Damaged, Format, checked_name, save
from cucmctl.export.target import (
    TargetExists,
    clean_up_at_signals,
    refuse_existing,
    target,
    temporary_folder,
)
from cucmctl.sites.places import SUMMARY
from cucmctl.text import render
from cucmctl.text.progress_line import ProgressLine
from cucmd.protocol.cases import Search, VerifyReply

# End of a file name -> format. The first end of each format is added to a name that has no such
# end.
SUFFIXES: dict[str, Format] = {".zip": "zip", ".tar": "tar", ".tgz": "tgz", ".tar.gz": "tgz"}
FORMATS: tuple[Format, ...] = ("zip", "tar", "tgz", "dir")
# Seconds within which an export from another site has to go on after the link broke.
RESUME_WITHIN = 300.0
# Exit code of the export at a site -> what the file SUMMARY says, beside the folders of the sites.
_ENDINGS = {exits.DONE: "exported", exits.PARTIAL: "exported, with files left out"}
_PIECE = 128 * 1024
# Fields of the reply that are not printed, because they do not describe the export.
_ONLY_FOR_US = frozenset({"length", "name"})


def _export_arguments(parser: VerbParser) -> None:
    add_job(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE|DIR|-",
        action=OnlyOnce,
        help="the target; - is standard output (default: case-CASE.zip or cucmd-JOB.zip here)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        action=OnlyOnce,
        help="zip, tar, tgz, or dir for a folder (default: by the name of the output, else zip)",
    )
    add_nodes_of_job(parser)
    parser.add_argument("--incomplete", action="store_true", help="include incomplete files")
    parser.add_argument("--force", action="store_true", help="replace an existing file or folder")
    parser.add_argument(
        "--mask", action="store_true", help="mask numbers, names, addresses and devices"
    )
    mask.add_mask_options(parser)
    parser.set_defaults(partial=False)  # whether masking left out files, or left originals
    upload.add_destination(parser, "--upload")
    upload.add_upload_options(parser)
    parser.add_argument(
        "--found",
        metavar="WORDS",
        nargs="?",
        const="",
        action=OnlyOnce,
        help="only files with a line that cucmctl find finds: --found WORDS, or --found --number N",
    )
    add_search(parser.add_argument_group("with --found"))


def _search(arguments: argparse.Namespace) -> Search | None:
    """Returns the search of --found, or None if all files are exported. Raises `UsageError`."""
    if arguments.found is not None:
        return search_of(arguments, arguments.found or None)
    for option in ("regex", "number", "call_id", "ignore_case", "path", "since", "until"):
        if getattr(arguments, option):
            raise UsageError(f"--{option.replace('_', '-')}: needs --found")
    return None


def _form_of(arguments: argparse.Namespace) -> Format:
    """Returns the format, and completes the name of the output."""
    encryption = upload.encryption_of(arguments)
    if encryption is not None and arguments.output is not None:
        arguments.output = encryption.plain_name(arguments.output)
    form = _format(arguments.format, arguments.output)
    if (encryption or arguments.upload) and (arguments.output == "-" or form == "dir"):
        raise UsageError("--upload and --encrypt-...: need a file; expected -o FILE, and not dir")
    if arguments.output == "-":
        if form == "dir":
            raise UsageError("--format: dir needs a folder; give -o FOLDER")
        if printer.standard_output().isatty():
            raise UsageError("-o: standard output is a terminal; give a file, or use a pipe")
    elif arguments.output is not None:
        arguments.output = _with_suffix(arguments.output, form)
    return form


def _export(arguments: argparse.Namespace) -> int:
    form, search = _form_of(arguments), _search(arguments)
    if not arguments.mask and (arguments.word or arguments.word_file or arguments.allow_rest):
        raise UsageError("--word, --word-file and --allow-rest: are only for --mask")
    if arguments.mask and (arguments.output == "-" or form in ("tar", "tgz")):
        raise UsageError("--mask: writes a zip or a folder; expected -o FILE.zip or --format dir")
    with Client(arguments.socket) as client:
        handover = _handover(client, arguments, form)
        if search is not None:
            search = with_times(search, arguments, client.status(arguments.job))
        try:
            make = _make_masked if arguments.mask else _make_export
            export, path = make(client, arguments, form, search)
        except TargetExists as error:
            raise UsageError(str(error)) from None
        except _NoFile as error:
            printer.note(f"nothing was exported: {error}")
            return exits.FAILED
        except Damaged as error:
            printer.note(f"{error}; the next export leaves it out")
            return exits.CANNOT_WRITE
        except BrokenPipeError:  # `main` handles this for all verbs
            raise
        except OSError as error:
            given = arguments.output or "the export"
            where = "to standard output" if given == "-" else given
            printer.note(f"cannot write {where}: {error.strerror or error}")
            return exits.CANNOT_WRITE
        except KeyboardInterrupt:
            printer.note("interrupted; the incomplete export was removed")
            return exits.INTERRUPTED
    return _finish(export, path, handover, arguments)


def _finish(
    export: ResumedExport,
    path: Path | None,
    handover: Handover | None,
    arguments: argparse.Namespace,
) -> int:
    """Encrypts, reports and uploads the export. Returns the exit code."""
    if handover is not None and path is not None:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # see _ignore_ctrl_c
        except KeyboardInterrupt:
            raise exits.Failed(f"interrupted; the export is {path}", exits.INTERRUPTED) from None
        path = handover.encrypt(path, force=arguments.force, keep=False)
    _report(export, path, as_json=arguments.json)
    if handover is not None and path is not None:
        handover.upload(path, as_json=arguments.json)
    left_out = export.reply.damaged or export.reply.unsearched
    return exits.PARTIAL if left_out or arguments.partial else exits.DONE


def _handover(client: Client, arguments: argparse.Namespace, form: Format) -> Handover | None:
    """Returns what is done with the export, or None. The label `case` can give the case."""
    labels = client.status(arguments.job).labels if arguments.upload is not None else None
    name = f"{arguments.job}{_suffix(form)}"
    return upload.prepared(arguments, arguments.upload, name, (labels or {}).get("case"))


def export_sites(
    arguments: argparse.Namespace,
    run: Callable[[argparse.Namespace], tuple[int, Mapping[str, int]]],
) -> int:
    """Exports at several sites, and makes one zip or folder with a folder for each site.

    run  makes the folders in the folder `output` of its arguments; returns the exit code for all
         sites, and that of each site

    Returns the exit code. Raises `UsageError`, and `Failed` if the file cannot be written.
    """
    arguments.output = arguments.output or f"cucmd-{arguments.sites_id}.zip"
    form = _form_of(arguments)
    path = Path(arguments.output)
    if form not in ("zip", "dir") or path.name == "-":
        raise UsageError("-o: the exports of several sites make a zip or a folder; expected one")
    handover = upload.prepared(arguments, arguments.upload, path.name, None)
    clean_up_at_signals()
    try:
        refuse_existing(path, force=arguments.force)
        with temporary_folder(path.absolute().parent) as folder:
            own = copy(arguments)
            own.output, own.format, own.force = str(folder), "dir", False
            own.upload = own.case = own.token_file = None
            own.encrypt_to = own.password_of_zip = None
            code, codes = run(own)
            if not os.listdir(folder):
                raise exits.Failed("nothing was exported", code or exits.FAILED)
            lines = (f"{name}: {_ENDINGS.get(codes[name], 'not exported')}\n" for name in codes)
            (folder / SUMMARY).write_text("".join(lines))
            with target(path, form, force=arguments.force) as sink:
                for file in sorted(filter(Path.is_file, folder.rglob("*"))):
                    member = tarfile.TarInfo(str(file.relative_to(folder)))
                    member.size, member.mtime = file.stat().st_size, int(file.stat().st_mtime)
                    with file.open("rb") as content:
                        sink.add(member, iter(partial(content.read, _PIECE), b""))
                    file.unlink()  # so that the disk never holds all files twice
    except TargetExists as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        text = f"cannot write {path}: {error.strerror or error}"
        raise exits.Failed(text, exits.CANNOT_WRITE) from None
    if handover is not None:
        path = handover.encrypt(path, force=arguments.force, keep=False)
    printer.show({"path": str(path)}, [printer.visible(str(path))], as_json=arguments.json)
    if handover is not None and arguments.upload:
        if not {*codes.values()} <= {exits.DONE, exits.PARTIAL}:
            printer.note(f"not uploaded, since sites are missing; to do so: cucmctl upload {path}")
            return code
        handover.upload(path, as_json=arguments.json)
    return code


class _NoFile(Exception):
    """The export would have no file of a node."""


def _make_export(
    client: Client,
    arguments: argparse.Namespace,
    form: Format,
    search: Search | None,
    into: IO[bytes] | None = None,
) -> tuple[ResumedExport, Path | None]:
    """Makes the export, and returns it with the path of the file.

    into  is written as a zip instead of the path, which is to be written later

    cucmctl notices a damaged file only after it has written the summary and the file. So it asks
    the daemon for another export, and names the suspect files: the daemon reads them again, and
    leaves out those that are damaged. On standard output a second export cannot replace the first.
    In that case the daemon is only told the suspect files, and the user's next export leaves them
    out.

    Raises `_NoFile`, `Damaged`, `OSError`, and what `_save` raises.
    """
    suspect: tuple[str, ...] | None = None
    while True:

        def begin(after: str | None, suspect: Sequence[str] | None = suspect) -> Export:
            return client.export(
                arguments.job,
                nodes=arguments.node,
                incomplete=arguments.incomplete,
                after=after,
                suspect=suspect,
                found=search,
            )

        patience = RESUME_WITHIN if isinstance(client.socket, Remote) else 0.0
        with ResumedExport(begin, printer.note, patience) as export:
            reply = export.reply
            if not reply.files and not reply.damaged:
                why = "no file came; cucmctl transcript tells why"
                if search is not None:
                    why = "no file has a match; cucmctl find tells what is missing"
                raise _NoFile(_left_out(reply.left_out) or why)
            path = _path(arguments.output, reply.name, form)
            if path is not None and (encryption := upload.encryption_of(arguments)) is not None:
                refuse_existing(encryption.name_of(path), force=arguments.force)
            if path is not None and into is not None:
                refuse_existing(path, force=arguments.force)
                into.truncate(0)
                into.seek(0)
            try:
                _save(export, path, form, force=arguments.force, into=into)
            except Damaged as error:
                if suspect is not None:
                    raise
                suspect, damaged = error.suspect, error
            else:
                return export, path
        if path is None:
            client.export(arguments.job, nodes=arguments.node, suspect=suspect).close()
            raise damaged


def _make_masked(
    client: Client, arguments: argparse.Namespace, form: Format, search: Search | None
) -> tuple[ResumedExport, Path]:
    """Makes the export, and from it the masked one. Returns the path of the masked one.

    The export that is not masked is in a file without a name. The kernel removes it even if this
    process is killed. Raises what `_make_export` and `write_masked` raise.
    """
    beside = Path(arguments.output or ".")
    beside = beside if beside.is_dir() else beside.parent
    with tempfile.TemporaryFile(dir=beside) as file:
        whole = cast(IO[bytes], file)
        export, path = _make_export(client, arguments, form, search, whole)
        assert path is not None
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # see _ignore_ctrl_c
        source = Path(f"/proc/self/fd/{whole.fileno()}")
        report = mask.write_masked(source, path, form, arguments, mask.known_hosts(client))
    arguments.partial = mask.code_of(report) == exits.PARTIAL
    return export, path


def _save(
    export: ResumedExport, path: Path | None, form: Format, *, force: bool, into: IO[bytes] | None
) -> None:
    clean_up_at_signals()
    to, form = (into, "zip") if into is not None else (path, form)
    with (
        target(to, form, force=force, when_whole=_ignore_ctrl_c) as sink,
        ProgressLine("exporting", whole := export.reply.length) as progress,
    ):
        save(export, sink, lambda: progress.tell(whole - export.left), export.passed)


def _ignore_ctrl_c() -> None:
    """Ignores Ctrl-C until the process ends.

    This is called when the export is complete: Ctrl-C could otherwise report a complete export as
    interrupted. The signal is blocked, since a signal handler is not enough: Python restores the
    default handler when it exits, and a late Ctrl-C would then kill the process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def _format(chosen: Format | None, output: str | None) -> Format:
    """Returns the format that the name implies, or `chosen` if the name implies none."""
    if output is None or output == "-":
        return chosen or ("zip" if output is None else "tar")
    named = next((SUFFIXES[end] for end in SUFFIXES if output.lower().endswith(end)), None)
    if output.endswith("/") and not os.path.isdir(output):
        named = "dir"
    elif os.path.isdir(output):  # the export is written into this folder
        named = None
    if chosen is not None and named not in (None, chosen):
        raise UsageError(
            f"--format: {chosen}, but {output} is the name of a {named}; give one of them"
        )
    return named or chosen or "zip"


def _with_suffix(output: str, form: Format) -> str:
    path = Path(output)
    named = form == "dir" or output.lower().endswith(tuple(SUFFIXES))
    if named or path.is_dir() or _is_special(path):
        return output
    what = f"the suffix {path.suffix} names no format" if path.suffix else "there is no suffix"
    printer.note(f"{output}: {what}; writing to {output}{_suffix(form)}")
    return output + _suffix(form)


def _suffix(form: Format) -> str:
    return next((end for end, named in SUFFIXES.items() if named == form), "")


def _path(output: str | None, name: str, form: Format) -> Path | None:
    if output == "-":
        return None
    path = Path(output or ".")
    return path / f"{checked_name(name)}{_suffix(form)}" if path.is_dir() else path


def _is_special(path: Path) -> bool:
    """Returns whether the path is neither a file nor a link, as /dev/null is."""
    return os.path.lexists(path) and not path.is_symlink() and not path.is_file()


def _report(export: ResumedExport, path: Path | None, *, as_json: bool) -> None:
    reply = export.reply
    if path is not None and as_json:
        shown = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
        printer.json_line({"path": shown, **_fields(export)})
    elif path is not None:
        printer.line(printer.visible(str(path)))
    count = render.count_of(reply.files, "file")
    printer.note(f"exported {count}, {render.size(reply.bytes)}")
    if left_out := _left_out(reply.left_out):
        printer.note(left_out)
    if reply.damaged:
        printer.note(f"left out: {render.count_of(reply.damaged, 'file')} not as received")
    for file in reply.wrong or ():
        printer.note(f"  {file.name or file.node}: {file.path} {file.reason}")
    if reply.damaged and reply.damaged > len(reply.wrong or ()):
        printer.note("  summary.txt lists more")
    if reply.unsearched:
        files = render.count_of(reply.unsearched, "file")
        printer.note(f"left out unless a match was found before: {files} not searched to the end")
    for file in reply.unread or ():
        printer.note(f"  {file.name or file.node}: {file.path} {file.reason}")
    if reply.unsearched and reply.unsearched > len(reply.unread or ()):
        printer.note("  cucmctl find --json names all of them")


def _left_out(count: int) -> str:
    number = render.count_of(count, "file")
    return f"left out: {number} not complete; to include them: --incomplete" if count else ""


def _fields(export: ResumedExport) -> dict[str, object]:
    reply = export.reply
    return {
        name: getattr(reply, name) for name in reply.__struct_fields__ if name not in _ONLY_FOR_US
    }


def _verify_arguments(parser: VerbParser) -> None:
    add_job(parser)
    add_nodes_of_job(parser)


def _verify(arguments: argparse.Namespace) -> int:
    wrong = 0
    last = VerifyReply(0, 0, ())
    with Client(arguments.socket) as client:
        try:
            for last in client.verify(arguments.job, arguments.node):
                wrong += len(last.wrong)
                for file in last.wrong:
                    text = printer.visible(f"{file.name or file.node}  {file.path}  {file.reason}")
                    printer.show(file, [text], as_json=arguments.json)
        except KeyboardInterrupt:
            printer.note(f"interrupted after {render.count_of(last.files, 'file')}")
            return exits.INTERRUPTED
    if not last.files:
        printer.note("nothing was compared: no file came completely")
        return exits.FAILED
    verdict = "all as received"
    if wrong:
        verdict = f"{render.count_of(wrong, 'file')} of them not as received"
    printer.note(f"{render.count_of(last.files, 'file')}, {render.size(last.bytes)}: {verdict}")
    return exits.FAILED if wrong else exits.DONE


COMMANDS = {
    "export": Verb(
        "Writes everything of a job into one zip, tar or folder: the files with the names\n"
        "that the nodes gave them, transcripts, a manifest, SHA256SUMS and summary.txt.\n"
        "Files that are incomplete, or have changed since they were received, are left out.",
        "  cucmctl export 3f2a -o case-698123456.zip\n"
        "  cucmctl export 3f2a --format tar -o - | ssh archive 'cat > 3f2a.tar'",
        "0 done, 1 there is no file, 3 files are left out because they are damaged, or\n"
        "could not be searched for --found, 74 not written; with --upload also those of upload",
        _export_arguments,
        _export,
        keeps_files,
    ),
    "verify": Verb(
        "Compares each complete file of a job with the checksum that it had when received.\n"
        "Prints the files that differ or are missing.",
        "  cucmctl verify 3f2a\n  cucmctl verify 3f2a --node ccm-sub1",
        "0 all files are as received, 1 files differ or are missing, or no file came",
        _verify_arguments,
        _verify,
        keeps_files,
    ),
}
