"""A transcript is written as it happens, is safe on a terminal, and has no secrets in it."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cucmd import vos
from rig.parameters import more
from rig.uncovered import uncovered
from unit.vos.driver import Log

SECRET = "hunter2*+"


def transcript(*steps: bytes | str, secrets: tuple[str, ...] = (SECRET,)) -> str:
    """Bytes are heard, strings are said; one second each."""
    log = Log(secrets)
    parts = [
        log.sent(step, f"{number:02d}")
        if isinstance(step, str)
        else log.received(step, f"{number:02d}")
        for number, step in enumerate(steps)
    ]
    return "".join(parts) + log.flush()


def heard(text: str) -> str:
    """Returns what the node said, lines joined."""
    return "".join(line[5:] for line in text.splitlines() if line[3:4] == "<")


def test_both_directions_as_lines():
    text = transcript(
        b"admin:", "show status", b"show status\r\nHost", b" Name\r\n\r\n\r\nadmin:", "quit"
    )
    assert text == (
        "00 < admin:\n01 > show status\n02 < show status\n02 < Host Name\n03 <\n03 < admin:\n"
        "04 > quit\n"
    )


def test_text_is_returned_at_once():
    log = Log((SECRET,))
    assert log.received(b"admin:", "1") == "1 < admin:"
    assert log.sent("quit", "2") == "\n2 > quit\n"
    assert log.received(b"qui", "3") == "3 < qui"
    assert log.received(b"t\r\n", "4") == "t\n"
    assert log.flush() == ""


def test_removes_escapes_and_controls():
    text = transcript(
        b"\x1b[1mPress <q>\x1b[0m\r\x1b[Knext\x07\x00\xc2\x90 \x1b]0;t\x07\xe2\x80\xaeok\tx\r\n"
    )
    assert text == "00 < Press <q>\n00 < next ok\tx\n"


@pytest.mark.parametrize(
    "cut",
    [
        [b"hunter2*+"],
        [b"hunt", b"er2*+"],
        [bytes([byte]) for byte in b"hunter2*+"],
        [b"hun\rter2*+"],
        [b"hun\r\nter2*+"],
        [b"hun", b"\r", b"\n", b"ter2*+"],
        [b"hun\x1b[1mter2\x1b[", b"0m*+"],
        [b"hun\x1b[K", b"\x00ter2*\x07+"],
        [b"hun\xe2\x80\x8bter2*+"],
        [b"hun", "yes", b"ter2*+"],
    ],
)
def test_masks_secret_in_pieces(cut):
    text = transcript(b"<", *cut, b">\r\n")
    assert heard(text) == "<*****>"


def test_holds_back_beginning_of_secret():
    log = Log((SECRET,))
    assert log.received(b"it was a hunt", "1") == "1 < it was a "
    assert log.sent("y", "2") == ""
    assert log.received(b"ing", "3") == "hunt\n2 > y\n3 < ing"
    assert log.received(b" h", "4") == " "
    assert log.flush() == "h\n"


def test_secret_added_later():
    log = Log()
    log.add_secret("one")
    log.add_secret("")
    log.add_secret("\x1b\r")
    assert log.received(b"one day", "1") == "1 < ***** day"
    log.add_secret("three")
    assert log.received(b" th", "2") == " "
    assert log.received(b"ree", "2") == "*****"


TEXT = st.text("ab", max_size=6)
PIECE = st.one_of(TEXT.map(str.encode), st.sampled_from([b"\r", b"\n", b"\x1b[1m", b"\0", b"\xff"]))


@given(
    secrets=st.lists(st.text("ab", min_size=1, max_size=5), max_size=3),
    pieces=st.lists(PIECE, max_size=20),
    said=st.sets(st.integers(0, 20), max_size=4),
)
@example(secrets=["aba", "bb"], pieces=[b"abab", b"b"], said=set())
def test_masks_all_secrets_and_nothing_else(secrets, pieces, said):
    steps: list[bytes | str] = []
    for number, piece in enumerate(pieces):
        steps += ["said", piece] if number in said else [piece]
    text = heard(transcript(*steps, secrets=tuple(secrets)))
    assert not any(secret in text for secret in secrets)
    plain = heard(transcript(*steps, secrets=()))
    covered = [False] * len(plain)
    for secret in secrets:
        for start in range(len(plain)):
            if plain.startswith(secret, start):
                covered[start : start + len(secret)] = [True] * len(secret)
    visible = "".join(char for char, hidden in zip(plain, covered, strict=True) if not hidden)
    assert text.replace("*", "") == visible


@given(data=st.binary(max_size=200), cuts=st.sets(st.integers(0, 200), max_size=8))
@example(data=b"xhunter2*+hunter2*+\r\r\n\n\n\nhunt", cuts=set(range(40)))
def test_split_makes_no_difference(data, cuts):
    ordered = sorted(cuts)
    once, split = Log((SECRET,)), Log((SECRET,))
    parts = [data[a:b] for a, b in zip([0, *ordered], [*ordered, None], strict=True)]
    expected = once.received(data, "1") + once.flush()
    assert "".join(split.received(part, "1") for part in parts) + split.flush() == expected


@given(st.binary(max_size=300))
def test_lines_are_stamped_and_printable(data):
    text = transcript(data)
    assert all(line.startswith("00 <") for line in text.splitlines())
    assert text.replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize(
    "chunk",
    [b"x" * 65536, *more(b"\n" * 65536, b"\r" * 65536, b"\rh" * 8192, b"\b" * 65536)],
)
def test_memory_is_bounded(chunk):
    log = Log((SECRET,))
    log.received(b"hun", "1")
    tracemalloc.start()
    try:
        with uncovered():
            for _ in range(8):
                log.received(chunk, "1")
        held = tracemalloc.get_traced_memory()[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 16 * 1024, "less than any chunk has; other threads may hold some of it"
    assert peak < 4 * 1024 * 1024


def test_gets_all_text_of_node():
    cli, said = vos.Cli(), []
    cli.on_text = said.extend
    (broken,) = cli.receive(b"x" * 2**20 + b"too much")
    assert isinstance(broken, vos.Broken)
    assert "".join(said) == "x" * 2**20 + "too much"
    cli.quit()
    assert cli.receive(b"\r\nbye \xe2") == []
    assert cli.closed() == []
    assert said[-4:] == ["\r", "\n", "bye ", "\ufffd"]
