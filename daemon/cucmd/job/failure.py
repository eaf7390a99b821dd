"""PURE. Declares why a node failed."""

import msgspec


class Failure(msgspec.Struct, frozen=True, omit_defaults=False):
    """Says why a node failed.

    `code` is one of `Code` in `cucmd.failure`, and a text here: a client also reads those of
    later daemons.
    `message` is one line for a person, without secrets.
    `retryable`: the same request can succeed later, with nothing changed.
    `hint` is what a person can do.
    """

    code: str
    message: str
    retryable: bool
    hint: str | None = None
