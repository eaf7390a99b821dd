"""Shows the list of jobs, a job, and what a job has collected."""

from __future__ import annotations

import math

import trio

from cucmctl.client import methods
from cucmctl.client.errors import ClientError
from cucmctl.text.pace import NODE_ENDED
from cucmd.protocol import cases, jobs, requests
from cucmd.protocol.jobs import Job
from cucmweb.operations import OPERATIONS
from cucmweb.page import forms
from cucmweb.page.live import QUIET, SILENCE, Ask, Draw, Topic, as_event
from cucmweb.page.render import render
from cucmweb.page.sessions import cookie
from cucmweb.page.visit import BROWSER_COOKIE, HEADERS, Visit, cookies_of
from cucmweb.problems import HttpProblem, problem_of
from cucmweb.replies import ANSWERS

_ON_A_PAGE = 50
_STREAM = {"content-type": "text/event-stream", **HEADERS}
# The most files in the list of files, and characters of a transcript or of outputs. The export has
# everything.
_MOST_FILES = 2_000
_MOST_TEXT = 400_000


async def show_jobs(visit: Visit) -> None:
    await visit.show("jobs.html", state=await _list(visit))


async def stream_jobs(visit: Visit) -> None:
    def draw(state: jobs.ListReply, topic: Topic) -> bytes:
        return render("jobs_live.html", {**visit.common, "state": state})

    await _stream(visit, f"?{sorted(visit.query.items())}", lambda: _list(visit), draw)


async def _list(visit: Visit) -> jobs.ListReply:
    query = visit.query
    try:
        labels = forms.labels(query.get("label", ""))
    except forms.WrongForm as wrong:
        raise HttpProblem(400, "InvalidRequest", str(wrong), field="label") from None
    request = requests.ListRequest(
        status=query.get("status") or None,
        kind=query.get("kind") or None,
        labels=labels or None,
        target=query.get("target") or None,
        before=query.get("before"),
        limit=_ON_A_PAGE,
    )
    return await visit.ask(methods.list_page(request))


async def show_job(visit: Visit) -> None:
    await visit.show("job.html", job=await visit.job(), rates={})


async def stream_job(visit: Visit) -> None:
    def draw(job: Job, topic: Topic) -> bytes:
        at = trio.current_time()
        topic.rates.observe(job, at)
        rates = {node.node: topic.rates.rate_of(node.node, at) for node in job.nodes}
        return render("job_live.html", {**visit.common, "job": job, "rates": rates})

    topic_id = f"{visit.path['job_id']}?{visit.query.get('nodes')}"
    await _stream(visit, topic_id, visit.job, draw)


async def _stream(visit: Visit, topic_id: str, ask: Ask, draw: Draw) -> None:
    """Sends the state as it changes, until the reader has gone or there is no such job any more.

    draw  renders the state. Readers with the same zone and the same rights share the result.
    """
    held = visit.exchange.places.streams.held(visit.exchange.caller)
    # Another person who sends the same cookie has no influence on these streams.
    browser = visit.common["caller"], cookie(cookies_of(visit.channel), BROWSER_COOKIE) or visit
    try:
        with held, visit.live.read(topic_id) as topic, visit.live.stream_of(browser):
            visit.channel.start(200, _STREAM)
            await _send_states(visit, topic, ask, draw)
    except HttpProblem as problem:
        if visit.channel.status:
            raise
        # The page shows nothing of a reply with an error status. So the reason why the page stands
        # still is sent as an event.
        visit.channel.start(200, _STREAM)
        await visit.channel.send(_away(visit, problem, retry=30.0))
    await visit.channel.end()


async def _send_states(visit: Visit, topic: Topic, ask: Ask, draw: Draw) -> None:
    """Sends each state, until there is no such job any more."""
    alike = visit.common["may_change"], visit.common["zone_key"]
    seen, quiet = 0, QUIET
    while True:
        data = b":\n\n"
        with trio.move_on_after(SILENCE):
            await topic.newer(seen, quiet)
            try:
                seen, state = await topic.state(ask)
                quiet = math.inf if isinstance(state, Job) and state.closed else QUIET
                data = as_event(topic.rendered(alike, draw))
            except ClientError as error:
                problem = problem_of(error)
                data = _away(visit, problem)
                if problem.status == 404:
                    await visit.channel.send(data + b"event: end\ndata:\n\n")
                    return
                await trio.sleep(QUIET)
        await visit.channel.send(data)


def _away(visit: Visit, problem: HttpProblem, retry: float = 2.0) -> bytes:
    """Returns an event that says why there are no states now. `retry`: see `as_event`."""
    return as_event(render("away.html", {**visit.common, "problem": problem}), retry)


async def show_files(visit: Visit) -> None:
    job = await visit.job()
    found: list[cases.File] = []
    async with visit.items(methods.files(job.job_id)) as files:
        async for file in files:
            found.append(file)
            if len(found) > _MOST_FILES:
                break
    more = len(found) > _MOST_FILES
    await visit.show("files.html", job=job, files=found[:_MOST_FILES], more=more)


async def show_output(visit: Visit) -> None:
    job = await visit.job()
    pieces: dict[tuple[str, int, str], str] = {}
    length = 0
    async with visit.items(methods.output(job.job_id)) as outputs:
        async for out in outputs:
            key = out.node, out.number, out.command
            pieces[key] = pieces.get(key, "") + out.text
            length += len(out.text)
            if length > _MOST_TEXT:
                break
    await visit.show("output.html", job=job, outputs=pieces, more=length > _MOST_TEXT)


async def show_transcript(visit: Visit) -> None:
    job, node = await visit.job(), visit.query.get("node", "")
    text = ""
    async with visit.items(methods.transcript(job.job_id, node)) as pieces:
        async for piece in pieces:
            text = (text + piece)[-_MOST_TEXT:]
    runs = any(each.node == node and each.status not in NODE_ENDED for each in job.nodes)
    await visit.show("transcript.html", job=job, node=node, text=text, running=runs)


async def export(visit: Visit) -> None:
    job = await visit.job()
    operation = next(each for each in OPERATIONS if each.form == visit.path["form"])
    call = {"job_id": job.job_id, "on_behalf_of": visit.exchange.caller}
    await ANSWERS[operation.form](visit.exchange, operation, call)
