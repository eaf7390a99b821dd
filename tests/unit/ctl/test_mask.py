"""The verbs `mask` and `unmask`, on archives and folders."""

import gzip
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cucmctl.cli import exits
from cucmctl.export.save import FolderSink
from cucmctl.main import main
from cucmctl.mask.bundle import Bundle
from cucmctl.mask.kept import read_marks, write_marks
from cucmctl.mask.processes import WorkerDied, results
from cucmctl.mask.sources import FolderSource, ZipSource
from cucmmask.masks import Masks
from cucmmask.text import Text

HEAD = "04241138.007 |11:27:41.238 |AppInfo  |"
TRACE = f"""\
{HEAD}SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from 10.20.30.102 on port 50147 index 32
INVITE sip:2001@10.20.30.5;user=phone SIP/2.0
From: "Miller, Mary" <sip:2000@10.20.30.5>;tag=38ed18552a12296c00ff41e8-5fb7856e
Call-ID: 38ed1855-2a120006-78c34baf-1b81d864@10.20.30.102
Session-ID: 1001532000105000a00038ed18552a12;remote=00000000000000000000000000000000
Contact: <sip:x@10.20.30.102>;+u.sip!devicename.ccm.cisco.com="SEP38ED18552A12"
{HEAD}Digit analysis: match(pi="2", fqcn="+14085252000", cn="2000", pss="Acme-PT", dd="2001")
Call-ID: 34241a00-d6514bed-327f-51e140a@10.20.30.5
"""
ORIGINALS = re.compile(
    rb"10\.20\.30\.|51e140a|38ed1855|38ED18552A12|\b200[01]\b|4085252000|(?i:miller|\bmary|acme)|ucm1"
)
LABELS = {"case": "698123456", "customer": "ACME", "about": "calls of Acme Corp"}


@pytest.fixture(autouse=True)
def temporary_folder_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mask` moves the temporary files of its process, which here is that of all tests."""
    monkeypatch.setattr(tempfile, "tempdir", None)


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tgz(files: dict[str, bytes]) -> bytes:
    with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def case(files: dict[str, bytes]) -> dict[str, bytes]:
    """Adds the documents of an export."""
    nodes = [{"node": "10.20.30.5", "name": "ucm1"}]
    job = {"job_id": "57f3", "targets": ["10.20.30.5"], "labels": LABELS, "nodes": nodes}
    entries = [
        json.dumps(
            {"node": "10.20.30.5", "path": name, "size": len(data), "sha256": checksum(data)}
        )
        for name, data in files.items()
    ]
    sums = "".join(f"{checksum(data)}  {name}\n" for name, data in files.items())
    summary = "".join(f"{name + ':':<12}{value}\n" for name, value in LABELS.items())
    manifest = '{"job":' + json.dumps(job) + ',"files":[\n' + ",\n".join(entries) + "\n]}\n"
    return {
        "summary.txt": f"{summary}\nNODE  ADDRESS\nucm1  10.20.30.5\n".encode(),
        "SHA256SUMS": sums.encode(),
        "manifest.json": manifest.encode(),
        "transcripts/ucm1.log": b"Welcome to ucm1\nSFTP server IP: 10.20.30.9\n",
        **files,
    }


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def plain(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields the texts of a file, which may be packed."""
    if name.endswith(".tgz"):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                yield member.name, tar.extractfile(member).read()  # type: ignore[union-attr]
    else:
        yield name, gzip.decompress(data) if name.endswith(".gz") else data


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CUCMD_SOCKET", str(tmp_path / "none"))
    folder = tmp_path / "data/cucmctl/mask"
    folder.mkdir(parents=True)
    (folder / "key").write_text("5a" * 32)  # so that masks are not originals by chance
    return folder


@pytest.fixture
def mask(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Masks files in a zip, and returns the files of the new one."""

    def _mask(files: dict[str, bytes], *options: str, code: int = exits.DONE) -> dict[str, bytes]:
        source, to = write_zip(tmp_path / "in.zip", files), tmp_path / "out.zip"
        assert main(["mask", str(source), "-o", str(to), "--force", *options]) == code
        return read_zip(to) if to.exists() else {}

    return _mask


FILES = {
    "ucm1/sdl/SDL1.txt.gz": gzip.compress(TRACE.encode()),
    "ucm1/plain.txt": TRACE.encode(),
    "ucm1/active_1.tgz": tgz({"ucm1/SDL2.txt": TRACE.encode()}),
}


def test_no_original_is_left(mask: Callable[..., dict[str, bytes]]) -> None:
    masked = mask(case(FILES))
    assert len(masked) == len(case(FILES)) + 1
    for name, data in masked.items():
        for inner, text in plain(name, data):
            assert not ORIGINALS.search(inner.encode() + b"\n" + text), inner


def test_same_mask_in_all_files(mask: Callable[..., dict[str, bytes]]) -> None:
    texts = [
        text
        for name, data in mask(case(FILES)).items()
        if name.endswith(("z", "plain.txt"))
        for _, text in plain(name, data)
    ]
    assert len(texts) == 3
    assert len(set(texts)) == 1
    assert mask({"another.txt": TRACE.encode()})["another.txt"] == texts[0]


def test_call_can_be_followed(mask: Callable[..., dict[str, bytes]]) -> None:
    """Lines, methods, times and lengths stay; equal identifiers are equal afterwards."""
    after = mask({"a.txt": TRACE.encode()})["a.txt"].decode()
    assert [line.split(":")[0] for line in after.splitlines()] == [
        re.sub("2001@10.20.30.5", after.splitlines()[1].split()[1][4:].split(";")[0], line).split(
            ":"
        )[0]
        for line in TRACE.splitlines()
    ]
    mac = re.search("SEP(.{12})", after)[1].lower()  # type: ignore[index]
    assert after.lower().count(mac) == TRACE.lower().count("38ed18552a12")
    assert f"Call-ID: {mac[:8]}-{mac[8:]}0006-78c34baf-1b81d864@" in after


def test_documents_fit_the_new_files(mask: Callable[..., dict[str, bytes]]) -> None:
    masked = mask(case(FILES))
    sums = dict(line.split("  ")[::-1] for line in masked["SHA256SUMS"].decode().splitlines())
    manifest = json.loads(masked["manifest.json"])
    assert len(sums) == len(manifest["files"]) == len(FILES)
    for file in manifest["files"]:
        data = masked[file["path"]]
        assert (file["size"], file["sha256"]) == (len(data), checksum(data))
        assert sums[file["path"]] == checksum(data)
    assert manifest["job"]["labels"]["case"] == LABELS["case"]


def test_what_cannot_be_masked_is_left_out(mask: Callable[..., dict[str, bytes]]) -> None:
    files = {
        "a/core": b"text\n\0\1",
        "a/utf16": "\u59d3\u540d".encode("utf-16"),  # which has no NUL byte
        "a/utf16.ru": "Иванов".encode("utf-16-le"),  # the same, without a byte order mark
        "a/x.pdf": b"%PDF-1.4\nAuthor(Jane)\n",
        "a/later.zip": zip_with_wrong_entry(6, b"\x63"),
        "a/x.cap": b"\xd4\xc3\xb2\xa1" + b"x" * 50,
        "a/damaged.gz": gzip.compress(TRACE.encode())[:-8] + b"\0" * 8,
        "a/in.tgz": tgz({"bin": b"\0", "good.txt": b"good"}),
        "a/trace.txt": TRACE.encode(),
    }
    masked = mask(files, code=exits.PARTIAL)
    assert masked.keys() == {"MASKED.txt", "a/in.tgz", "a/trace.txt"}
    assert dict(plain("in.tgz", masked["a/in.tgz"])) == {"good.txt": b"good"}
    listed = masked["MASKED.txt"].decode()
    names = {"core", "x.cap", "damaged.gz", "bin", "utf16", "utf16.ru", "x.pdf", "later.zip"}
    assert names <= set(re.findall(r"([\w.]+): ", listed))


# A node writes zlib's blocks as they become full, and the last of them is not whole.
WRITTEN = zlib.compressobj(wbits=31)
CUT = WRITTEN.compress(TRACE.encode() * 2000) + WRITTEN.flush(zlib.Z_FULL_FLUSH)[:-100]


def test_cut_gzip_is_masked_up_to_last_line(mask: Callable[..., dict[str, bytes]]) -> None:
    masked = mask({"a.gzo": CUT, "b.txt": TRACE.encode() * 2000}, code=exits.PARTIAL)
    text, whole = gzip.decompress(masked["a.gzo"]), masked["b.txt"]
    assert text.endswith(b"\n")
    assert whole.startswith(text)
    assert len(text) > len(whole) * 0.9
    assert b"left out: a.gzo: its end" in masked["MASKED.txt"]


def test_cut_tgz_is_masked_up_to_the_cut(mask: Callable[..., dict[str, bytes]]) -> None:
    whole = tgz({"a.txt": TRACE.encode(), "b.txt": os.urandom(50_000).hex(" ", 4).encode()})
    masked = mask({"x.tgz": whole[:-9000]}, code=exits.PARTIAL)
    files = dict(plain("x.tgz", masked["x.tgz"]))
    assert files.keys() == {"a.txt", "b.txt"}
    assert files["a.txt"] == mask({"a.txt": TRACE.encode()})["a.txt"]
    assert b"left out: x.tgz/b.txt: its end" in masked["MASKED.txt"]


def packed_zip(files: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_archives_within_archives(mask: Callable[..., dict[str, bytes]]) -> None:
    packed = gzip.compress(gzip.compress(TRACE.encode()))
    masked = mask({"a.zip": packed_zip({"b.tgz": tgz({"c.gz.gz": packed})})})["a.zip"]
    with zipfile.ZipFile(io.BytesIO(masked)) as outer:
        inner = dict(plain("b.tgz", outer.read("b.tgz")))["c.gz.gz"]
    text = gzip.decompress(gzip.decompress(inner))
    assert text == mask({"a.txt": TRACE.encode()})["a.txt"]


def test_archives_are_opened_to_a_depth(mask: Callable[..., dict[str, bytes]]) -> None:
    packed = TRACE.encode()
    for _ in range(9):
        packed = gzip.compress(packed)
    masked = mask({"a.gz": packed, "b": b""}, code=exits.PARTIAL)
    assert masked.keys() == {"MASKED.txt", "b"}


def test_rest_of_archive_is_masked(mask: Callable[..., dict[str, bytes]]) -> None:
    """Only the member is left out that is damaged."""
    damaged = gzip.compress(b"text")[:-8] + b"\0" * 8
    files = {"bad.gz": damaged, "good.txt": b"good"}
    masked = mask({"a.tgz": tgz(files), "b.zip": packed_zip(files)}, code=exits.PARTIAL)
    assert dict(plain("a.tgz", masked["a.tgz"])) == {"good.txt": b"good"}
    assert zipfile.ZipFile(io.BytesIO(masked["b.zip"])).namelist() == ["good.txt"]


def zip_with_wrong_entry(at: int, entry: bytes, name: str = "SEP38ED18552A12.txt") -> bytes:
    """Returns a zip with other bytes at a place of the first entry of its table."""
    packed = packed_zip({name: b"text", "trace.txt": TRACE.encode()})
    at += packed.index(b"PK\1\2")
    return packed[:at] + entry + packed[at + len(entry) :]


WRONG_ENTRIES = pytest.mark.parametrize(
    ("at", "entry", "why"),
    [
        pytest.param(8, b"\1", "encrypted", id="encrypted"),
        pytest.param(10, b"\x63", "packed in an unknown way", id="method"),
        pytest.param(16, b"\0\0\0\0", "damaged", id="checksum"),
        pytest.param(46, b"SEP38ED18552A12.log", "damaged", id="another name"),
    ],
)


@WRONG_ENTRIES
def test_reasons_have_no_names(tmp_path: Path, at: int, entry: bytes, why: str) -> None:
    (source := tmp_path / "in.zip").write_bytes(zip_with_wrong_entry(at, entry))
    assert main(["mask", str(source), "-o", str(tmp_path / "out.zip")]) == exits.PARTIAL
    masked = read_zip(tmp_path / "out.zip")
    assert masked.keys() == {"MASKED.txt", "trace.txt"}
    assert not ORIGINALS.search(masked["MASKED.txt"])
    assert re.search(r"left out: \S+: (.+)", masked["MASKED.txt"].decode())[1] == why  # type: ignore[index]


@WRONG_ENTRIES
def test_reasons_within_archives_have_no_names(
    mask: Callable[..., dict[str, bytes]], at: int, entry: bytes, why: str
) -> None:
    masked = mask({"a.zip": zip_with_wrong_entry(at, entry)}, code=exits.PARTIAL)
    with zipfile.ZipFile(io.BytesIO(masked["a.zip"])) as inner:
        assert inner.namelist() == ["trace.txt"]
    assert not ORIGINALS.search(masked["MASKED.txt"])
    assert re.search(r"left out: \S+: (.+)", masked["MASKED.txt"].decode())[1] == why  # type: ignore[index]


@pytest.mark.parametrize("packed_by", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_known_however_packed(tmp_path: Path, packed_by: int) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w", packed_by) as archive:
        archive.writestr("trace.txt", TRACE)
        archive.writestr("good.txt", "")
    data = bytearray((tmp_path / "in.zip").read_bytes())
    data[150:250] = bytes(100)
    (tmp_path / "in.zip").write_bytes(data)
    assert main(["mask", str(tmp_path / "in.zip"), "-o", str(tmp_path / "o.zip")]) == exits.PARTIAL
    assert read_zip(tmp_path / "o.zip").keys() == {"MASKED.txt", "good.txt"}


@pytest.mark.parametrize(("at", "entry"), [(8, b"\1"), (16, b"\0\0\0\0")])
def test_manifest_may_be_unreadable(tmp_path: Path, at: int, entry: bytes) -> None:
    (source := tmp_path / "in.zip").write_bytes(zip_with_wrong_entry(at, entry, "manifest.json"))
    assert main(["mask", str(source), "-o", str(tmp_path / "out.zip")]) == exits.PARTIAL
    assert read_zip(tmp_path / "out.zip").keys() == {"MASKED.txt", "trace.txt"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"\0"),
        ("a.txt", TRACE.encode() + b'cn="9110001"\nsaw 9110001\n'),
        ("a.txt", None),
        ("b.gz", gzip.compress(b"text")[:-8] + b"\0" * 8),
        ("manifest.json", None),
        ("SHA256SUMS", None),
    ],
)
def test_file_that_changes_is_left_out(tmp_path: Path, name: str, content: bytes | None) -> None:
    """A file is replaced or removed after the first pass."""
    source, to, work = tmp_path / "in", tmp_path / "out", tmp_path / "work"
    work.mkdir()
    files = case({"a.txt": TRACE.encode(), "b.gz": gzip.compress(TRACE.encode())})
    for path, data in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    bundle = Bundle(FolderSource(source), Masks(b"Z" * 32), work)
    bundle.collect()
    (source / name).unlink()
    if content is not None:
        (source / name).write_bytes(content)
    (source / "new.txt").write_bytes(b"not read in the first pass")
    report = bundle.write(FolderSink(to))
    assert [left_out for left_out, _ in report.left_out] == [name]
    written = {path.name for path in to.rglob("*") if path.is_file()}
    assert written.isdisjoint({name, "new.txt"})
    assert len(written) == len(files)  # one is left out, and there is MASKED.txt


def test_originals_of_left_out_files_count(mask: Callable[..., dict[str, bytes]]) -> None:
    """What is marked only in a file that is left out can be in another one, too."""
    files = {"a": b'cn="9110001"\n\0', "b": b'cn="9110001"\n', "c": b"saw 9110001\n"}
    assert b"9110001" not in b"".join(mask(files, code=exits.PARTIAL).values())


# A MAC address in the middle of other digits may be chance. It is not masked, but found.
REST = {"a.txt": TRACE.encode(), "b.txt": b"digest ffff38ed18552a12ffff\n"}


def test_nothing_is_written_if_originals_are_left(
    mask: Callable[..., dict[str, bytes]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert mask(REST, code=exits.FAILED) == {}
    assert re.search("MAC addresses: +1 masked, 1 left", capsys.readouterr().err)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "in.zip"]


def test_rest_can_be_allowed(mask: Callable[..., dict[str, bytes]]) -> None:
    masked = mask(REST, "--allow-rest", code=exits.PARTIAL)
    assert masked["b.txt"] == REST["b.txt"]
    assert b"left in b.txt: 1 MAC addresses" in masked["MASKED.txt"]


@pytest.mark.parametrize("within", ["", "in.tgz/"])
def test_names_of_left_out_files_are_searched(
    mask: Callable[..., dict[str, bytes]], within: str
) -> None:
    core = {"ffff38ed18552a12ffff": b"\0"}
    files = {"a.txt": TRACE.encode(), **({"in.tgz": tgz(core)} if within else core)}
    assert mask(files, code=exits.FAILED) == {}
    listed = mask(files, "--allow-rest", code=exits.PARTIAL)["MASKED.txt"].decode()
    assert re.search("MAC addresses: +1 masked, 1 left", listed)
    assert "left in MASKED.txt: 1 MAC addresses" in listed
    assert f"left out: {within}ffff38ed18552a12ffff: no text in UTF-8" in listed


def test_original_that_is_left_twice_counts_once(
    mask: Callable[..., dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**REST, **{f"{n:02}.txt": REST["b.txt"] for n in range(20)}}
    mask(files, code=exits.FAILED)
    stderr = capsys.readouterr().err
    assert re.search("MAC addresses: +1 masked, 1 left", stderr)
    assert stderr.count(": left in ") == 11  # ten files, and how many more


def test_nothing_is_written_of_unknown_files(
    mask: Callable[..., dict[str, bytes]], tmp_path: Path
) -> None:
    assert mask({"core": b"\0"}, code=exits.FAILED) == {}


def test_own_words(mask: Callable[..., dict[str, bytes]], tmp_path: Path) -> None:
    (tmp_path / "words").write_text("Zeta\n\n")
    options = ("--word", "Top Secret", "--word-file", str(tmp_path / "words"))
    masked = mask({"a.txt": b"a Top Secret of ZetaTrunk-1\n"}, *options)["a.txt"]
    assert re.fullmatch(rb"a (?!Top)\w{3} (?!Secret)\w{6} of (?!Zeta)\w{4}Trunk-1\n", masked)


def test_unmask(
    mask: Callable[..., dict[str, bytes]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "reply.txt").write_bytes(mask({"a.txt": TRACE.encode()})["a.txt"])
    capsys.readouterr()
    assert main(["unmask", str(tmp_path / "reply.txt")]) == 0
    assert capsys.readouterr().out == TRACE


@pytest.mark.parametrize(("name", "encoding"), [("张伟明", "gbk"), ("田中", "shift_jis")])
def test_names_in_other_encodings(
    mask: Callable[..., dict[str, bytes]], name: str, encoding: str
) -> None:
    written = name.encode(encoding)
    masked = mask({"a.txt": b'%sFrom: "%s" <sip:1>\n' % (TRACE.encode(), written)})["a.txt"]
    after = masked.splitlines()[-1].split(b'"')[1]
    assert after != written
    assert len(after) == len(written)


def test_unmask_of_a_letter(
    mask: Callable[..., dict[str, bytes]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    masked = mask({"a.txt": TRACE.encode()})["a.txt"].decode()
    number, address = re.search(r"sip:(\d+)@([\d.]+)>;tag", masked).groups()  # type: ignore[union-attr]
    (tmp_path / "reply.txt").write_text(f"{number} at {address} is wrong.\n")
    capsys.readouterr()
    main(["unmask", str(tmp_path / "reply.txt")])
    assert capsys.readouterr().out == "2000 at 10.20.30.5 is wrong.\n"


def test_unmask_of_an_archive_is_refused(
    mask: Callable[..., dict[str, bytes]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mask({"a.txt": TRACE.encode()})
    with zipfile.ZipFile(tmp_path / "reply.zip", "w") as archive:
        archive.writestr("reply.txt", "x")
    capsys.readouterr()
    assert main(["unmask", str(tmp_path / "reply.zip")]) == exits.USAGE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("to", ["again.zip", "again"])
def test_masked_files_are_not_masked_again(
    mask: Callable[..., dict[str, bytes]], tmp_path: Path, to: str
) -> None:
    (tmp_path / "masked").mkdir()
    for name, content in mask({"a.txt": TRACE.encode()}).items():
        (tmp_path / "masked" / name).write_bytes(content)
    again = tmp_path / to
    assert main(["mask", str(tmp_path / "masked"), "-o", str(again)]) == exits.USAGE
    assert not again.exists()


def test_unmask_before_any_mask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "reply.txt").write_text("x")
    assert main(["unmask", str(tmp_path / "reply.txt")]) == exits.FAILED


def test_key_and_map_are_private(mask: Callable[..., dict[str, bytes]], data_home: Path) -> None:
    (data_home / "key").unlink()
    mask({"a.txt": TRACE.encode()})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_home.iterdir()}
    assert modes == {"key": 0o600, "map.json": 0o600}


def test_another_key_makes_other_masks(
    mask: Callable[..., dict[str, bytes]], data_home: Path
) -> None:
    first = mask({"a.txt": TRACE.encode()})
    (data_home / "key").unlink()
    assert mask({"a.txt": TRACE.encode()}) != first


def test_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(file))
    assert main(["mask", str(file), "-o", str(tmp_path / "x.zip")]) == exits.CANNOT_WRITE
    assert f"{file}/cucmctl/mask" in capsys.readouterr().err


def test_damaged_key_is_not_replaced(
    mask: Callable[..., dict[str, bytes]], data_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_home / "key").write_text("x")
    mask({"a.txt": b""}, code=exits.FAILED)
    assert (data_home / "key").read_text() == "x"


def test_folder_and_tar(tmp_path: Path, mask: Callable[..., dict[str, bytes]]) -> None:
    expected = mask({"a/b.txt": TRACE.encode()})["a/b.txt"]
    (tmp_path / "in/a").mkdir(parents=True)
    (tmp_path / "in/a/b.txt").write_text(TRACE)
    os.symlink("/etc/passwd", tmp_path / "in/link")
    (tmp_path / "in.tgz").write_bytes(tgz({"a/b.txt": TRACE.encode()}))
    assert main(["mask", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == exits.PARTIAL
    assert main(["mask", str(tmp_path / "in.tgz"), "-o", str(tmp_path / "of.zip")]) == 0
    assert (tmp_path / "out/a/b.txt").read_bytes() == expected
    assert not (tmp_path / "out/link").exists()
    assert read_zip(tmp_path / "of.zip")["a/b.txt"] == expected


def test_links_of_a_tar_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name, kind in (("a.txt", tarfile.REGTYPE), ("b", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "not in this tar"
            tar.addfile(info)
    assert main(["mask", str(tmp_path / "in.tar"), "-o", str(tmp_path / "o.zip")]) == exits.PARTIAL
    assert read_zip(tmp_path / "o.zip").keys() == {"MASKED.txt", "a.txt"}


def test_zip_of_later_version_is_refused(tmp_path: Path) -> None:
    (source := tmp_path / "in.zip").write_bytes(zip_with_wrong_entry(6, b"\x63"))
    assert main(["mask", str(source), "-o", str(tmp_path / "out.zip")]) == exits.USAGE


def test_replaced_zip_is_read_as_before(tmp_path: Path) -> None:
    source = ZipSource(write_zip(tmp_path / "in.zip", {"a.txt": b"", "b.txt": b""}))
    (work := tmp_path / "work").mkdir()
    bundle = Bundle(source, Masks(b"Z" * 32), work)
    bundle.collect()
    write_zip(tmp_path / "new.zip", {"c.txt": b""}).replace(tmp_path / "in.zip")
    with closing(source):
        report = bundle.write(FolderSink(tmp_path / "out"))
    assert (report.files, report.left_out) == (2, [])


def test_marks_are_kept_for_their_text() -> None:
    marks, file = Text(Masks(b"Z" * 32)).collect(TRACE), io.BytesIO()
    for _ in range(2):
        write_marks(file, TRACE, marks)
    file.seek(0)
    assert read_marks(file, TRACE) == marks
    assert read_marks(file, TRACE.swapcase()) is None
    assert read_marks(file, TRACE) is None  # the file is at its end


def test_zip_may_have_no_dates(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt", (1980, 0, 0, 0, 0, 0)), b"text")
    assert main(["mask", str(tmp_path / "in.zip"), "-o", str(tmp_path / "out.zip")]) == exits.DONE
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.getinfo("a.txt").date_time == (1980, 1, 1, 0, 0, 0)


def test_name_that_leads_out_is_left_out(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "in.zip", {"../x": b"", "/y": b"", "a/z": b""})
    assert main(["mask", str(source), "-o", str(tmp_path / "to/out")]) == exits.CANNOT_WRITE
    (tmp_path / "to").mkdir()
    assert main(["mask", str(source), "-o", str(tmp_path / "to/out")]) == exits.PARTIAL
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["out"]
    assert sorted(path.name for path in (tmp_path / "to/out").iterdir()) == ["MASKED.txt", "a"]


def test_tar_is_not_written(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "in.zip", {"a": b""})
    assert main(["mask", str(source), "-o", str(tmp_path / "out.tgz")]) == exits.USAGE


def test_several_processes_give_all_results() -> None:
    numbers = list(range(20))
    assert sorted(results(lambda n: n * n, numbers, 3)) == [(n, n * n) for n in numbers]


def test_error_in_a_process_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(results(lambda n: 1 / n, [0, 0], 2))


def test_processes_end_with_killed_parent() -> None:
    # os.write, because an unbuffered print may write a number and its line end apart, and then
    # the lines of two processes mix.
    script = """
import os, time
from cucmctl.mask.processes import results

def work(number):
    os.write(1, b"%d\\n" % number)
    time.sleep(1000)

list(results(work, [1, 2], 2))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        try:
            started = {parent.stdout.readline(), parent.stdout.readline()}
        finally:
            parent.kill()
        assert started == {b"1\n", b"2\n"}
        # The end of the pipe comes when the last of the three processes has ended.
        assert parent.communicate(timeout=60) == (b"", None)


def test_killed_process_is_noticed() -> None:
    with pytest.raises(WorkerDied):
        list(results(lambda n: os.kill(os.getpid(), 9), [1, 2], 2))
