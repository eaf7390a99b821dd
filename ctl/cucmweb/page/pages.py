"""Lists the paths below /ui/, each with the function that answers it, and shows errors as pages.

A change is a POST, after which the browser is sent to a view (303). Each button leads to a question
first. The question is a view of its own, so everything works without JavaScript too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TypeAlias
from urllib.parse import urlencode

from cucmd.job.request import OnBehalfOf
from cucmweb.daemon_liveness import until
from cucmweb.exchange import Exchange
from cucmweb.handovers import Handovers
from cucmweb.page import (
    changes,
    cluster_page,
    find_page,
    handover_page,
    job_pages,
    login_page,
    start_page,
)
from cucmweb.page.live import Live
from cucmweb.page.render import render
from cucmweb.page.sessions import Sessions
from cucmweb.page.visit import Visit, common_values, redirect, send_html
from cucmweb.problems import HttpProblem
from cucmweb.server import HttpChannel
from cucmweb.token_file import TokenFile

Handler: TypeAlias = Callable[[Visit], Awaitable[None]]

UI = "/ui/"
# Paths for people who have not signed in.
OPEN = re.compile(r"/ui/(login|static/[\w.-]+)")
_STATIC = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


async def _send_static(visit: Visit) -> None:
    name = visit.path["name"]
    file = files("cucmweb.page") / "static" / name
    kind = _STATIC.get(name[name.rfind(".") :])
    if kind is None or not file.is_file():
        raise HttpProblem(404, "NoSuchPath", "there is no such file")
    # The templates add the version to the address, so an upgrade is seen at once.
    headers = {"content-type": kind, "cache-control": "max-age=86400"}
    await visit.exchange.whole(file.read_bytes(), 200, headers)


_ACTION = f"/ui/jobs/{{job_id}}/(?P<action>{'|'.join(changes.ACTIONS)})"
ROUTES: dict[str, Handler] = {
    "GET /ui/": job_pages.show_jobs,
    "GET /ui/stream": job_pages.stream_jobs,
    "GET /ui/jobs/{job_id}": job_pages.show_job,
    "GET /ui/jobs/{job_id}/stream": job_pages.stream_job,
    "GET /ui/jobs/{job_id}/files": job_pages.show_files,
    "GET /ui/jobs/{job_id}/output": job_pages.show_output,
    "GET /ui/jobs/{job_id}/transcript": job_pages.show_transcript,
    "GET /ui/jobs/{job_id}/find": find_page.show_find,
    "GET /ui/jobs/{job_id}/export.(?P<form>zip|tar)": job_pages.export,
    f"GET {_ACTION}": changes.ask,
    f"POST {_ACTION}": changes.change,
    "GET /ui/jobs/{job_id}/handover": handover_page.show_handover,
    "POST /ui/jobs/{job_id}/handover": handover_page.hand_over,
    "GET /ui/start": start_page.show_start,
    "POST /ui/start": start_page.start,
    "GET /ui/clusters": cluster_page.show_clusters,
    "GET /ui/clusters/{name}": cluster_page.show_cluster,
    "GET /ui/login": login_page.show_login,
    "POST /ui/login": login_page.log_in,
    "POST /ui/logout": login_page.log_out,
    "GET /ui/static/(?P<name>[\\w.-]+)": _send_static,
}
# Replies without a known end, or in pieces that would be made only to be dropped after a HEAD.
NO_HEAD = (job_pages.stream_jobs, job_pages.stream_job, job_pages.export)
# Views that a viewer is refused.
_CHANGES = (
    *(changes.ask, changes.change, start_page.show_start, start_page.start),
    *(handover_page.show_handover, handover_page.hand_over),
)


async def answer(
    handler: Handler,
    exchange: Exchange,
    *,
    live: Live,
    sessions: Sessions,
    tokens: TokenFile,
    handovers: Handovers,
) -> None:
    """Answers a request with a handler. Raises `HttpProblem`, `ClientError`, and what sending a
    reply raises.
    """
    visit = Visit(exchange, live=live, sessions=sessions, tokens=tokens, handovers=handovers)
    if handler in _CHANGES and not visit.common["may_change"]:
        raise HttpProblem(403, "NotPermitted", "a viewer may look, and change nothing")
    if visit.channel.method == "POST":
        # A browser sends at least one of these with each form. `Origin` was compared before.
        is_own = exchange.header("sec-fetch-site") == "same-origin"
        if not is_own and exchange.header("origin") in (None, "null"):
            text = "a form has to be sent by a page of this server"
            raise HttpProblem(403, "WrongOrigin", text, field="origin")
        # Before `gone` waits for the client to leave, which reads from the connection too.
        await visit.read_form()
    async with until(exchange.gone):
        await handler(visit)


async def show_problem(channel: HttpChannel, problem: HttpProblem) -> None:
    """Shows an error as a page, and sends people who have not signed in to the login."""
    # htmx would take the form of the login for a part of its page. See static/page.js.
    is_part = any(name == b"hx-request" for name, _ in channel.headers)
    if problem.status == 401 and channel.method == "GET" and not is_part:
        target = channel.path + (f"?{channel.query}" if channel.query else "")
        await redirect(channel, f"/ui/login?{urlencode({'next': target})}")
        return
    values = common_values(channel, OnBehalfOf("", "view"))
    body = render("problem.html", {**values, "problem": problem})
    await send_html(channel, body, problem.status, problem.headers)
