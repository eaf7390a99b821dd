"""PURE. Declares `MethodCall`: the request of a method, and how to get the result from the reply.

`methods.py` builds the calls once for all clients. Code that makes calls and produces items in
between is a generator, `CallSteps`. It yields items and calls, and is sent the results of the
calls. Thus the same code serves the blocking client and the client on trio.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from cucmctl.client.errors import ClientError

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class MethodCall(Generic[T_co]):
    """Holds one call. For a call with several replies, the result is the items of each reply.

    result_of     takes the result out of a reply
    keyed         the call starts something, and must do so only once: see repeatable_call.py
    has_deadline  the client limits the time of the call; otherwise the call may take any time
    """

    def __init__(
        self,
        method: str,
        request: object,
        reply: type[R],
        result_of: Callable[[R], T_co],
        *,
        keyed: bool = False,
        has_deadline: bool = True,
    ) -> None:
        self.method = method
        self.request: Any = request
        self.reply: type[msgspec.Struct] = reply
        self.result_of: Callable[[Any], T_co] = result_of
        self.keyed = keyed
        self.has_deadline = has_deadline


def whole_reply(reply: R) -> R:
    """Returns the reply, for methods whose result is the whole reply."""
    return reply


def one_item(reply: R) -> tuple[R]:
    """Returns the reply as the only item, for streams of replies."""
    return (reply,)


CallSteps: TypeAlias = Generator[MethodCall[Any] | T, Any, None]


def run_steps(steps: CallSteps[T], ask: Callable[[MethodCall[Any]], Any]) -> Iterator[T]:
    """Yields the items, and makes the calls with `ask`. Errors are raised inside the generator."""
    resume: Callable[[], MethodCall[Any] | T] = partial(next, steps)
    while True:
        try:
            step = resume()
        except StopIteration:
            return
        if not isinstance(step, MethodCall):
            yield step
            resume = partial(next, steps)
            continue
        try:
            resume = partial(steps.send, ask(step))
        except ClientError as error:
            resume = partial(steps.throw, error)


def texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Returns a tuple. Refuses a single text: "berlin" would become the nodes b, e, r, l, i, n."""
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name}: {values!r} is a single text; expected several, as in [{values!r}]"
        )
    return tuple(values)


def texts_or_none(name: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else texts(name, values)
