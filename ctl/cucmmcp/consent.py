"""Asks the person before a tool changes something, and refuses where nobody can be asked.

The question and the refusals have the `cucmctl` command that does the same. The SDK asks in the
form of the client's protocol: up to 2025-11-25 the server sends a request; later the reply has the
question, and the client calls again with the answer, which counts only for the same question.
"""

import inspect
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field, create_model

from cucmctl.cli.printer import visible
from cucmmcp.tools import Ctx, session_of

# The first version of the protocol in which a reply has the question.
_QUESTION_IN_REPLY = "2026-07-28"

Consent: Any = create_model("Consent", allow=(bool, Field(description="Let the assistant do this")))


def asking(
    fn: Callable[..., Any], command_of: Callable[..., Sequence[str]], *, asks: bool
) -> Resolve:
    """Makes what the SDK calls before a tool: it refuses, or asks the person if `asks`.

    command_of  gets the arguments of the call, and returns those of `cucmctl`
    """

    async def ask(**arguments: Any) -> Any:
        ctx: Ctx = arguments.pop("ctx")
        command = visible(shlex.join(["cucmctl", *command_of(**arguments)]))
        if not session_of(ctx).may_operate:
            why = "nothing may be changed here, without --operate or with the role view"
        elif not asks:
            return Consent(allow=True)
        elif not _can_ask(ctx):
            why = "a person has to allow this, and this client cannot ask for it (elicitation)"
        else:
            return Elicit(f"The assistant asks to run this:\n\n{command}", Consent)
        raise ToolError(f"{why}; a person can type: {command}")

    # The SDK gives `ask` the arguments that its signature names.
    vars(ask)["__signature__"] = inspect.signature(fn, eval_str=True)
    ask.__annotations__ = inspect.get_annotations(fn, eval_str=True)
    ask.__qualname__ = f"ask_{fn.__name__}"
    return Resolve(ask)


def check(answer: Any) -> None:
    """Raises `ToolError` unless the person has allowed the call."""
    if not (isinstance(answer, AcceptedElicitation) and answer.data.allow):
        raise ToolError("the person did not allow this; nothing was done")


def _can_ask(ctx: Ctx) -> bool:
    capabilities = ctx.client_capabilities
    asks = capabilities.elicitation if capabilities else None
    if asks is None or (asks.form is None and asks.url is not None):
        return False
    return (ctx.protocol_version or "") >= _QUESTION_IN_REPLY or ctx.session.can_send_request
