"""PURE. Decides who made a request: a name with a role, or the operator at the Unix socket.

    came by          with                was made by
    anywhere         a bearer token      the name of the token, with its role
    a trusted peer   the proxy's header  the name in it, with the role that the proxy has or gives
    the Unix socket  neither             an operator without a name: None
    TCP              neither             nobody: 401

If the proxy uses the Unix socket, a request there with neither is refused too. Otherwise somebody
whom the proxy forgot to authenticate would become an operator.

These are refused instead of being ignored: the proxy's header from another peer, a header that was
sent twice, and a token together with the proxy's header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import get_args

from msgspec import Struct

from cucmd.job.request import OnBehalfOf
from cucmweb.config import ProxySettings, Role
from cucmweb.problems import HttpProblem
from cucmweb.tokens import NAME, NAME_EXPECTED, Token, find_token

# RFC 6750. The name of a scheme may be in upper or lower case (RFC 9110).
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,128}=*)", re.IGNORECASE)
_ROLES: tuple[Role, ...] = get_args(Role)


class RequestHead(Struct, frozen=True):
    """Holds the parts of a request from which its caller can be known. `peer` is the address at the
    other end, or None for the Unix socket. The names of headers are in lower case.
    """

    peer: str | None
    headers: Sequence[tuple[bytes, bytes]]

    def values(self, name: str) -> list[str]:
        """Returns the values of a header. Bytes that are not ASCII become characters that are not
        ASCII either.
        """
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]


def authenticate(
    head: RequestHead, tokens: Iterable[Token], proxy: ProxySettings, now: datetime
) -> OnBehalfOf | None:
    """Returns the name and role, or None for the operator at the Unix socket. Raises `HttpProblem`
    if the request does not say who sends it, or if its credentials are refused.
    """
    credentials = head.values("authorization")
    names = [name for name in (proxy.header, proxy.role_header) if name]
    if header := next((name for name in names if head.values(name)), None):
        if not proxy.trusts(head.peer):
            raise _forbidden(f"{header} is accepted from the proxy only, not from this peer")
        if credentials:
            raise _forbidden(f"{header} and Authorization: expected only one of them")
        name = _single(head, proxy.header)
        if not name:
            raise _unknown(f"the proxy sent no name in {proxy.header}")
        if not NAME.fullmatch(name):
            raise _forbidden(f"{proxy.header}: expected {NAME_EXPECTED}")
        if proxy.role:
            return OnBehalfOf(name, proxy.role)
        requested = _single(head, proxy.role_header)
        role = next((role for role in _ROLES if role == requested), None)
        if role is None:
            raise _forbidden(f"{proxy.role_header}: expected one of {', '.join(_ROLES)}")
        return OnBehalfOf(name, role)
    if credentials:
        if len(credentials) > 1:
            raise _unknown("Authorization was sent more than once")
        if (presented := _BEARER.fullmatch(credentials[0])) is None:
            raise _unknown("Authorization: expected a bearer token")
        if (token := find_token(presented[1], tokens, now)) is None:
            raise _unknown(
                "there is no such token, or it has expired", 'Bearer error="invalid_token"'
            )
        return OnBehalfOf(token.name, token.role)
    if head.peer is None and not proxy.trusts(None):
        return None
    raise _unknown("expected a bearer token")


def _single(head: RequestHead, header: str) -> str:
    values = head.values(header)
    if len(values) > 1:
        raise _forbidden(f"{header} was sent more than once")
    return values[0] if values else ""


def _unknown(reason: str, challenge: str = "Bearer") -> HttpProblem:
    problem = HttpProblem(401, "NotLetIn", reason)
    problem.headers["www-authenticate"] = challenge
    return problem


def _forbidden(reason: str) -> HttpProblem:
    return HttpProblem(403, "NotLetIn", reason)
