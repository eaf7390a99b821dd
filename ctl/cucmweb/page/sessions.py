"""Remembers who has signed in at the page with a token.

The cookie of a session holds a random id, never the token. Sessions are kept in memory only, so a
restart of cucmweb ends them. A session also ends when its token is revoked or expires.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from cucmweb.tokens import Token

COOKIE = "cucmweb_session"
LIFETIME = timedelta(hours=12)
# When somebody signs in more often than this, the oldest of their sessions ends.
_MOST_OF_TOKEN = 50


class Sessions:
    """Holds the token and the end of each session, by the random id that the cookie has."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[Token, datetime]] = {}

    def begin(self, token: Token, now: datetime) -> str:
        """Begins a session, and returns its id."""
        own = [known for known, (of, _) in self._sessions.items() if of.name == token.name]
        for oldest in own[: -_MOST_OF_TOKEN + 1]:
            del self._sessions[oldest]
        session = secrets.token_urlsafe(32)
        self._sessions[session] = (token, now + LIFETIME)
        return session

    def token_of(
        self, cookies: Iterable[str], tokens: Iterable[Token], now: datetime
    ) -> Token | None:
        """Returns the token with which the sender of these `Cookie` headers has signed in.

        Returns None if there is no session, if it has ended, or if its token was revoked.
        """
        session_id = cookie(cookies, COOKIE)
        if session_id not in self._sessions:
            return None
        token, ends = self._sessions[session_id]
        # A token of the same name that was made later is another token, with another hash.
        if now >= ends or token.is_over(now) or token not in tokens:
            del self._sessions[session_id]
            return None
        return token

    def end(self, cookies: Iterable[str]) -> None:
        self._sessions.pop(cookie(cookies, COOKIE), None)


def cookie(headers: Iterable[str], name: str) -> str:
    """Returns the value of a cookie in the `Cookie` headers.

    Returns "" if it is not there, or there with two values: a server under a name of the same
    domain can add a cookie of its own. Cookies of others may have any form. `SimpleCookie` would
    find no cookie at all beside one that is malformed.
    """
    pairs = (pair.partition("=") for header in headers for pair in header.split(";"))
    found = {value.strip() for key, _, value in pairs if key.strip() == name}
    return found.pop() if len(found) == 1 else ""
