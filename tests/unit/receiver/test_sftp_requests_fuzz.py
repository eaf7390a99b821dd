"""Any packets are answered or end the session, and change nothing outside of the target.

Streams that the fuzzer has found are kept in `corpus/packets`. A longer run:
`pytest tests/unit/receiver/test_sftp_requests_fuzz.py --hypothesis-profile=long`.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cucmd.allowance import Allowance, Quota
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import MIB, ReceiverLimits
from cucmd.receiver.login_files import LoginFiles
from cucmd.receiver.sftp_packets import Malformed, PacketBuffer, PacketType
from cucmd.receiver.sftp_requests import RequestHandler
from rig import sftp_words as words
from rig.sftp_client import login_of, received_by

LIMITS = ReceiverLimits(files=13, directories=20, handles=5)
CORPUS = sorted(Path(__file__).with_name("corpus").joinpath("packets").iterdir())

NUMBERS = st.integers(0, 2**32 - 1)
PATHS = st.sampled_from([b"a", b"d", b"d/a", b"/", b"..", b"trap", b"trap/x", b"d/../a"])
HANDLES = st.integers(0, 6).map(lambda number: number.to_bytes(4, "big"))
OFFSETS = st.sampled_from([0, 1, 3, 1000, 2**40, 2**62, 2**63, 2**64 - 1])
ATTRIBUTES = st.one_of(
    st.just(words.NO_ATTRIBUTES),
    st.builds(words.set_times, NUMBERS, NUMBERS),
    st.builds(words.set_size, OFFSETS),
    st.binary(max_size=20),
)
KINDS = st.sampled_from(PacketType)
# Valid, half valid and invalid packets, so that deep states are reached as well as shallow ones.
PACKETS = st.one_of(
    st.builds(words.open_file, NUMBERS, PATHS | st.binary(max_size=300), st.just(words.PUT)),
    st.builds(words.open_file, NUMBERS, PATHS, st.integers(0, 0x7F)),
    st.builds(words.write, NUMBERS, HANDLES, OFFSETS, st.binary(max_size=50)),
    st.builds(words.on_handle, KINDS, NUMBERS, HANDLES),
    st.builds(words.on_path, KINDS, NUMBERS, PATHS, ATTRIBUTES),
    st.builds(words.packet, st.integers(0, 255), NUMBERS, st.binary(max_size=50)),
    st.binary(min_size=1, max_size=50).map(words.string),
)


def tree(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def feed(stream: bytes) -> None:
    """Runs one session with these bytes, in a target with a link that leads out."""
    before = os.listdir("/proc/self/fd")
    with tempfile.TemporaryDirectory() as name:
        outside = Path(name) / "outside"
        outside.mkdir()
        (outside / "x").write_text("secret")
        expected = tree(outside)
        target = Path(name) / "target"
        target.mkdir()
        (target / "trap").symlink_to(outside)
        received = received_by(LIMITS, Quota(Allowance(MIB)))
        login, _ = login_of(target, received, LIMITS)
        handler = RequestHandler(login, FreeSpace(0, 0.0), LIMITS)
        try:
            for packet in PacketBuffer().feed(stream):
                handler.answer(packet)
        except Malformed:
            pass  # the session is cut off
        finally:
            handler.close()
        _check(received, target)
        assert tree(outside) == expected
        assert sorted(os.listdir(name)) == ["outside", "target"]
    assert os.listdir("/proc/self/fd") == before


def _check(received: LoginFiles, target: Path) -> None:
    assert not received.any_open
    for file in received.files():
        on_disk = (target / file.path).stat().st_size
        assert on_disk == file.size <= received.bytes_received


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(PACKETS, max_size=25), st.booleans())
def test_any_packets(packets: list[bytes], with_init: bool) -> None:
    feed((words.init() if with_init else b"") + b"".join(packets))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(stream: bytes) -> None:
    feed(words.init() + stream)


@pytest.mark.parametrize("kept", CORPUS, ids=lambda path: path.name)
def test_kept_streams(kept: Path) -> None:
    feed(kept.read_bytes())


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 8
    assert struct.unpack(">I", CORPUS[0].read_bytes()[:4])
