"""Sessions of the page: they hold no token, and end with it."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmweb.page.sessions import COOKIE, LIFETIME, Sessions
from cucmweb.tokens import Token, hash_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA = Token("anna", "operate", hash_of("secret"), NOW, NOW + timedelta(days=1))


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


def cookie(value: str) -> list[str]:
    return [f"other=1; {COOKIE}={value}"]


def test_cookie_tells_who_signed_in(sessions: Sessions) -> None:
    session = sessions.begin(ANNA, NOW)
    assert sessions.token_of(cookie(session), [ANNA], NOW) == ANNA
    assert ANNA.sha256 not in session


@pytest.mark.parametrize(
    ("tokens", "later"),
    [
        ([], timedelta()),
        ([Token("anna", "operate", hash_of("new"), NOW)], timedelta()),
        ([Token("anna", "view", ANNA.sha256, NOW, ANNA.ends)], timedelta()),
        ([ANNA], LIFETIME),
    ],
    ids=["revoked", "made again", "another role", "old"],
)
def test_session_ends(sessions: Sessions, tokens: list[Token], later: timedelta) -> None:
    session = sessions.begin(ANNA, NOW)
    assert sessions.token_of(cookie(session), tokens, NOW + later) is None
    assert sessions.token_of(cookie(session), [ANNA], NOW) is None


def test_expired_token_ends_its_session(sessions: Sessions) -> None:
    short = Token("anna", "view", ANNA.sha256, NOW, NOW + timedelta(hours=1))
    session = sessions.begin(short, NOW)
    assert sessions.token_of(cookie(session), [short], NOW + timedelta(hours=1)) is None


def test_signing_out_ends_the_session(sessions: Sessions) -> None:
    session = sessions.begin(ANNA, NOW)
    sessions.end(cookie(session))
    assert sessions.token_of(cookie(session), [ANNA], NOW) is None


@pytest.mark.parametrize("header", ["", "=", "\x00", f"{COOKIE}", "a" * 9000, '"; =;;'])
def test_nonsense_is_nobody(sessions: Sessions, header: str) -> None:
    sessions.begin(ANNA, NOW)
    assert sessions.token_of([header], [ANNA], NOW) is None


def test_oldest_session_makes_room(sessions: Sessions) -> None:
    first = sessions.begin(ANNA, NOW)
    for _ in range(50):
        newest = sessions.begin(ANNA, NOW)
    assert sessions.token_of(cookie(first), [ANNA], NOW) is None
    assert sessions.token_of(cookie(newest), [ANNA], NOW) == ANNA


def test_nobody_pushes_others_out(sessions: Sessions) -> None:
    victor = Token("victor", "view", hash_of("other"), NOW)
    session = sessions.begin(ANNA, NOW)
    for _ in range(2000):
        sessions.begin(victor, NOW)
    assert sessions.token_of(cookie(session), [ANNA, victor], NOW) == ANNA


@pytest.mark.parametrize("other", ['prefs={"a": 1}', "a b=c", "é=1", 'x="open', "a[b]=1", "x"])
def test_odd_cookie_of_others_is_ignored(sessions: Sessions, other: str) -> None:
    session = sessions.begin(ANNA, NOW)
    for header in (f"{other}; {COOKIE}={session}", f"{COOKIE}={session}; {other}"):
        assert sessions.token_of([header], [ANNA], NOW) == ANNA


def test_two_sessions_are_nobody(sessions: Sessions) -> None:
    both = [f"{COOKIE}={sessions.begin(ANNA, NOW)}" for _ in range(2)]
    assert sessions.token_of(both, [ANNA], NOW) is None
    assert sessions.token_of(["; ".join(both)], [ANNA], NOW) is None
