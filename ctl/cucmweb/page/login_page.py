"""Signs people in with a token, and out."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cucmweb.page.sessions import COOKIE, LIFETIME
from cucmweb.page.visit import Visit, cookies_of, redirect
from cucmweb.tokens import find_token

_HOME = "/ui/"


async def show_login(visit: Visit) -> None:
    await visit.show("login.html", target=visit.query.get("next", _HOME), wrong=False)


async def log_in(visit: Visit) -> None:
    form = visit.form
    # Only a path of this page: a link that begins here must not lead elsewhere.
    target = form.get("next", _HOME)
    target = target if re.fullmatch(r"/ui/[!-\[\]-~]*", target) else _HOME
    now = datetime.now(UTC)
    token = find_token(form.get("token", "").strip(), visit.tokens.tokens(), now)
    if token is None:
        await visit.show("login.html", 401, target=target, wrong=True)
        return
    session = visit.sessions.begin(token, now)
    await redirect(visit.channel, target, _cookie(visit, session, int(LIFETIME.total_seconds())))


async def log_out(visit: Visit) -> None:
    visit.sessions.end(cookies_of(visit.channel))
    await redirect(visit.channel, "/ui/login", _cookie(visit, "", 0))


def _cookie(visit: Visit, value: str, seconds: int) -> dict[str, str]:
    # Lax, so that somebody who comes by a link in a ticket is signed in.
    secure = "; Secure" if visit.exchange.header("x-forwarded-proto") == "https" else ""
    # The pages of the sites are not below /ui, and a person signs in for all of them at once.
    path = "/" if visit.channel.sites else "/ui"
    rest = f"Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return {"set-cookie": f"{COOKIE}={value}; {rest}"}
