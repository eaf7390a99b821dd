"""Any path of a client becomes plain names below the target, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.client_paths import canonical_path, split_path, with_number
from cucmd.receiver.limits import ReceiverLimits, RequestRefused, Status

LIMITS = ReceiverLimits()
CORPUS = sorted(Path(__file__).with_name("corpus").joinpath("paths").iterdir())

# Typical pieces of an attack, and any bytes.
PIECES = st.one_of(
    st.sampled_from([b"/", b"..", b".", b"//", b"\x00", b"\n", b"\x1b[2J", b"\\", b"~", b"a"]),
    st.binary(max_size=8),
)
PATHS = st.lists(PIECES, max_size=40).map(b"".join)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (b"", ()),
        (b".", ()),
        (b"/a/b.log", ("a", "b.log")),
        (b"//a/./b/", ("a", "b")),
        (b"...", ("...",)),
        (b".hidden", (".hidden",)),
        ("Müller.log".encode(), ("Müller.log",)),
    ],
)
def test_absolute_is_relative_to_target(path: bytes, parts: tuple[str, ...]) -> None:
    assert split_path(path, LIMITS) == parts


@pytest.mark.parametrize("path", [b"..", b"/..", b"a/../b", b"a/..", b"../../etc/passwd"])
def test_parent_is_denied_inside_too(path: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        split_path(path, LIMITS)
    assert refused.value.status is Status.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (b"x" * 65536, "path is longer than 512 bytes"),
        (b"x/" * 200, "path has more than 32 levels"),
        (b"x" * 256, "a name is longer than 255 bytes"),
        (b"a\x00b", "a name has control or other unprintable characters"),
        (b"\x1b]0;title\x07", "a name has control or other unprintable characters"),
        ("a\u202eb".encode(), "a name has control or other unprintable characters"),
        (b"\xff\xfe", "a name is not UTF-8"),
    ],
)
def test_unusual_names_are_refused(path: bytes, reason: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        split_path(path, LIMITS)
    assert refused.value.reason == reason


def check(path: bytes) -> None:
    try:
        parts = split_path(path, LIMITS)
    except RequestRefused:
        return
    for name in parts:
        assert name not in {"", ".", ".."}
        assert "/" not in name
        assert name.isprintable()
        assert 0 < len(name.encode()) <= 255
    assert split_path(canonical_path(parts), LIMITS) == parts, (
        "what the client is told leads to the same"
    )


@given(PATHS)
def test_any_path_is_plain_or_refused(path: bytes) -> None:
    check(path)


@pytest.mark.parametrize("kept", CORPUS, ids=lambda path: path.name)
def test_kept_paths(kept: Path) -> None:
    check(kept.read_bytes())


@given(st.text(min_size=1, max_size=255), st.integers(1, 100))
def test_numbered_name_fits(name: str, number: int) -> None:
    name = name.encode(errors="ignore")[:255].decode(errors="ignore") or "a"
    made = with_number(name, number)
    assert len(made.encode()) <= 255
    assert made == name if number == 1 else made.endswith(f".{number}")
