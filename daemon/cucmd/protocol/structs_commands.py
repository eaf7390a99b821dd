"""The structs of calls about commands and captures on nodes. Shared by daemon and `cucmctl`.

The one rule: that of `structs.py`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from cucmd.protocol.structs import Job, Login, Timeouts


class RunRequest(Struct, frozen=True):
    nodes: tuple[str, ...]
    login: Login
    commands: tuple[str, ...]
    timeouts: Timeouts | None = None
    concurrency: int | None = None
    request_id: str | None = None
    labels: dict[str, str] | None = None
    start_key: str | None = None
    try_all: bool | None = None
    discovered: tuple[str, ...] | None = None
    accept_nodes: bool | None = None


class OutputRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None


class CommandOutput(Struct, frozen=True):
    node: str
    number: int
    command: str
    text: str
    ended: bool
    complete: bool
    parsed: dict[str, Any] | None = None


class OutputReply(Struct, frozen=True):
    output: CommandOutput | None = None


class CaptureRequest(Struct, frozen=True):
    nodes: tuple[str, ...]
    login: Login
    interface: str | None = None
    host: str | None = None
    port: int | None = None
    count: int | None = None
    size: int | None = None
    duration: float | None = None
    delete: bool | None = None
    timeouts: Timeouts | None = None
    concurrency: int | None = None
    request_id: str | None = None
    labels: dict[str, str] | None = None
    start_key: str | None = None
    try_all: bool | None = None
    discovered: tuple[str, ...] | None = None
    accept_nodes: bool | None = None


class StopRequest(Struct, frozen=True):
    job_id: str
    request_id: str | None = None


class StopReply(Struct, frozen=True):
    message: str
    job: Job
    request_id: str | None = None
