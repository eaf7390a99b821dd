"""Who made a request, by its peer and its headers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.job.request import OnBehalfOf
from cucmweb.authentication import RequestHead, authenticate
from cucmweb.config import ProxySettings
from cucmweb.problems import HttpProblem
from cucmweb.tokens import PREFIX, Token, hash_of

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECRET, OVER = PREFIX + "a" * 43, PREFIX + "b" * 43
TOKENS = (
    Token("page", "view", hash_of(SECRET), NOW),
    Token("old", "operate", hash_of(OVER), NOW, NOW - timedelta(days=1)),
)
BEARER = ("Authorization", f"Bearer {SECRET}")
USER, ROLE = "X-Remote-User", "X-Remote-Role"
NONE = ProxySettings()
BY_UNIX = ProxySettings(USER, ("unix",), "operate")
BY_TCP = ProxySettings(USER, ("10.0.0.0/24", "fd00::1"), role_header=ROLE)
UNIX, OTHER, PEER = None, "192.0.2.1", "10.0.0.7"


def caller(
    peer: str | None, *headers: tuple[str, str], proxy: ProxySettings = NONE
) -> OnBehalfOf | None:
    sent = [(name.lower().encode(), value.encode()) for name, value in headers]
    return authenticate(RequestHead(peer, sent), TOKENS, proxy, NOW)


def refusal(
    peer: str | None, *headers: tuple[str, str], proxy: ProxySettings = NONE
) -> HttpProblem:
    with pytest.raises(HttpProblem) as raised:
        caller(peer, *headers, proxy=proxy)
    error = raised.value
    assert (error.status == 401) == ("www-authenticate" in error.headers)
    return error


def test_unix_socket_means_unnamed_operator() -> None:
    assert caller(UNIX) is None
    assert caller(UNIX, ("X-Other", "x"), proxy=BY_TCP) is None


def test_tcp_without_credentials_is_refused() -> None:
    assert refusal(OTHER).status == 401
    assert refusal(PEER, proxy=BY_TCP).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("peer", [UNIX, OTHER])
def test_token_gives_name_and_role(peer: str | None) -> None:
    assert caller(peer, BEARER) == OnBehalfOf("page", "view")
    assert caller(peer, ("Authorization", f"bearer  {SECRET}")) == OnBehalfOf("page", "view")
    assert caller(peer, BEARER, proxy=BY_UNIX) == OnBehalfOf("page", "view")


@pytest.mark.parametrize("peer", [UNIX, OTHER])
@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {SECRET}",
        SECRET,
        f"Bearer {SECRET} x",
        f"Bearer {SECRET}, Bearer {SECRET}",
        f"Bearer {SECRET}\u00e9",
        f"Bearer {'a' * 100_000}",
        f"Bearer {SECRET[:-1]}",
        f"Bearer {OVER}",
        f"Bearer {TOKENS[0].sha256}",
    ],
)
def test_wrong_authorization_is_refused(peer: str | None, given: str) -> None:
    assert refusal(peer, ("Authorization", given)).status == 401


@pytest.mark.parametrize("peer", [PEER, f"::ffff:{PEER}", "fd00::1"])
def test_proxy_may_give_the_role(peer: str) -> None:
    found = caller(peer, (USER, "Olga M."), (ROLE, "view"), proxy=BY_TCP)
    assert found == OnBehalfOf("Olga M.", "view")


@pytest.mark.parametrize(
    ("peer", "proxy"),
    [(UNIX, BY_TCP), (OTHER, BY_TCP), ("::1", BY_TCP), (OTHER, BY_UNIX), (PEER, BY_UNIX)],
)
@pytest.mark.parametrize("header", [(USER, "olga"), (USER, "")])
def test_proxy_header_from_others_is_refused(
    peer: str | None, proxy: ProxySettings, header: tuple[str, str]
) -> None:
    assert refusal(peer, header, proxy=proxy).status == 403
    assert refusal(peer, header, BEARER, proxy=proxy).status == 403


def test_proxy_socket_has_no_operator() -> None:
    """A proxy that forgot to authenticate somebody sends no header."""
    assert refusal(UNIX, proxy=BY_UNIX).status == 401
    assert refusal(UNIX, (USER, ""), proxy=BY_UNIX).status == 401


@pytest.mark.parametrize(
    "name", ["o'lga", 'o"lga', "x" * 65, "é", "\xa0x", "a\tb", "a\0b", "x" * 10_000]
)
def test_invalid_name_is_refused(name: str) -> None:
    assert refusal(UNIX, (USER, name), proxy=BY_UNIX).status == 403


@pytest.mark.parametrize("role", ["", "root", "View", "view,operate", "view operate"])
def test_unknown_role_is_refused(role: str) -> None:
    assert refusal(PEER, (USER, "olga"), (ROLE, role), proxy=BY_TCP).status == 403


def test_token_with_proxy_header_is_refused() -> None:
    assert refusal(UNIX, (USER, "olga"), BEARER, proxy=BY_UNIX).status == 403


headers = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"x-remote-user", b"x-remote-role", b"host"]),
        st.binary(max_size=80)
        | st.sampled_from([b"", b"view", b"olga", f"Bearer {OVER}".encode()]),
    ),
    max_size=4,
)


@given(st.sampled_from([OTHER, "::1"]), headers, st.sampled_from([NONE, BY_UNIX, BY_TCP]))
def test_no_header_lets_strangers_in(
    peer: str, sent: list[tuple[bytes, bytes]], proxy: ProxySettings
) -> None:
    with pytest.raises(HttpProblem) as raised:
        authenticate(RequestHead(peer, sent), TOKENS, proxy, NOW)
    assert SECRET not in str(raised.value)
