"""PURE. Reads the form of the view Start, and makes a call to the daemon from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from cucmctl.client import methods
from cucmctl.client.method_call import MethodCall
from cucmd.job.kind import WorkRequest
from cucmd.job.work_request import (
    Checks,
    Collection,
    Commands,
    Discovery,
    Estimate,
    Files,
    HealthChecks,
    How,
    Login,
)
from cucmd.protocol.jobs import Job

# The kinds of work that the page can start, with the words of its form.
KINDS = {
    "collect": "Collect files",
    "dry_run": "Ask how large the files are",
    "check": "Check whether collecting will work",
    "health": "Check whether the nodes are well",
    "discover": "Find the nodes of a cluster",
    "run": "Run commands that read",
}


class WrongForm(Exception):
    """Raised for a field that the daemon need not be asked about. `field` is its name."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def start_call(form: Mapping[str, str], zone: tzinfo | None) -> MethodCall[Job]:
    """Makes a call from the fields of the form. Raises `WrongForm`.

    zone  the zone of the viewer, in which the form has the times
    """
    targets = tuple(re.findall(r"[^\s,]+", form.get("nodes", "")))
    if not targets:
        raise WrongForm("nodes", "expected at least one node, or the name of a cluster")
    # The key is made with each form, so that a form that is sent twice starts one job.
    how = How(labels=labels(form.get("labels", "")) or None, start_key=form.get("key") or None)
    return methods.start(targets, _work(form, zone), login=login(form), how=how)


def login(form: Mapping[str, str]) -> Login:
    """Returns the login in a form."""
    return Login(
        username=form.get("username") or None,
        password=form.get("password") or None,
        credential=form.get("credential") or None,
    )


def _work(form: Mapping[str, str], zone: tzinfo | None) -> WorkRequest:
    match form.get("kind", "collect"):
        case "collect":
            return Files(_collection(form, zone))
        case "dry_run":
            return Estimate(_collection(form, zone))
        case "check":
            return Checks(receiver=True)
        case "health":
            return HealthChecks()
        case "discover":
            return Discovery()
        case "run":
            lines = form.get("commands", "").splitlines()
            return Commands(tuple(line.strip() for line in lines if line.strip()))
        case other:
            raise WrongForm("kind", f"{other!r}: expected one of {', '.join(KINDS)}")


def _collection(form: Mapping[str, str], zone: tzinfo | None) -> Collection:
    paths = tuple(form.get("paths", "").split())
    since, until = moment(form, "since", zone), moment(form, "until", zone)
    last = form.get("last", "") or None
    if since or until:
        last = None  # a time that was typed is meant; the field `last` has a value from the start
    if not paths and not form.get("profile"):
        raise WrongForm("profile", "expected a profile, or paths")
    return Collection(
        profile=form.get("profile") or None,
        paths=paths or None,
        last=last,
        since=since.isoformat() if since else None,
        until=until.isoformat() if until else None,
    )


def moment(form: Mapping[str, str], name: str, zone: tzinfo | None) -> datetime | None:
    """Returns the time of an `<input type="datetime-local">`, in UTC. Raises `WrongForm`."""
    if not (typed := form.get(name, "").strip()):
        return None
    try:
        at = datetime.fromisoformat(typed)
        if at.tzinfo is None:
            at = at.replace(tzinfo=zone) if zone else at.astimezone()
        return at.astimezone(UTC)
    except (ValueError, OverflowError):  # the second in the years 1 and 9999
        raise WrongForm(name, f"{typed!r}: expected a time such as 2026-03-01 14:30") from None


def labels(typed: str) -> dict[str, str]:
    """Reads labels such as `case=698123456 site=berlin`. `site=` removes a label.

    Raises `WrongForm`.
    """
    pairs = {}
    for word in typed.split():
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise WrongForm("labels", f"{word!r}: expected NAME=VALUE")
        pairs[name] = value
    return pairs
