"""PURE. Which commands have an answer that can be read, and how.

An answer is shown as the node gave it; what was read of it stands beside it. Every parser keeps
what it does not know, and none raises, whatever the lines are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from cucmd.vos import texts
from cucmd.vos.cluster import parse_network_cluster, parse_version_active
from cucmd.vos.forms import Command
from cucmd.vos.machine import parse_machine
from cucmd.vos.ntp import parse_ntp_status
from cucmd.vos.replication import parse_runtimestate
from cucmd.vos.services import parse_service_list

Parser: TypeAlias = Callable[[Iterable[str]], msgspec.Struct]

# By the head of the form.
PARSERS: dict[str, Parser] = {
    texts.SHOW_STATUS: parse_machine,
    texts.SHOW_VERSION: parse_version_active,
    texts.SHOW_CLUSTER: parse_network_cluster,
    texts.SERVICE_LIST: parse_service_list,
    texts.NTP_STATUS: parse_ntp_status,
    texts.RUNTIMESTATE: parse_runtimestate,
}


def parse_answer(command: Command, lines: Iterable[str]) -> dict[str, Any] | None:
    """The fields of the answer, as JSON has them; None where no parser is for it."""
    parser = PARSERS.get(command.head)
    if parser is None:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(parser(lines))
    return fields
