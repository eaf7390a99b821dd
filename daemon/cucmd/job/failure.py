"""PURE. Declares why a node failed."""

import msgspec


class Failure(msgspec.Struct, frozen=True, omit_defaults=False):
    """Says why a node failed."""

    # One of the failure codes of cucmd-failures(7). A later daemon may send other codes.
    code: str
    # One line for a person, without secrets.
    message: str
    # The same request can succeed later, although nothing is changed.
    retryable: bool
    # What a person can do.
    hint: str | None = None
