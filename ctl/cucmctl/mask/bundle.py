"""Masks all files of an archive or a folder.

First every file is read to collect the originals, then every file is read again and written with
masks. The second pass uses the marks that the first one has found. The masked text is searched for
all originals. The manifest and the checksums are made anew, because the files have changed.
MASKED.txt tells the receiver what was done.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from cucmctl.client.errors import ProtocolError
from cucmctl.export.save import CHECKSUMS, Sink, checked_name
from cucmctl.mask.content import Content, LeftOut, damage_left_out
from cucmctl.mask.kept import read_marks, write_marks
from cucmctl.mask.processes import results
from cucmctl.mask.sources import Source
from cucmmask.escapes import bytes_as_letters, letters_as_bytes
from cucmmask.masks import Masks
from cucmmask.originals import Originals
from cucmmask.places import Kind
from cucmmask.search import Left, Search
from cucmmask.text import Text
from cucmmask.words import Words

MANIFEST, REPORT = "manifest.json", "MASKED.txt"
_PIECE = 128 * 1024
# The marks of shorter texts, such as a cell of a table, are found as fast as they are read.
_LEAST_WITH_MARKS = 4096
_LARGE_BLOCK = 16 * 1024 * 1024


class Masked(NamedTuple):
    """Describes one file with masks.

    checksum  its SHA-256 in hexadecimal
    size      bytes
    modified  when the original file was changed, in seconds since 1970
    left      the originals that are left in it
    left_out  what it does not have, as in `Content.left_out`
    """

    checksum: str
    size: int
    modified: int
    left: set[Left]
    left_out: list[tuple[str, str]]


class Report(NamedTuple):
    """What was done.

    masked    how many different originals of each kind have masks
    rest      how many of them are left somewhere
    left      file -> kind -> how many different originals are left
    left_out  (the masked name of a file, why the file was left out)
    files     how many files were written
    of_nodes  how many originals are names and addresses of nodes that the daemon knows
    """

    masked: dict[Kind, int]
    rest: Mapping[Kind, int]
    left: Mapping[str, Mapping[Kind, int]]
    left_out: list[tuple[str, str]]
    files: int
    of_nodes: int

    def lines(self, most: int = sys.maxsize) -> Iterator[str]:
        """Yields the report for people. It names at most `most` files with a rest, and at most
        `most` files that were left out.
        """
        for kind in Kind:
            if self.masked.get(kind) or self.rest.get(kind):
                rest = self.rest.get(kind, 0)
                yield f"{kind + ':':<30}{self.masked.get(kind, 0)} masked, {rest} left"
        if self.of_nodes:
            yield f"{self.of_nodes} of these are of nodes that the daemon knows"
        for number, (name, kinds) in enumerate(self.left.items()):
            if number < most:
                yield f"left in {name}: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        if len(self.left) > most:
            yield f"left in {len(self.left) - most} more files"
        for name, why in self.left_out[:most]:
            yield f"left out: {name}: {why}"
        if len(self.left_out) > most:
            yield f"left out: {len(self.left_out) - most} more"


class Bundle:
    """Masks the files of `source`.

    own    words of the user's
    hosts  names and addresses of nodes that are known already
    work   a folder for files that only this object needs
    tell   is called with the number of bytes that were read; all files are read twice

    Call `collect`, then `write`, then `map`. The first two raise `OSError`, and `WorkerDied` if a
    process ends without a result.
    """

    def __init__(
        self,
        source: Source,
        masks: Masks,
        work: Path,
        *,
        own: Sequence[str] = (),
        hosts: Iterable[str] = (),
        tell: Callable[[int], None] = lambda done: None,
    ) -> None:
        self._source = source
        self._masks = masks
        self._work = work
        self._own = own
        self._tell = tell
        self._done = 0
        self._sizes: dict[str, int] = {}  # of the files of the first pass, by their names
        self._numbers: dict[str, int] = {}  # of these files; they name the files in `work`
        self._modified: dict[str, float] = {}  # when these files were changed
        self._not_masked: dict[str, str] = {}
        self._left: set[Left] = set()  # in what is being masked
        self.known = Originals({Kind.WORD: own})
        for host in hosts:
            self._add_node(host)
        self._of_nodes = sum(map(len, self.known.by_kind.values())) - len(own)

    # first pass

    def collect(self) -> None:
        """Reads all files, and collects the originals."""
        # The C library would give the memory of each piece of text back to the kernel, which takes
        # a tenth of the time. It keeps what is smaller than the largest block that was freed: see
        # M_MMAP_THRESHOLD in mallopt(3).
        bytes(_LARGE_BLOCK)
        self._sizes = {name: self._source.size(name) for name in self._source.names()}
        self._modified = {name: self._source.modified(name) for name in self._sizes}
        self._numbers = {name: number for number, name in enumerate(self._sizes)}
        if MANIFEST in self._sizes:
            self._read_manifest()
        sizes = self._sizes
        for name, result in results(self._collect_file, sorted(sizes), cost=sizes.__getitem__):
            found, why = result
            self.known.update(found)
            if why is not None:
                self._not_masked[name] = why
            self._count(name)

    def _collect_file(self, name: str) -> tuple[Originals, str | None]:
        """Returns the originals that are new to this process, and why the file is left out."""
        text = self._collector
        why = None

        def collect(piece: str) -> str:
            piece = bytes_as_letters(piece)
            found = text.collect(piece)
            if len(piece) >= _LEAST_WITH_MARKS:
                write_marks(marks, piece, found)
            return ""

        def rename(inner: str) -> str:
            collect(inner)
            return inner

        try:
            checked_name(name)
            with self._source.open(name) as file, self._marks_of(name).open("wb") as marks:
                Content(collect, rename).copy(file, io.BytesIO())
        except LeftOut as error:
            why = str(error)
        except ProtocolError:
            why = "its name leads out of the folder"
        collect(name)
        return text.take_found(), why

    def _read_manifest(self) -> None:
        """Collects the nodes, which are known to be nodes even if their names are short."""
        try:
            with damage_left_out(), self._source.open(MANIFEST) as file:
                first = file.readline()
            job = json.loads(first.removesuffix(b"\n") + b"]}")["job"]
            nodes = [node for node in job["nodes"] if isinstance(node, dict)]
            labels = dict(job["labels"])
        except LeftOut:
            return  # `_collect_file` says why
        except (ValueError, KeyError, TypeError):
            return  # another program's manifest
        for node in nodes:
            for field in ("node", "name"):
                self._add_node(node.get(field))
        for target in job.get("targets") or ():
            self._add_node(str(target).partition(":")[0])
        for label, value in labels.items():
            if label != "case" and isinstance(value, str):
                self.known.add(Kind.LABEL, value)
                self.known.add(Kind.LABEL, json.dumps(value, ensure_ascii=False)[1:-1])

    def _add_node(self, name: object) -> None:
        if not isinstance(name, str) or not name:
            return
        text = Text(self._masks)
        text.collect(f"HostName={name}")
        self.known.update(text.found)

    # second pass

    def write(self, sink: Sink) -> Report:
        """Writes all files with masks into `sink`.

        A file that has changed since the first pass is left out. A file that is new is not looked
        at. The originals of both are not known.
        """
        names = [name for name in self._sizes if name not in self._not_masked]
        new_names = {name: self._rename(name) for name in names}
        last = {MANIFEST, CHECKSUMS}
        files = sorted(name for name in names if name not in last)
        masked: dict[str, Masked] = {}

        for name, result in results(self._mask_file, files, cost=self._sizes.__getitem__):
            if isinstance(result, str):
                self._not_masked[name] = result
            else:
                masked[name] = result
            self._count(name)
        if MANIFEST in names:
            with self._listed_if_left_out(MANIFEST):
                self._left = set()
                with self._new(MANIFEST).open("wb") as out:
                    out.writelines(self._manifest(masked))
                masked[MANIFEST] = self._written(MANIFEST, [])
        listed: list[str] = []
        if CHECKSUMS in names:
            with self._listed_if_left_out(CHECKSUMS), self._source.open(CHECKSUMS) as file:
                listed = [line.decode("utf-8", "surrogateescape") for line in file]
        self._left = set()  # in the names that the report lists
        left_out = [(self._rename(name), why) for name, why in sorted(self._not_masked.items())]
        for name, result in sorted(masked.items()):
            left_out += [
                (f"{new_names[name]}/{self._rename(inner)}".rstrip("/"), why)
                for inner, why in result.left_out
            ]
        left = {new_names[name]: file.left for name, file in sorted(masked.items())}
        left[REPORT] = self._left
        report = Report(
            {kind: len(found) for kind, found in self.known.by_kind.items()},
            _counted(set().union(*left.values())),
            {name: _counted(found) for name, found in left.items() if found},
            left_out,
            len(masked),
            self._of_nodes,
        )
        about = "\n".join([*_ABOUT, *report.lines(), ""]).encode("utf-8", "surrogateescape")
        self._add(sink, REPORT, io.BytesIO(about), len(about), 0)
        if CHECKSUMS in names and CHECKSUMS not in self._not_masked:
            sums = "".join(
                f"{masked[name].checksum}  {new_names[name]}\n"
                for name in (line.rstrip("\n").partition("  ")[2] for line in listed)
                if name in masked
            ).encode("utf-8", "surrogateescape")
            self._add(sink, CHECKSUMS, io.BytesIO(sums), len(sums), 0)
        for name in names:
            if name in masked:
                path = self._new(name)
                with path.open("rb") as content:
                    size, modified = masked[name].size, masked[name].modified
                    self._add(sink, new_names[name], content, size, modified)
                path.unlink()
        return report

    def map(self) -> dict[str, dict[str, str]]:
        """Returns kind -> mask -> original, for `unmask`."""
        words = Words(self._masks, self.known)
        return {
            kind.name: {words.mask_of(kind, original): original for original in originals}
            for kind, originals in self.known.by_kind.items()
        }

    @contextmanager
    def _listed_if_left_out(self, name: str) -> Iterator[None]:
        try:
            with damage_left_out():
                yield
        except LeftOut as error:
            self._not_masked[name] = str(error)

    def _mask_file(self, name: str) -> Masked | str:
        """Returns why the file is left out, if it cannot be masked any more."""
        self._left = set()
        self._rename(name)  # finds out whether something is left in the name
        try:
            with (
                self._source.open(name) as file,
                self._marks_of(name).open("rb") as marks,
                self._new(name).open("wb") as out,
            ):
                content = Content(partial(self._mask_text, marks=marks), self._rename)
                content.copy(file, out)
            return self._written(name, content.left_out)
        except LeftOut as error:
            self._new(name).unlink(missing_ok=True)
            return str(error)
        finally:
            self._marks_of(name).unlink()

    def _written(self, name: str, left_out: list[tuple[str, str]]) -> Masked:
        """Raises `LeftOut` if the file has changed: its new originals may not be known."""
        size, modified = self._source.size(name), self._source.modified(name)
        if (size, modified) != (self._sizes[name], self._modified[name]):
            raise LeftOut("was changed while the files were masked")
        path = self._new(name)
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        return Masked(checksum, path.stat().st_size, int(modified), self._left, left_out)

    def _marks_of(self, name: str) -> Path:
        return self._work / f"{self._numbers[name]}.marks"

    def _new(self, name: str) -> Path:
        return self._work / f"{self._numbers[name]}.masked"

    def _mask_text(self, text: str, marks: IO[bytes] | None = None) -> str:
        """Masks a text whose marks come next in the file `marks`, if there is one."""
        text = bytes_as_letters(text)
        if marks is None or len(text) < _LEAST_WITH_MARKS:
            masked = self._masker.mask(text)
        else:
            masked = self._masker.mask(text, read_marks(marks, text))
        self._left |= self._search.left_in(text, masked, self._masker.fresh)
        return letters_as_bytes(masked)

    def _manifest(self, masked: Mapping[str, Masked]) -> Iterator[bytes]:
        """Yields the manifest with masks, and with the sizes and checksums of the new files."""
        with self._source.open(MANIFEST) as file:
            for line in file:
                text = line.decode("utf-8", "surrogateescape").rstrip("\n")
                entry, comma = text.removesuffix(","), text.endswith(",")
                try:
                    about: dict[str, Any] = json.loads(entry)
                    name = about.get("exported_as") or about["path"]
                except (ValueError, KeyError, TypeError, AttributeError):
                    yield (self._mask_text(text) + "\n").encode("utf-8", "surrogateescape")
                    continue
                about |= {"size": None, "sha256": None, "masked": name in masked}
                if name in masked:
                    about |= {"size": masked[name].size, "sha256": masked[name].checksum}
                for field in ("node", "path", "exported_as"):
                    if isinstance(about.get(field), str):
                        about[field] = self._rename(about[field])
                yield (
                    json.dumps(about, ensure_ascii=False, separators=(",", ":"))
                    + comma * ","
                    + "\n"
                ).encode("utf-8", "surrogateescape")

    def _rename(self, name: str) -> str:
        """Returns the name of a file with masks. Folders are named after nodes, for example."""
        return self._mask_text(name)

    def _add(self, sink: Sink, name: str, content: IO[bytes], size: int, modified: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime = size, modified
        sink.add(member, iter(partial(content.read, _PIECE), b""))

    def _count(self, name: str) -> None:
        self._done += self._sizes[name]
        self._tell(self._done)

    # Text remembers what it has read, which is for the process in which it is made.

    @cached_property
    def _collector(self) -> Text:
        return Text(self._masks, own=self._own)

    @cached_property
    def _masker(self) -> Text:
        return Text(self._masks, self.known, own=self._own)

    @cached_property
    def _search(self) -> Search:
        return Search(self._masks, self.known, self._own)


def _counted(left: set[Left]) -> Counter[Kind]:
    return Counter(kind for kind, _ in left)


_ABOUT = (
    "Numbers, names, addresses and devices in these files are masked: they are not the real ones.",
    "The same original has the same mask in all files. cucmctl(1) says which relations are kept.",
    "The files were searched for every original in its known forms; numbers with fewer than six",
    "digits and names with fewer than five letters only where the trace marks them.",
    "Nothing else was searched for: what no trace marks as a name is not known as one.",
    "",
)
