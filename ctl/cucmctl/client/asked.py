"""`asked`: makes a method of `Client` of what it asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from cucmctl.client.calls import Calls
from cucmctl.client.method_call import MethodCall

if TYPE_CHECKING:
    from inspect import Signature

P = ParamSpec("P")
T = TypeVar("T")


def asked(make: Callable[P, MethodCall[T]]) -> Callable[Concatenate[Calls, P], T]:
    """The method that makes this call, and returns what it gives. `help` shows it as `make` is."""

    def method(self: Calls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.ask(make(*args, **kwargs))

    method.__name__ = make.__name__
    method.__qualname__ = f"Client.{make.__name__}"
    method.__doc__ = make.__doc__
    vars(method)["__wrapped__"] = _Described(make)
    return method


class _Described:
    """What `inspect` takes for the signature of a method: made then, as it takes long to load."""

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    @property
    def __signature__(self) -> Signature:
        from inspect import Parameter, signature  # noqa: PLC0415  # only for `help`

        of = signature(self._make)
        itself = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
        result = of.return_annotation.removeprefix("MethodCall[").removesuffix("]")
        return of.replace(parameters=[itself, *of.parameters.values()], return_annotation=result)
