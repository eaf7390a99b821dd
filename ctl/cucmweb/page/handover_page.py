"""Hands a job over to a target, and shows how far that is."""

from __future__ import annotations

from urllib.parse import quote

from cucmweb.handover import HandOverRequest, wrong
from cucmweb.page.visit import Visit, redirect
from cucmweb.problems import HttpProblem


async def show_handover(visit: Visit, problem: HttpProblem | None = None) -> None:
    """Shows the form, and the newest handover of the job to each target."""
    job = await visit.job()
    handovers = visit.handovers.of_job(job.job_id)
    await visit.show(
        "handover.html",
        problem.status if problem else 200,
        job=job,
        form=visit.form or {"case": (job.labels or {}).get("case", "")},
        handovers=handovers,
        running=any(one.state == "running" for one in handovers),
        wrong=problem,
    )


async def hand_over(visit: Visit) -> None:
    """Starts a handover, or cancels one. Then sends the browser to the handovers of the job."""
    form, job, caller = visit.form, await visit.job(), visit.exchange.caller
    try:
        if cancelled := form.get("cancel"):
            visit.handovers.cancel(job.job_id, cancelled, caller)
        else:
            asked = HandOverRequest(
                job.job_id,
                form.get("target", ""),
                form.get("case", "").strip() or None,
                form.get("mask") == "yes",
                form.get("token") or None,
                form.get("password") or None,
            )
            if form.get("again") != form.get("password"):
                raise wrong("password", "the two passwords differ")
            visit.handovers.start(asked, job, caller)
    except HttpProblem as problem:
        await show_handover(visit, problem)
        return
    await redirect(visit.channel, f"/ui/jobs/{quote(job.job_id, safe='')}/handover")
