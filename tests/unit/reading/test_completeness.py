"""Archives and gzip files, cut at any place, damaged, or made to cost: none passes as whole."""

import gzip
import io
import random
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cucmd.reading.completeness import NotWhole, TarReader, read_archive, read_gzip
from cucmd.reading.unpack import ByteSource
from cucmd.received_file import Contents
from rig.packed import tar_of
from rig.tries import tries

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
MIB = 1024 * 1024
RANDOM = random.Random(1)
# Of any shape: empty, shorter and longer than a block, with names that need a header of their own.
FILES = {
    "active/empty": b"",
    "active/one": b"x",
    "active/block": bytes(512),
    "active/noise": RANDOM.randbytes(70_000),
    "active/" + "long/" * 40 + "log": b"a line\n" * 30_000,
    "active/größe": b"a line\n",
}
SIZE = sum(map(len, FILES.values()))


def archive(content: bytes) -> Contents | None:
    return read_archive(io.BytesIO(content))


def is_whole(content: bytes) -> bool:
    """Says whether a gzip is whole."""
    try:
        read_gzip(io.BytesIO(content))
    except NotWhole:
        return False
    return True


def members(*contents: bytes) -> bytes:
    return b"".join(map(gzip.compress, contents))


LOG = b"".join(b"%08d|SdlSig |%d\n" % (n, n * n) for n in range(20_000))
PARTS = (LOG[:1000], LOG[1000:9000], b"", LOG[9000:])
# The two bytes by which a member of these is known.
MAGIC = {len(members(*PARTS[:number])) + byte for number in range(1, len(PARTS)) for byte in (0, 1)}
GZIPS = {
    "text": gzip.compress(LOG),
    "noise": gzip.compress(RANDOM.randbytes(200_000)),
    "stored": gzip.compress(LOG, 0),
    "of nothing": gzip.compress(b""),
    "of zeros": gzip.compress(bytes(5_000_000)),
    "members": members(*PARTS),
    "padded": members(LOG) + bytes(100_000),
    "a member behind padding": members(LOG) + bytes(1000) + members(LOG),
    "with a name": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 200 + b"\0" + members(LOG)[10:],
}


@pytest.mark.parametrize("content", GZIPS.values(), ids=GZIPS)
def test_a_whole_gzip(content):
    assert is_whole(content)


@pytest.mark.parametrize("name", GZIPS)
def test_a_gzip_cut_anywhere(name):
    """At its last bytes, and at 50 other places."""
    content = GZIPS[name].rstrip(b"\0") if name == "padded" else GZIPS[name]
    places = {*range(max(1, len(content) - 10), len(content)), 1, 2}
    places |= {RANDOM.randrange(1, len(content)) for _ in range(50)}
    assert [place for place in sorted(places) if whole_at(name, content[:place])] == []


def whole_at(name: str, cut: bytes) -> bool:
    """Says whether it passes for whole: where the cut is between two members, nothing shows it."""
    try:
        gzip.decompress(cut)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return is_whole(cut)
    assert "member" in name
    return False


@given(st.data())
@tries(100)
def test_a_damaged_byte(data):
    content = bytearray(GZIPS["members"])
    at = data.draw(st.integers(0, 15))
    # In the CRC and the length of the last member, or anywhere in what is packed.
    place = len(content) - 1 - at if at < 8 else data.draw(st.integers(20, len(content) - 1))
    # Without them the rest is no member, but something that follows a whole gzip.
    assume(place not in MAGIC)
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        same = gzip.decompress(bytes(content)) == LOG
    except (EOFError, OSError, zlib.error):
        same = False
    assert same or not is_whole(bytes(content))


@pytest.mark.parametrize(
    "content", [b"", b"a log\n" * 1000, b"\x1fno gzip", b"PK\3\4", bytes(3000)]
)
def test_other_files_are_whole(content):
    assert is_whole(content)


def test_bytes_behind_a_gzip():
    assert is_whole(members(LOG) + b"a signature")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["tgz", "tar"])
def test_contents_of_an_archive(pack, form):
    assert archive(pack(tar_of(FILES, form))) == Contents(len(FILES), SIZE)


@pytest.mark.parametrize("form", FORMATS)
def test_an_archive_cut_anywhere(form):
    content = gzip.compress(tar_of(FILES, form))
    places = {*range(len(content) - 10, len(content)), 1, 2}
    places |= {RANDOM.randrange(1, len(content)) for _ in range(50)}
    for place in places:
        with pytest.raises(NotWhole):
            archive(content[:place])


@pytest.mark.parametrize("form", FORMATS)
def test_a_tar_cut_before_it_was_packed(form):
    content = tar_of(FILES, form)
    end = len(content.rstrip(b"\0"))  # within the content of the last file
    for place in {RANDOM.randrange(512, end) for _ in range(50)}:
        with pytest.raises(NotWhole):
            archive(gzip.compress(content[:place]))


@given(st.lists(st.integers(1, 600), max_size=40))
@tries(100)
def test_a_tar_in_any_pieces(sizes):
    small = {name: content[:700] for name, content in FILES.items()}
    content, pieces = tar_of(small, tarfile.PAX_FORMAT), []
    at = 0
    for size in [*sizes, len(content)]:
        pieces.append(content[at : at + size])
        at += size
    assert TarReader(ByteSource(pieces)).read() == Contents(
        len(small), sum(map(len, small.values()))
    )


def header(kind: bytes = tarfile.REGTYPE, size: int = 0, **fields: object) -> bytes:
    info = tarfile.TarInfo("active/x")
    info.type, info.size = kind, size
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


END = bytes(1024)


@pytest.mark.parametrize("link", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_link_has_no_known_size(link):
    content = header(size=3) + b"abc" + bytes(509) + header(link, 700, linkname="active/y") + END
    assert archive(gzip.compress(content)) == Contents(2, None)


def test_a_file_with_holes():
    block = bytearray(header(tarfile.GNUTYPE_SPARSE, 512))
    block[482] = 1  # one more block of holes follows
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 8 * 32)
    content = bytes(block) + bytes(512) + b"x" * 512 + header() + END
    assert archive(gzip.compress(content)) == Contents(2, None)


def test_a_size_in_a_pax_header():
    records = b"21 size=000000001000\n"
    pax = header(tarfile.XHDTYPE, len(records)) + records + bytes(512 - len(records))
    content = pax + header(size=0) + b"x" * 1000 + bytes(24) + header() + END
    assert archive(gzip.compress(content)) == Contents(2, 1000)


def test_a_gzip_without_a_tar():
    assert archive(gzip.compress(LOG)) == Contents(1, len(LOG))


@pytest.mark.parametrize("content", [b"", b"a log\n" * 1000, b"PK\3\4"])
def test_no_archive_is_none(content):
    assert archive(content) is None


@given(st.binary(max_size=3000), st.sampled_from([b"", header(), header(b"x", 900), header(b"L")]))
@tries(200)
def test_no_bytes_raise(content, beginning):
    for text in (
        beginning + content,
        gzip.compress(beginning + content),
        b"\x1f\x8b\x08" + content,
    ):
        for read in (read_archive, read_gzip):
            try:
                read(io.BytesIO(text))
            except NotWhole:
                pass


# What is made to cost


class Repeated(io.RawIOBase):
    """A file that never ends: one piece again and again."""

    def __init__(self, beginning: bytes, piece: bytes) -> None:
        self._ahead, self._piece = beginning, piece
        self._left = 4

    def read(self, size: int = -1) -> bytes:
        while len(self._ahead) < size:
            self._ahead += self._piece
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        self._left -= 1
        if not self._left:
            raise Enough
        return taken


def packed(beginning: bytes, piece: bytes) -> Repeated:
    """Packs a gzip whose content is `beginning` and then `piece` without end, as small as can be.

    Each piece is packed without reference to the one before it.
    """
    packer = zlib.compressobj(9, wbits=31)
    first = packer.compress(beginning) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, wbits=-15)
    again = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    return Repeated(first, again)


HOSTILE: dict[str, Callable[[], Repeated]] = {
    "a bomb": lambda: packed(header(size=10**12), bytes(MIB)),
    "tiny members": lambda: packed(b"", header() * 2048),
    "giant names": lambda: packed(b"", header(b"L", MIB) + b"n" * MIB),
    "giant extensions": lambda: packed(b"", header(b"x", MIB - 512) + b"9" * (MIB - 512)),
    "long chains of headers": lambda: packed(b"", (header(b"x", 1) + bytes(512)) * 1024),
    "a name of terabytes": lambda: packed(header(b"L", 10**12), b"n" * MIB),
    "holes without end": lambda: packed(sparse(), (bytes(504) + b"\1" + bytes(7)) * 2048),
    "gzips of nothing": lambda: Repeated(b"", gzip.compress(b"", 9, mtime=0)),
    "a gzip's name without end": lambda: Repeated(b"\x1f\x8b\x08\x08" + bytes(6), b"n" * MIB),
    "zeros behind a gzip": lambda: Repeated(gzip.compress(tar_of({})), bytes(MIB)),
}


def sparse() -> bytes:
    block = bytearray(header(tarfile.GNUTYPE_SPARSE, 512))
    block[482] = 1
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 8 * 32)
    return bytes(block)


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [read_archive, read_gzip])
def test_hostile_files_take_little_memory(name, read):
    """How long it takes is for the kernel to say."""
    tracemalloc.start()
    try:
        with pytest.raises((NotWhole, Enough)):
            read(HOSTILE[name]())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * MIB


class Enough(Exception):
    """So much was read of a file without end."""
