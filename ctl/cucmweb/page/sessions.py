"""Remembers who has signed in at the page with a token.

The cookie of a session holds a random id, never the token. Sessions are kept in memory only, so a
restart of cucmweb ends them. A session also ends when its token is revoked or expires.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie

from msgspec import Struct

from cucmweb.tokens import Token

COOKIE = "cucmweb_session"
LIFETIME = timedelta(hours=12)
# When more people than this sign in, the oldest session ends.
_MOST = 1_000


class _Session(Struct, frozen=True):
    token: Token
    ends: datetime


class Sessions:
    """Holds the sessions by the random id that the cookie has."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def begin(self, token: Token, now: datetime) -> str:
        """Begins a session, and returns its id."""
        while len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(32)
        self._sessions[session] = _Session(token, now + LIFETIME)
        return session

    def token_of(
        self, cookies: Iterable[str], tokens: Iterable[Token], now: datetime
    ) -> Token | None:
        """Returns the token with which the sender of these `Cookie` headers has signed in.

        Returns None if there is no session, if it has ended, or if its token was revoked.
        """
        session_id = cookie(cookies, COOKIE)
        session = self._sessions.get(session_id)
        if session is None:
            return None
        # A token of the same name that was made later is another token, with another hash.
        if now >= session.ends or session.token.is_over(now) or session.token not in tokens:
            del self._sessions[session_id]
            return None
        return session.token

    def end(self, cookies: Iterable[str]) -> None:
        self._sessions.pop(cookie(cookies, COOKIE), None)


def cookie(headers: Iterable[str], name: str) -> str:
    """Returns the value of a cookie in the `Cookie` headers, or "" if it is not there."""
    for header in headers:
        try:
            found = SimpleCookie(header).get(name)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return ""
