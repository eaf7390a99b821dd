"""Shows the form that starts a job, and starts it."""

from __future__ import annotations

import secrets

from cucmctl.client.errors import ClientError, InvalidRequest
from cucmd.protocol import jobs, knowledge
from cucmweb.page import forms
from cucmweb.page.visit import Visit
from cucmweb.problems import problem_of

# The beginning of a parameter of `Start` -> the field of the form that it came from.
_FIELDS = {
    "nodes": "nodes",
    "login.username": "username",
    "login.password": "password",
    "login.credential": "credential",
    "login": "username",
    "collection.profile": "profile",
    "collection.paths": "paths",
    "collection.since": "since",
    "collection.until": "until",
    "collection": "last",
    "commands": "commands",
    "labels": "labels",
}


async def show_start(visit: Visit) -> None:
    await _show_form(visit, {"kind": "collect", "last": "1h"} | visit.query)


async def _show_form(visit: Visit, form: dict[str, str], field: str = "", reason: str = "") -> None:
    """Shows the form with what was typed. `field` is the one that is wrong, for that `reason`."""
    profiles = await visit.call(knowledge.ProfilesRequest(), knowledge.ProfilesReply)
    clusters = await visit.call(knowledge.ClustersRequest(), knowledge.ClustersReply)
    credentials = await visit.call(knowledge.CredentialsRequest(), knowledge.CredentialsReply)
    await visit.show(
        "start.html",
        400 if reason else 200,
        form={name: form.get(name, "") for name in forms.FIELDS},
        field=field,
        reason=reason,
        kinds=forms.KINDS,
        windows=forms.WINDOWS,
        profiles=profiles.profiles,
        clusters=[cluster.name for cluster in clusters.clusters if cluster.name],
        key=secrets.token_hex(16),
        credentials=[credential.name for credential in credentials.credentials],
    )


async def start(visit: Visit) -> None:
    form = visit.form
    if "estimate" in form:
        form["kind"] = "dry_run"
    try:
        request = forms.start_request(form, visit.common["zone"])
        reply = await visit.call(request, jobs.StartReply)
    except forms.WrongForm as wrong:
        await _show_form(visit, form, wrong.field, str(wrong))
    except InvalidRequest as error:
        parameter, reason = error.parameters.parameter, error.parameters.reason
        known = parameter.removeprefix("dry_run.")
        field = next((_FIELDS[name] for name in _FIELDS if known.startswith(name)), "")
        await _show_form(visit, form, field, f"{parameter}: {reason}")
    except ClientError as error:
        await _show_form(visit, form, "", problem_of(error).detail)
    else:
        await visit.redirect(f"/ui/jobs/{reply.job.job_id}")
