"""PURE. Describes handovers, and checks the requests for them.

The configuration names the targets. The target decides whether a request may do without masks, and
whether the request has to have a token.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from cucmctl.cli.options import UsageError
from cucmctl.upload.destination import destination_of
from cucmctl.upload.encryption import checked_password
from cucmctl.upload.target import TargetSettings, Uploaded
from cucmd.protocol.jobs import Job
from cucmweb.problems import HttpProblem

HandoverState: TypeAlias = Literal["running", "done", "failed", "cancelled"]

# The most messages of cucmctl that are kept, and the longest of them.
_MOST_SAID = 30
_LONGEST = 500
# The number of a case, which the vendor gives.
_CASE = re.compile(r"[0-9]{1,20}")


class Target(Struct, frozen=True):
    """Describes where jobs can be handed over."""

    name: str
    # Where files go: cxd, or an address.
    url: str
    # "always"; "yes" or "no" is for requests that do not say whether to mask.
    mask: Literal["always", "yes", "no"]
    # Files are encrypted for this key of gpg.
    encrypt_to: str | None = None
    # Each request has to have a token. Each case of the vendor has a token of its own.
    needs_token: bool = False
    # Files are encrypted into a zip, and each request has to have the password for that.
    needs_password: bool = False


class Handover(Struct, frozen=True):
    """Describes the handover of a job to a target."""

    job_id: str
    target: str
    state: HandoverState
    masked: bool
    started_at: datetime
    # Who asked for it.
    asked_by: str | None = None
    ended_at: datetime | None = None
    # A text about what is done now, with bytes and rate.
    progress: str | None = None
    # Messages: what was masked or left out, what went wrong, and what is known about the target.
    said: tuple[str, ...] = ()
    # Where the file is, its bytes and its SHA-256, once the target has confirmed that it has it.
    address: str | None = None
    bytes: int | None = None
    sha256: str | None = None

    def after_line(self, line: str) -> Handover:
        """Returns the handover after a line of cucmctl's standard error."""
        text = line[:_LONGEST]
        if not text.startswith("cucmctl: "):
            return replace(self, progress=text)
        said = (*self.said, text.removeprefix("cucmctl: "))
        return replace(self, progress=None, said=said[-_MOST_SAID:])


class TargetsRequest(Struct, frozen=True):
    """List the targets to which jobs can be handed over."""


class TargetsReply(Struct, frozen=True):
    targets: tuple[Target, ...]


class HandOverRequest(Struct, frozen=True):
    """Hand a closed job over to a target: export it, mask and encrypt it, and upload it."""

    job_id: str
    target: str
    # The number of the vendor's case; without it, the number in the job's label `case` is used.
    case: str | None = None
    # Whether to mask the files; without it, the setting of the target counts.
    mask: bool | None = None
    # The token, for targets that need one. It is not kept.
    token: str | None = None
    # The password of the encrypted zip, for targets that need one. It is not kept.
    password: str | None = None


class HandoversRequest(Struct, frozen=True):
    """List the newest handover of a job to each target."""

    job_id: str


class HandoversReply(Struct, frozen=True):
    handovers: tuple[Handover, ...]


class CancelHandoverRequest(Struct, frozen=True):
    """Cancel a handover. What the target has received by then may stay there."""

    job_id: str
    target: str


def target_of(name: str, settings: TargetSettings) -> Target:
    """Returns how requests see a target."""
    asks = settings.has_login and not settings.token_file
    sealed = settings.encrypt_with_password
    return Target(name, settings.url, settings.mask, settings.encrypt_to or None, asks, sealed)


def begun(
    asked: HandOverRequest, target: Target, job: Job, by: str | None, now: datetime
) -> Handover:
    """Returns a handover that begins. Raises `HttpProblem` for what the target does not accept."""
    masked = target.mask != "no" if asked.mask is None else asked.mask
    if target.mask == "always" and not masked:
        raise wrong("mask", f"{target.name} gets masked files only")
    if asked.case is not None and not _CASE.fullmatch(asked.case):
        raise wrong("case", "expected a number such as 698123456")
    try:
        destination_of(target.url, "file", case=asked.case or (job.labels or {}).get("case"))
    except UsageError:
        text = f"{target.name} needs the number of the case, here or in the label case"
        raise wrong("case", text) from None
    for field, needed, given in (
        ("token", target.needs_token, asked.token),
        ("password", target.needs_password, asked.password),
    ):
        if needed != bool(given):
            needs = f"needs a {field}" if needed else f"takes no {field}"
            raise wrong(field, f"{target.name} {needs} of the caller")
    if "\n" in (asked.token or ""):
        raise wrong("token", "expected one line")
    try:
        checked_password(asked.password or "")
    except UsageError as error:
        raise wrong("password", str(error)) from None
    return Handover(job.job_id, target.name, "running", masked, now, by)


def ended(
    handover: Handover, result: Uploaded | None, at: datetime, *, cancelled: bool
) -> Handover:
    """Returns the handover after the end of cucmctl. It is done only if the upload was confirmed.

    result     what the target has confirmed
    cancelled  whether somebody has cancelled the handover
    """
    said = handover.said or tuple(filter(None, [handover.progress]))  # a traceback is no message
    end = replace(handover, state="failed", said=said, progress=None, ended_at=at)
    if result is None:
        return replace(end, state="cancelled") if cancelled else end
    address, size, sha256 = result.address, result.bytes, result.sha256
    return replace(end, state="done", address=address, bytes=size, sha256=sha256)


def wrong(field: str, reason: str) -> HttpProblem:
    return HttpProblem(400, "InvalidRequest", f"{field}: {reason}", field=field)
