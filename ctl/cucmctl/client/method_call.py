"""PURE. Declares `MethodCall`: what a method of a client asks the daemon, and what it makes of the
reply.

The methods are in `methods.py`, once for all clients. What has to ask the daemon in its middle is a
generator, `CallSteps`: it gives items, and calls, of which it is sent the results.
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
    """Of a call with several replies, the result is the items of each.

    once     it starts something, and has one effect: see once.py
    limited  to the time that a client gives a call; else it takes as long as it takes
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
    return reply


def one_item(reply: R) -> tuple[R]:
    return (reply,)


CallSteps: TypeAlias = Generator[MethodCall[Any] | T, Any, None]


def run_steps(steps: CallSteps[T], ask: Callable[[MethodCall[Any]], Any]) -> Iterator[T]:
    """Yields the items. `ask` makes the calls; an error of one is raised where the steps asked."""
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
    """Refuses one text, which is a sequence too: "berlin" would be the nodes b, e, r, l, i, n."""
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name}: {values!r} is a single text; expected several, as in [{values!r}]"
        )
    return tuple(values)


def texts_or_none(name: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else texts(name, values)
