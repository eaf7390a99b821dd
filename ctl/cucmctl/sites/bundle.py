"""Makes one zip or folder from the exports of several sites, with a folder for each site."""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError
from cucmctl.commands.export import SUFFIXES
from cucmctl.export.save import Format
from cucmctl.export.target import TargetExists, clean_up_at_signals, refuse_existing, target
from cucmctl.sites.places import SUMMARY, Site

_PIECE = 128 * 1024


def make_bundle(
    arguments: argparse.Namespace,
    each: Mapping[Site, argparse.Namespace],
    export: Callable[[], tuple[int, list[str]]],
) -> int:
    """Exports at all sites, and puts the folders of the sites into one zip or folder.

    export  runs the verb at all sites; returns its exit code and a line about each site

    Returns the exit code. Each folder has the summary of its site, with the coverage of each node.
    Raises `UsageError`, and `Failed` if the zip or folder cannot be written.
    """
    path = Path(arguments.output or f"cucmd-{arguments.job}.zip")
    named = next((SUFFIXES[end] for end in SUFFIXES if path.name.lower().endswith(end)), None)
    form: Format = named or arguments.format or "dir"
    if form not in ("zip", "dir") or arguments.format not in (None, form) or path.name == "-":
        raise UsageError("-o: the exports of several sites make a zip or a folder; expected one")
    if arguments.upload or arguments.encrypt_to or arguments.encrypt_with_password:
        raise UsageError("--upload, --encrypt-...: use cucmctl upload FILE after the export")
    clean_up_at_signals()
    try:
        refuse_existing(path, force=arguments.force)
        with tempfile.TemporaryDirectory(".part", ".cucmctl-", path.absolute().parent) as folder:
            for site, own in each.items():
                own.output, own.format, own.force = f"{folder}/{site.name}", "dir", False
            code, lines = export()
            if not any(Path(folder).iterdir()):
                printer.note("nothing was exported")
                return code or exits.FAILED
            Path(folder, SUMMARY).write_text("".join(f"{line}\n" for line in lines))
            with target(path, form, force=arguments.force) as sink:
                for file in sorted(Path(folder).rglob("*")):
                    if not file.is_file():
                        continue
                    member = tarfile.TarInfo(str(file.relative_to(folder)))
                    member.size, member.mtime = file.stat().st_size, int(file.stat().st_mtime)
                    with file.open("rb") as content:
                        sink.add(member, iter(partial(content.read, _PIECE), b""))
                    file.unlink()  # so that the disk never holds all files twice
    except TargetExists as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise exits.Failed(
            f"cannot write {path}: {error.strerror or error}", exits.CANNOT_WRITE
        ) from None
    printer.show({"path": str(path)}, [printer.visible(str(path))], as_json=arguments.json)
    return code
