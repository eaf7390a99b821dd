"""Asks before a job is changed, and changes it."""

from __future__ import annotations

from urllib.parse import quote

from cucmctl.client import methods
from cucmctl.client.errors import InvalidRequest
from cucmd.job.work_request import Login
from cucmweb.page import forms
from cucmweb.page.visit import Visit, redirect

ACTIONS = ("cancel", "stop", "retry", "labels", "delete")


async def ask(visit: Visit, wrong: str = "") -> None:
    """Shows what a button is about to do, with a second button to agree.

    wrong  what is wrong with the form that was sent before
    """
    node = (visit.form or visit.query).get("node", "")
    job, action = await visit.job(), visit.path["action"]
    status = 400 if wrong else 200
    await visit.show("ask.html", status, action=action, job=job, node=node, wrong=wrong)


async def change(visit: Visit) -> None:
    """Makes the change to which the person has agreed. Then sends the browser to the job, or to the
    list of jobs if the job was deleted.
    """
    job_id, form = visit.path["job_id"], visit.form
    nodes = (form["node"],) if form.get("node") else None
    target = f"/ui/jobs/{quote(job_id, safe='')}"
    try:
        match visit.path["action"]:
            case "cancel":
                await visit.ask(methods.cancel(job_id, nodes))
            case "stop":
                await visit.ask(methods.stop(job_id))
            case "retry":
                login = forms.login(form)
                given = None if login == Login(login.username) else login
                await visit.ask(methods.retry(job_id, nodes, login=given))
            case "labels":
                await visit.ask(methods.label(job_id, forms.labels(form.get("labels", ""))))
            case "delete":
                files_only = form.get("files_only") == "yes"
                await visit.ask(methods.delete(job_id, files_only=files_only))
                target = target if files_only else "/ui/"
    except (InvalidRequest, forms.WrongForm) as error:
        await ask(visit, str(error))
        return
    await redirect(visit.channel, target)
