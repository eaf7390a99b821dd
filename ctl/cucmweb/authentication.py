"""PURE. Says who a request is of: the operator at the Unix socket, or a name with a role.

    came by          with                is of
    anywhere         a bearer token      the token's name and role
    a trusted peer   the proxy's header  the name in it, with the role that the proxy has or gives
    the Unix socket  neither             an operator without a name: None
    TCP              neither             nobody

Where the proxy comes by the Unix socket, who comes by it with neither is nobody too: a proxy that
has let somebody in without asking would make an operator of them.

These are refused, and not ignored: the proxy's header from another peer, a header that stands there
twice, a token beside the proxy's header.
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
from cucmweb.tokens import NAME, NAME_EXPECTED, Token, matching

# RFC 6750; a scheme's name is in any case (RFC 9110).
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,128}=*)", re.IGNORECASE)
_ROLES: tuple[Role, ...] = get_args(Role)


class RequestHead(Struct, frozen=True):
    """Says how a request came. `peer`: the address at the other end; None: it came by the Unix
    socket. The names of headers are in lower case.
    """

    peer: str | None
    headers: Sequence[tuple[bytes, bytes]]

    def values(self, name: str) -> list[str]:
        """Returns the values of a header. A byte that is not ASCII becomes a character that none
        is.
        """
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]


def authenticate(
    arrival: RequestHead, tokens: Iterable[Token], proxy: ProxySettings, now: datetime
) -> OnBehalfOf | None:
    """Returns None for the operator at the Unix socket. Raises `HttpProblem`."""
    given = arrival.values("authorization")
    names = [name for name in (proxy.header, proxy.role_header) if name]
    if said := next((name for name in names if arrival.values(name)), None):
        if not proxy.trusts(arrival.peer):
            raise _forbidden(f"{said} is accepted from the proxy only, and this peer is not it")
        if given:
            raise _forbidden(
                "both Authorization and the proxy's header say who this is; the proxy has to clear"
                " Authorization"
            )
        return _named_by_proxy(arrival, proxy)
    if given:
        if len(given) > 1:
            raise _unknown("Authorization stands there more than once")
        if (presented := _BEARER.fullmatch(given[0])) is None:
            raise _unknown("Authorization is not a bearer token")
        if (token := matching(presented[1], tokens, now)) is None:
            raise _unknown("no such token, or it is over", 'Bearer error="invalid_token"')
        return OnBehalfOf(token.name, token.role)
    if arrival.peer is None and not proxy.trusts(None):
        return None
    raise _unknown("nothing says who this is: a bearer token is needed")


def _named_by_proxy(arrival: RequestHead, proxy: ProxySettings) -> OnBehalfOf:
    name = _once(arrival, proxy.header)
    if not name:
        raise _unknown(f"the proxy gives no name in {proxy.header}")
    if not NAME.fullmatch(name):
        raise _forbidden(f"the name in {proxy.header} is not {NAME_EXPECTED}")
    if proxy.role:
        return OnBehalfOf(name, proxy.role)
    given = _once(arrival, proxy.role_header)
    role = next((one for one in _ROLES if one == given), None)
    if role is None:
        raise _forbidden(f"{proxy.role_header} is not one of {', '.join(_ROLES)}")
    return OnBehalfOf(name, role)


def _once(arrival: RequestHead, header: str) -> str:
    values = arrival.values(header)
    if len(values) > 1:
        raise _forbidden(f"{header} stands there more than once")
    return values[0] if values else ""


def _unknown(reason: str, challenge: str = "Bearer") -> HttpProblem:
    problem = HttpProblem(401, "NotLetIn", reason)
    problem.headers["www-authenticate"] = challenge
    return problem


def _forbidden(reason: str) -> HttpProblem:
    return HttpProblem(403, "NotLetIn", reason)
