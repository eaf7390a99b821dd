"""Answers the paths below /ui/: finds the function for a path, and shows an error as a page.

A change is a POST, after which the browser is sent to a view (303). Each button leads to a question
first. The question is a view of its own, so everything works without JavaScript too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import TypeAlias
from urllib.parse import unquote, urlencode

from cucmctl.client.errors import ClientError
from cucmd.job.request import OnBehalfOf
from cucmweb.daemon_liveness import until
from cucmweb.exchange import Exchange
from cucmweb.page import changes, cluster_page, find_page, job_pages, login_page, start_page
from cucmweb.page.live import Live
from cucmweb.page.render import environment, render
from cucmweb.page.sessions import Sessions
from cucmweb.page.visit import Visit, common_values, redirect, send_html
from cucmweb.problems import HttpProblem, problem_of
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
_ROUTES: dict[str, Handler] = {
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
_NO_HEAD = (job_pages.stream_jobs, job_pages.stream_job, job_pages.export)
# Views that a viewer is refused.
_CHANGES = (changes.ask, changes.change, start_page.show_start, start_page.start)


class Pages:
    """Answers requests below /ui/.

    live      tells streams that a job has changed
    sessions  who has signed in
    """

    def __init__(self, tokens: TokenFile, live: Live, sessions: Sessions) -> None:
        self._tokens = tokens
        self._live = live
        self._sessions = sessions
        environment()  # now, so that nobody waits for it
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        for method_and_path, handler in _ROUTES.items():
            method, _, path = method_and_path.partition(" ")
            pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))
            self._routes.append((method, pattern, handler))

    async def answer(
        self, channel: HttpChannel, make_exchange: Callable[[Mapping[str, str]], Exchange]
    ) -> None:
        """Answers a request. An error is a page too, and somebody unknown is sent to the login.

        make_exchange  makes the exchange; raises `HttpProblem` if the request is refused
        """
        try:
            handler, path = self._route(channel)
            exchange = make_exchange(path)
            visit = Visit(
                exchange, path, live=self._live, sessions=self._sessions, tokens=self._tokens
            )
            _check(visit, handler)
            # Before `gone` waits for the client to leave, which reads from the connection too.
            if channel.method == "POST":
                await visit.read_form()
            async with until(exchange.gone):
                await handler(visit)
        except (ClientError, HttpProblem) as error:
            problem = error if isinstance(error, HttpProblem) else problem_of(error)
            if channel.status:
                raise problem from error
            # htmx would take the form of the login for a part of its page. See static/page.js.
            is_part = any(name == b"hx-request" for name, _ in channel.headers)
            if problem.status == 401 and channel.method == "GET" and not is_part:
                target = channel.path + (f"?{channel.query}" if channel.query else "")
                await redirect(channel, f"/ui/login?{urlencode({'next': target})}")
                return
            values = common_values(channel, OnBehalfOf("", "view"))
            body = render("problem.html", {**values, "problem": problem})
            await send_html(channel, body, problem.status, problem.headers)

    def _route(self, channel: HttpChannel) -> tuple[Handler, dict[str, str]]:
        """Returns the function for a path, and the values of the names in the path."""
        allowed = []
        for allows, pattern, handler in self._routes:
            if (match := pattern.fullmatch(channel.path)) is None:
                continue
            is_head = channel.method == "HEAD" and handler not in _NO_HEAD
            if allows == ("GET" if is_head else channel.method):
                return handler, {name: unquote(text) for name, text in match.groupdict().items()}
            allowed.append(allows)
        if not allowed:
            raise HttpProblem(404, "NoSuchPath", "there is no such page")
        problem = HttpProblem(405, "MethodNotAllowed", "this page does not have that method")
        problem.headers["allow"] = ", ".join(allowed)
        raise problem


def _check(visit: Visit, handler: Handler) -> None:
    """Refuses a form that a page of another site may have sent, and viewers who would change
    something. Raises `HttpProblem`.
    """
    if visit.channel.method == "POST":
        # A browser sends at least one of these with each form. `Origin` was compared before.
        is_own = visit.exchange.header("sec-fetch-site") == "same-origin"
        if not is_own and visit.exchange.header("origin") in (None, "null"):
            text = "a form has to be sent by a page of this server"
            raise HttpProblem(403, "WrongOrigin", text, field="origin")
    if handler in _CHANGES and not visit.common["may_change"]:
        raise HttpProblem(403, "NotPermitted", "a viewer may look, and change nothing")
