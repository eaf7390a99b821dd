"""PURE. Says what a key of the file accepts: a type of msgspec with its limits, or rules for texts.

A struct of the configuration says beside each field what its key accepts. A *kind* is that as a
function: it is given a value of TOML and returns the value of the configuration, or raises
`ValueError` with what was expected.

msgspec checks numbers, flags and choices. It does not check texts: a pattern would be all that its
message could name, one wrong element of a list would hide the others, and most rules are no
patterns. Nor does it make the messages, which are for people who write TOML and not Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from cucmd.job.timeouts import MOST_SECONDS

ValueKind: TypeAlias = Callable[[object], object]
TextRule: TypeAlias = Callable[[str], object]


class WrongElements(ValueError):
    """Elements of a list are wrong: (position, element, reason) each."""

    def __init__(self, wrong: Sequence[tuple[int, object, str]]) -> None:
        super().__init__("has wrong elements")
        self.wrong = tuple(wrong)


def whole(least: int, most: int = 2**53) -> Meta:
    """Bounds a whole number; the default maximum is the largest that JSON numbers keep exact."""
    return Meta(ge=least, le=most, description=f"a whole number from {least} to {most}")


# How timeouts must relate to each other is checked by `Timeouts`.
SECONDS = Meta(gt=0, le=MOST_SECONDS, description="a positive number of seconds (at most a year)")
# The types that say it all: of these each number is one of bytes or of a count, or a time.
_PLAIN: dict[Any, Any] = {
    bool: Annotated[bool, Meta(description="true or false")],
    int: Annotated[int, whole(0)],
    float: Annotated[float, SECONDS],
}


def text(rule: TextRule) -> ValueKind:
    """Makes the kind of a string that the rule accepts."""

    def accept(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("expected a string")  # noqa: TRY004  as every kind does
        return rule(value)

    return accept


def texts(rule: TextRule) -> ValueKind:
    """Makes the kind of a list of strings, each of which the rule accepts."""
    element = text(rule)

    def accept(value: object) -> object:
        if not isinstance(value, list):
            raise ValueError("expected a list of strings")  # noqa: TRY004  likewise
        accepted: list[object] = []
        wrong: list[tuple[int, object, str]] = []
        for position, item in enumerate(value):
            try:
                accepted.append(element(item))
            except ValueError as error:
                wrong.append((position, item, str(error)))
        if wrong:
            raise WrongElements(wrong)
        return tuple(accepted)

    return accept


def text_or_texts(rule: TextRule) -> ValueKind:
    """Makes the kind of a string that the rule accepts, or of a list of them."""
    one, several = text(rule), texts(rule)
    return lambda value: several(value) if isinstance(value, list) else one(value)


def or_empty(rule: TextRule, empty: object = "") -> TextRule:
    """Extends the rule for a key where "" stands for the default behaviour."""
    return lambda value: rule(value) if value else empty


def kinds_of(struct: type[Struct]) -> dict[str, ValueKind]:
    """Returns the keys that a table for this struct has, with what each accepts.

    A field of another type, such as the name of the table, has no key.
    """
    hints = get_type_hints(struct, include_extras=True)
    return {name: kind for name, hint in hints.items() if (kind := kind_of(hint)) is not None}


def kind_of(hint: Any) -> ValueKind | None:
    """Returns the kind that a field of this type accepts. None: it has no key."""
    if get_origin(hint) is Literal:
        hint = Annotated[hint, Meta(description=f"one of {', '.join(get_args(hint))}")]
    hint = _PLAIN.get(hint, hint)
    said, *_ = getattr(hint, "__metadata__", (None,))
    return converted(hint, said.description) if isinstance(said, Meta) else said


def converted(hint: Any, expected: str | None) -> ValueKind:
    """Makes the kind that accepts what msgspec takes for that type."""

    def accept(value: object) -> object:
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            raise ValueError(f"expected {expected}") from None

    return accept
