"""PURE. What `utils service list` says of a node's services.

The one rule: a line that has not the form of `vos/NODES.md`, section 6.4, is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from cucmd.vos.lines import whole

# `Cisco Tomcat[STARTED]`, `Cisco DirSync[STOPPED]  Service Not Activated`. A blank before the
# bracket is not always there.
_SERVICE = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][^\[\]]{0,99}?)\s*\[\s*(?P<state>[A-Z][A-Z ]{0,30}?)\s*\]"
    r"\s*(?P<note>[^\[\]]{0,200}?)\s*"
)
_PRIMARY = re.compile(r"\s*Primary Node\s*=\s*(?P<primary>true|false)\s*", re.IGNORECASE)


class Service(msgspec.Struct, frozen=True):
    """`state`: the node's own word (STARTED, STOPPED, ...). `note`: what stands behind it."""

    name: str
    state: str
    note: str | None = None


class ServiceList(msgspec.Struct, frozen=True):
    """`primary`: whether the node calls itself the primary one; None: it does not say.

    `others`: lines in no known form, without the empty ones.
    """

    services: tuple[Service, ...]
    primary: bool | None = None
    others: tuple[str, ...] = ()


def parse_service_list(lines: Iterable[str]) -> ServiceList:
    """Reads the answer to `utils service list`."""
    services: list[Service] = []
    primary: bool | None = None
    others: list[str] = []
    for line in lines:
        if found := whole(_SERVICE, line):
            services.append(Service(found["name"], found["state"], found["note"] or None))
        elif primary is None and (found := whole(_PRIMARY, line)):
            primary = found["primary"].lower() == "true"
        elif line.strip():
            others.append(line)
    return ServiceList(tuple(services), primary, tuple(others))
