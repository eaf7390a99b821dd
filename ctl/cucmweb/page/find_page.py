"""Searches the files of a job, and shows the first lines that are found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

import trio

from cucmctl.cli.printer import visible
from cucmctl.client import methods
from cucmctl.client.errors import InvalidRequest
from cucmctl.text import found_text
from cucmctl.text.found_text import Total, marked, pattern_of
from cucmctl.text.remarks import short_names
from cucmd.protocol import cases
from cucmd.protocol.jobs import Job
from cucmweb.page import forms
from cucmweb.page.visit import Visit

# The most matches and characters on a page, and seconds of a search. A proxy may give up after 60 s
# without a byte.
_MOST_MATCHES = 500
_MOST_TEXT = 400_000
_LONGEST = 40.0


class _Found:
    """Holds what a search has found. `stopped` says why it was ended early, if it was."""

    def __init__(self, search: cases.Search) -> None:
        self.search = search
        self.total = Total()
        self.matches: list[cases.Match] = []
        self.stopped = ""


async def show_find(visit: Visit) -> None:
    job = await visit.job()
    if not visit.query.get("what"):
        await _show(visit, job)
        return
    try:
        found = _Found(search_of(visit.query, visit.common["zone"]))
        await _find(visit, job, found)
    except forms.WrongForm as wrong:
        await _show(visit, job, wrong=wrong)
    except InvalidRequest as error:
        field = error.parameters.parameter.removeprefix("search.")
        field = field if field in ("path", "since", "until") else "what"
        await _show(visit, job, wrong=forms.WrongForm(field, error.parameters.reason))
    else:
        await _show(visit, job, found)


def search_of(form: Mapping[str, str], zone: tzinfo | None) -> cases.Search:
    """Makes a search from the fields of the form on the page of a job. Raises `WrongForm`."""
    kind = form.get("for", "text")
    if kind not in ("text", "regex", "number", "call_id"):
        raise forms.WrongForm("what", f"{kind!r}: expected text, regex, number or call_id")
    since, until = (forms.moment(form, name, zone) for name in ("since", "until"))
    return cases.Search(
        **{kind: form["what"]},
        ignore_case=True if form.get("ignore_case") else None,
        path=form.get("path", "").strip() or None,
        since=since.isoformat() if since else None,
        until=until.isoformat() if until else None,
    )


async def _find(visit: Visit, job: Job, found: _Found) -> None:
    """Searches until there is enough for a page."""
    nodes = (visit.query["node"],) if visit.query.get("node") else None
    length = 0
    async with visit.items(methods.find(job.job_id, found.search, nodes=nodes)) as replies:
        with trio.move_on_after(_LONGEST) as limit:
            async for reply in replies:
                found.total.add(reply)
                for match in reply.matches or ():
                    length += len(match.line)
                    if len(found.matches) == _MOST_MATCHES or length > _MOST_TEXT:
                        found.stopped = f"These are the first {len(found.matches)} matches"
                        return
                    found.matches.append(match)
        if limit.cancelled_caught:
            found.stopped = f"The search was stopped after {_LONGEST:g} seconds"


async def _show(
    visit: Visit, job: Job, found: _Found | None = None, *, wrong: forms.WrongForm | None = None
) -> None:
    names = short_names(job.nodes)
    rows, followed = [], list[str]()
    if found is not None:
        followed += found_text.followed_text(found.total.followed, names)
        followed += (f"not followed: {line}" for line in found.total.not_followed)
        # A regular expression can take long, and here everybody would wait for it.
        is_safe = found.search.regex is None
        pattern = pattern_of(found.search, found.total.followed) if is_safe else None
        for match in found.matches:
            parts = marked(match.line.rstrip("\r"), pattern)
            rows.append((match, [(visible(part), is_match) for part, is_match in parts]))
    await visit.show(
        "find.html",
        400 if wrong else 200,
        job=job,
        names=names,
        narrow=True,
        found=found,
        rows=rows,
        followed=followed,
        field=wrong.field if wrong else "",
        reason=str(wrong or ""),
    )
