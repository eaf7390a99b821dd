"""Asks the person before a tool changes something, and refuses where nobody can be asked.

Up to 2025-11-25 the server sends the question as a request. Later the question is the reply, and
the client makes the same call again, with the answer. The SDK seals the state that goes with a
question, and accepts it only with the call for which the question was made.
"""

import shlex
from collections.abc import Sequence
from typing import Any

import trio
from mcp import MCPError
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from cucmctl.cli.printer import visible
from cucmmcp.tools import Ctx, session_of

# The first version of the protocol in which the question is the reply to the call.
_QUESTION_IN_REPLY = "2026-07-28"
# Seconds that the person has for the answer, and the most characters of a command in a question.
_PATIENCE, _LONGEST = 600, 2000
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"allow": {"type": "boolean", "title": "Let the assistant do this"}},
    "required": ["allow"],
}


async def ask(ctx: Ctx, words: Sequence[str], *, asks: bool) -> InputRequiredResult | None:
    """Returns None once the call may change something, or the question as the reply to the call.

    words  those of the `cucmctl` command that does the same, which a person can type instead
    asks   whether the person has to allow the call

    Raises `ToolError` if the call is not allowed.
    """
    command = visible(shlex.join(["cucmctl", *words]))
    in_reply = (ctx.protocol_version or "") >= _QUESTION_IN_REPLY
    why = ""
    if not session_of(ctx).may_operate:
        why = "nothing may be changed here, without --operate or with the role view"
    elif asks and not (_has_form(ctx) and (in_reply or ctx.session.can_send_request)):
        why = "a person has to allow this, and this client cannot ask for it (elicitation)"
    elif len(command) > _LONGEST:
        why = f"a person cannot be asked about a command of more than {_LONGEST} characters"
    if why:
        raise ToolError(f"{why}; a person can type: {command}")
    if not asks:
        return None
    question = f"The assistant asks to run this:\n\n{command}"
    if not in_reply:
        answer = await _answer(ctx, question)
    elif ctx.request_state == command and ctx.input_responses:
        answer = ctx.input_responses.get("consent")
    else:
        params = ElicitRequestFormParams(message=question, requested_schema=_FORM)
        asked: Any = {"consent": ElicitRequest(params=params)}
        return InputRequiredResult(input_requests=asked, request_state=command)
    is_accepted = isinstance(answer, ElicitResult) and answer.action == "accept"
    if not is_accepted or (answer.content or {}).get("allow") is not True:
        raise ToolError("the person did not allow this; nothing was done")
    return None


def _has_form(ctx: Ctx) -> bool:
    capabilities = ctx.client_capabilities
    modes = capabilities.elicitation if capabilities else None
    return modes is not None and (modes.form is not None or modes.url is None)


async def _answer(ctx: Ctx, question: str) -> Any:
    """Sends the question. Returns None if nobody answers in time, or not as the form wants it."""
    with trio.move_on_after(_PATIENCE):
        try:
            return await ctx.session.elicit_form(question, _FORM, ctx.request_id)
        except (MCPError, ValueError):
            pass
    return None
