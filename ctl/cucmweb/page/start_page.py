"""Shows the form that starts a job, and starts it."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from itertools import product

from cucmctl.client import methods
from cucmctl.client.errors import ClientError, InvalidRequest, JobNotFound
from cucmweb.page import forms
from cucmweb.page.visit import Visit, redirect
from cucmweb.problems import problem_of

# The fields beside which a refusal of the daemon is shown.
_FIELDS = (
    "nodes", "username", "password", "credential", "profile", "paths", "commands", "last", "since",
    "until", "labels",
)  # fmt: skip
# Members of `Start` that can be refused as a whole -> the first of their fields.
_FIRST_FIELDS = {"login": "username", "collection": "last"}


async def show_start(visit: Visit) -> None:
    await _show_form(visit, {"kind": "collect", "last": "1h"} | visit.query)


async def _show_form(visit: Visit, form: dict[str, str], field: str = "", reason: str = "") -> None:
    """Shows the form with what was typed. `field` is the one that is wrong, for that `reason`."""
    times: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        with suppress(forms.WrongForm):
            times[name] = forms.moment(form, name, visit.common["zone"])
    await visit.show(
        "start.html",
        400 if reason else 200,
        form=defaultdict(str, form, password=""),
        field=field,
        reason=reason,
        kinds=forms.KINDS,
        profiles=await visit.ask(methods.profiles()),
        clusters=await visit.ask(methods.clusters()),
        key=secrets.token_hex(16),
        credentials=await visit.ask(methods.credentials()),
        node_zone=await _zone_of(visit, form.get("nodes", "")),
        times=times,
    )


async def _zone_of(visit: Visit, names: str) -> str:
    """Returns the time zone of a node or a cluster, as the last job there has found it, or "".

    names  what the form has; only the first name is looked at
    """
    target = names.replace(",", " ").split()[:1]
    for name, kind in product(target, ("collect", "check")):
        with suppress(InvalidRequest, JobNotFound):
            for last in await visit.ask(methods.list(target=name, kind=kind, limit=1)):
                nodes = (await visit.ask(methods.status(last.job_id))).nodes
                zones = {node.zone or (node.checked and node.checked.zone) for node in nodes}
                zones.discard(None)
                if len(zones) == 1:
                    return zones.pop() or ""
    return ""


async def start(visit: Visit) -> None:
    form = visit.form
    if "estimate" in form:
        form["kind"] = "dry_run"
    try:
        job = await visit.ask(forms.start_call(form, visit.common["zone"]))
    except forms.WrongForm as wrong:
        await _show_form(visit, form, wrong.field, str(wrong))
    except InvalidRequest as error:
        parameter = error.parameters.parameter  # such as `collection.paths[1]`
        words = re.findall(r"\w+", parameter)
        members = [_FIRST_FIELDS[word] for word in words if word in _FIRST_FIELDS]
        field = next((word for word in words if word in _FIELDS), "".join(members))
        await _show_form(visit, form, field, f"{parameter}: {error.parameters.reason}")
    except ClientError as error:
        await _show_form(visit, form, "", problem_of(error).detail)
    else:
        await redirect(visit.channel, f"/ui/jobs/{job.job_id}")
