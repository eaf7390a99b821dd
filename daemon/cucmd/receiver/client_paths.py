"""PURE. Turns a path as an SFTP client sends it into the names below the target that it stands for.

The result is a tuple of plain names. If they are opened one by one, without following a link,
nothing outside the folder is reached.
"""

from __future__ import annotations

from cucmd.receiver.limits import ReceiverLimits, RequestRefused, Status

_NAME_BYTES = 255  # of one component, on every file system that matters
_NUMBER = len(".100")  # that `with_number` adds at most

Parts = tuple[str, ...]


def split_path(path: bytes, limits: ReceiverLimits, beyond: int = 0) -> Parts:
    """Splits `path` into parts; () is the target itself. Absolute is relative to the target.

    Raises RequestRefused for `..`, for more than the limits allow, and for a name that is not
    printable UTF-8: it would reach terminals, JSON and other file systems. A node's log names are
    ASCII; of others a path may have a fifth of the length, since Python may keep five bytes for
    each.
    beyond: bytes that it may be longer than the limit.
    """
    most = limits.path_bytes if path.isascii() else limits.path_bytes // 5
    if len(path) > most + beyond:
        raise RequestRefused(Status.FAILURE, f"path is longer than {most} bytes")
    names = [name for name in path.split(b"/") if name not in {b"", b"."}]
    if len(names) > limits.path_depth:
        raise RequestRefused(Status.FAILURE, f"path has more than {limits.path_depth} levels")
    return tuple(_name(name) for name in names)


def split_stored_path(path: str, limits: ReceiverLimits) -> Parts:
    """Splits a path on the disk, below the target's folder, as a process that receives names it. It
    may be longer than a client's by the number that is behind a name which is taken (`with_number`).

    Raises RequestRefused, also where it is not written as one that is made of such parts.
    """
    parts = split_path(path.encode(), limits, _NUMBER)
    if "/".join(parts) != path:
        raise RequestRefused(Status.FAILURE, "a path is not plain")
    return parts


def canonical_path(parts: Parts) -> bytes:
    """Returns the canonical form for the client: absolute, as if the target were the root."""
    return ("/" + "/".join(parts)).encode()


def with_number(name: str, number: int) -> str:
    """Returns `name` for the first file of that name, then `name.2`, `name.3`, within 255 bytes."""
    if number == 1:
        return name
    suffix = f".{number}"
    kept = name.encode()[: _NAME_BYTES - len(suffix)]
    return kept.decode(errors="ignore") + suffix


def _name(raw: bytes) -> str:
    if raw == b"..":
        raise RequestRefused(Status.PERMISSION_DENIED, "`..` is not allowed in a path")
    if len(raw) > _NAME_BYTES:
        raise RequestRefused(Status.FAILURE, f"a name is longer than {_NAME_BYTES} bytes")
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise RequestRefused(Status.FAILURE, "a name is not UTF-8") from None
    if not name.isprintable():
        raise RequestRefused(Status.FAILURE, "a name has control or other unprintable characters")
    return name
