"""PURE. What `utils service list` says of a node's services.

A line that has not the form of `vos/NODES.md`, section 6.4, is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from cucmd.vos.lines import LONGEST, labelled

_NAME = re.compile(r"[A-Za-z0-9][^\]]{0,99}")
_STATE = re.compile(r"[A-Z][A-Z ]{0,30}")
_LONGEST_NOTE = 200
_PRIMARY = {"true": True, "false": False}


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
        if service := _service(line):
            services.append(service)
        elif primary is None and (said := _primary(line)) is not None:
            primary = said
        elif line.strip():
            others.append(line)
    return ServiceList(tuple(services), primary, tuple(others))


def _service(line: str) -> Service | None:
    """`Cisco Tomcat[STARTED]`, `Cisco DirSync[STOPPED]  Service Not Activated`. A blank before the
    bracket is not always there.
    """
    if len(line) > LONGEST:
        return None
    name, _, rest = line.partition("[")
    state, closed, note = rest.partition("]")
    name, state, note = name.strip(), state.strip(), note.strip()
    if not (closed and _NAME.fullmatch(name) and _STATE.fullmatch(state)):
        return None
    if len(note) > _LONGEST_NOTE or "[" in note or "]" in note:
        return None
    return Service(name, state, note or None)


def _primary(line: str) -> bool | None:
    label, value = labelled(line, "=")
    return _PRIMARY.get(value.lower()) if label.lower() == "primary node" else None
